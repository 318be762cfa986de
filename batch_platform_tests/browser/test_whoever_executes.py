"""Every domain's night, by the run's own process and on workers: one setting, the same rows."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from batch_platform.cli.demo import PARTS
from batch_platform.core.days import today, utc_now
from batch_platform.gateways.embedded_postgres import lease_embedded_server
from batch_platform_tests.running_platform import (
    Demo,
    Webserver,
    free_port,
    require_redis,
    up_ports,
    wait_until,
)

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

CHANGES_EACH_TIME = ["processing_time", "run_id"]
"""Columns beside times that tell of a run and not of a day."""

RUN_CONFIG = {
    "interventions_job": {
        "ops": {
            "interventions__eligible_users": {
                # Who has a recommendation gets it again: otherwise nobody would be asked about.
                "config": {"needs_active_schedule": False, "force": True}
            }
        }
    }
}


@pytest.fixture(params=["up", "cluster"])
def served(demo: Demo, request: pytest.FixtureRequest) -> Iterator[Webserver]:
    """The demo, its steps executed by one or the other."""
    if request.param == "cluster":
        require_redis()
    port = free_port()
    address, options = f"http://127.0.0.1:{port}", [*up_ports(port)]
    if request.param == "cluster":
        address += "/dagster"
        options += ["--proxy-port", str(free_port())]
    # Few items a chunk: whatever can be cut is cut.
    command = demo.project.start("batch-platform", request.param, *options, CHUNK_ITEMS="15")
    try:
        command.wait_for_output("준비됨", 120)
        with Webserver(address) as webserver:
            yield webserver
    finally:
        command.end()


def test_every_night_makes_the_same_rows_whoever_executes_its_steps(
    demo: Demo, served: Webserver
) -> None:
    before = checksums(demo)
    on = today(utc_now, ZoneInfo("Asia/Seoul"))
    partitions = {
        **{part.job_name: part.partition(on) for part in PARTS if part.last_partition is None},
        "emotions_posts_job": (on - timedelta(days=1)).isoformat(),
        # The demo's batch, which the provider is done with: taken once more, not sent again.
        "emotions_batch_job": f"pilot-{on:%Y%m%d}-0000",
    }
    runs = {
        name: served.launch(name, partition, run_config=RUN_CONFIG.get(name))
        for name, partition in partitions.items()
    }

    def states() -> Mapping[str, str]:
        found = {name: served.run_status(run_id) for name, run_id in runs.items()}
        return found if set(found.values()) <= {"SUCCESS", "FAILURE", "CANCELED"} else {}

    assert wait_until(states, 280, "the nights are over", 1.0) == dict.fromkeys(runs, "SUCCESS")
    assert checksums(demo) == before


def checksums(demo: Demo) -> Mapping[str, tuple[object, ...]]:
    """Rows and their hash of every table of the domains, without the times of the making."""
    lease, url = lease_embedded_server(demo.home)
    try:
        with psycopg.connect(f"{url}batch_platform") as connection:
            columns = connection.execute(
                "SELECT table_schema, table_name, array_agg(column_name::text)"
                "       FILTER (WHERE data_type = 'timestamp with time zone')"
                " FROM information_schema.columns JOIN information_schema.tables"
                "      USING (table_schema, table_name)"
                " WHERE table_schema IN ('chats', 'emotions', 'fortunes', 'interventions',"
                "                        'stocks')"
                "   AND table_type = 'BASE TABLE' GROUP BY 1, 2"
            ).fetchall()
            return {
                f"{schema}.{table}": connection.execute(
                    sql.SQL(
                        "SELECT count(*), sum(hashtextextended("
                        "  (to_jsonb(t) - %s::text[])::text, 0))"
                        " FROM {} AS t"
                    ).format(sql.Identifier(schema, table)),
                    [[*(times or []), *CHANGES_EACH_TIME]],
                ).fetchone()
                or ()
                for schema, table, times in columns
            }
    finally:
        lease.release()
