"""What Dagster costs a night: all domains' jobs through the queue, and a month of chats.

    python -m benchmarks.night            # about five minutes

A copy of the project makes its demo, is served by `up`, and gets the night's jobs launched through
the webserver all at once, as after a downtime. Each asset tells how long its workflow, a plain
function, took; the time in which none of them ran is Dagster's: queueing, starting processes,
importing, events, checks' bookkeeping. The same is measured of a backfill of thirty days of chats.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from batch_platform.cli.demo import PARTS, DemoPart
from batch_platform.core.days import today, utc_now
from batch_platform_tests.running_platform import (
    ProjectCopy,
    Webserver,
    free_port,
    project_copy,
    up_ports,
    wait_until,
)
from benchmarks.figures import report

_AIM_OF_NIGHT_SECONDS = 15.0
_AIM_OF_BACKFILL_SECONDS = 75.0
_BACKFILL_DAYS = 30
_DEADLINE_SECONDS = 600
_CHATS = ("raw_chats", "classifications", "report", "published_keywords")
_SEOUL = ZoneInfo("Asia/Seoul")
_OVER = {"SUCCESS", "FAILURE", "CANCELED"}

_RUNS = """
query ($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
  id status jobName creationTime startTime endTime
  assetMaterializations { timestamp metadataEntries { label ... on FloatMetadataEntry { floatValue }
                                                      ... on IntMetadataEntry { intValue } } }
} } } }
"""
_BACKFILL = """
mutation ($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What some runs took.

    Attributes:
        wall_seconds: From the first one's creation to the last one's end.
        work_seconds: In which at least one workflow ran.
    """

    runs: int
    wall_seconds: float
    work_seconds: float

    @property
    def share_seconds(self) -> float:
        """Dagster's own."""
        return self.wall_seconds - self.work_seconds


def covered_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of spans of time."""
    covered, reached = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def measured(runs: Sequence[Mapping[str, Any]]) -> Measured:
    """Work out what runs took from what their assets told."""
    bad = [f"{run['jobName']} {run['status']}" for run in runs if run["status"] != "SUCCESS"]
    if bad:
        raise SystemExit(f"runs did not succeed: {', '.join(bad)}")
    spans = [
        (end - seconds, end)
        for run in runs
        for made in run["assetMaterializations"]
        for end in [float(made["timestamp"]) / 1000]
        for seconds in [_seconds(made["metadataEntries"])]
    ]
    wall = max(run["endTime"] for run in runs) - min(run["creationTime"] for run in runs)
    return Measured(len(runs), wall, covered_seconds(spans))


def _seconds(entries: Sequence[Mapping[str, Any]]) -> float:
    told = {each["label"]: each.get("floatValue") or each.get("intValue") for each in entries}
    return float(told.get("seconds") or 0.0)


def ended(webserver: Webserver, choose: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    """Wait until so many runs are over; return them."""

    def found() -> list[Mapping[str, Any]]:
        runs = webserver.ask(_RUNS, filter=choose)["runsOrError"]["results"]
        return [run for run in runs if run["status"] in _OVER]

    wait_until(lambda: len(found()) >= count, _DEADLINE_SECONDS, f"{count} runs are over")
    return found()


def night(webserver: Webserver) -> Measured:
    """Launch every part of the demo that is a night's own, at once."""
    on = today(utc_now, _SEOUL)
    parts: dict[str, DemoPart] = {
        part.job_name: part for part in PARTS if part.last_partition is None
    }
    launched = [
        webserver.launch(part.job_name, part.partition(on), run_config=part.run_config)
        for part in parts.values()
    ]
    return measured(ended(webserver, {"runIds": launched}, len(launched)))


def month_of_chats(webserver: Webserver) -> Measured:
    """Backfill thirty days of chats, a run a day."""
    on = today(utc_now, _SEOUL)
    days = [(on - timedelta(days=2 + back)).isoformat() for back in range(_BACKFILL_DAYS)]
    parameters = {
        "partitionNames": days,
        "assetSelection": [{"path": ["chats", name]} for name in _CHATS],
    }
    answer = webserver.ask(_BACKFILL, parameters=parameters)["launchPartitionBackfill"]
    if answer["__typename"] != "LaunchBackfillSuccess":
        raise SystemExit(f"no backfill: {answer}")
    tag = {"key": "dagster/backfill", "value": answer["backfillId"]}
    return measured(ended(webserver, {"tags": [tag]}, _BACKFILL_DAYS))


def served(project: ProjectCopy) -> tuple[Measured, Measured]:
    """Both, on a platform that is up."""
    port = free_port()
    command = project.start("batch-platform", "up", *up_ports(port))
    try:
        with Webserver(f"http://127.0.0.1:{port}") as webserver:
            wait_until(webserver.is_loaded, 90, "the webserver shows our code")
            time.sleep(10)  # the first looks of sensors and schedules are no part of a night
            return night(webserver), month_of_chats(webserver)
    finally:
        command.end()


def main() -> None:
    """Measure and report."""
    console = Console()
    with project_copy() as project:
        started = time.perf_counter()
        code, said = project.run("batch-platform", "demo", seconds=_DEADLINE_SECONDS)
        if code != 0:
            raise SystemExit(said)
        console.print(f"demo made in {time.perf_counter() - started:.0f} s")
        of_night, of_backfill = served(project)
    table = Table(title="through the queue", title_justify="left")
    for heading in ("what", "runs", "wall s", "work s", "Dagster's share s"):
        table.add_column(heading, justify="right")
    for name, each in (("all domains' night", of_night), ("30 days of chats", of_backfill)):
        row = (each.wall_seconds, each.work_seconds, each.share_seconds)
        table.add_row(name, str(each.runs), *(f"{seconds:.1f}" for seconds in row))
    console.print(table)
    report(
        {
            "night_dagster_seconds": {
                "value": round(of_night.share_seconds, 1),
                "aim": _AIM_OF_NIGHT_SECONDS,
                "better": "lower",
            },
            "chats_backfill_dagster_seconds": {
                "value": round(of_backfill.share_seconds, 1),
                "aim": _AIM_OF_BACKFILL_SECONDS,
                "better": "lower",
            },
        }
    )


if __name__ == "__main__":
    main()
