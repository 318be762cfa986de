"""The habit of every Dagster user: `dagster dev` in the project's folder, with nothing set."""

import pytest

from batch_platform_tests.running_platform import Demo, Webserver, free_port, wait_until

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]


def test_plain_dagster_dev_shows_what_the_demo_made_and_leaves_nothing(demo: Demo) -> None:
    port = free_port()
    command = demo.project.start("dagster", "dev", "--port", str(port))
    with Webserver(f"http://127.0.0.1:{port}") as webserver:
        wait_until(webserver.is_loaded, 90, "the code is shown", poll_seconds=0.5)
        data = webserver.ask(
            """{ assetNodes(group: {groupName: "chats", repositoryName: "__repository__",
                                    repositoryLocationName: "batch_platform"}) {
                 assetKey { path } latestMaterializationByPartition { partition } } }"""
        )
    made = {
        node["assetKey"]["path"][-1]: {
            event["partition"] for event in node["latestMaterializationByPartition"] if event
        }
        for node in data["assetNodes"]
    }
    for asset in ("raw_chats", "classifications", "report", "report_mail", "published_keywords"):
        assert demo.last_day.isoformat() in made[asset], asset
    assert made["report_archive"] == set()

    assert command.end() == 0, command.output
    # A code server that Dagster was just replacing ends by itself, 45 s after the last heartbeat.
    demo.project.wait_until_nothing_runs(90)
    assert not list(demo.project.root.glob(".tmp_dagster_home_*"))
