"""What a limit on calls costs when the client knows it and when it must find it out.

The limit is the time that the items take at exactly the provider's rate. Each way of counting calls
that the sandbox has is tried; the worst one counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from batch_platform.sandbox.limits import LimiterKind
from batch_platform.sandbox.model_server import running_model_server
from benchmarks.figures import Figure
from benchmarks.llm_job import Job, run
from benchmarks.scratch_database import scratch_database

ITEMS = 300
LIMIT_A_SECOND = 20
DELAY_SECONDS = 0.2
IDEAL_SECONDS = ITEMS / LIMIT_A_SECOND

_UNKNOWN_REFUSALS_AIM = 29
_UNKNOWN_TIME_AIM = 1.25
_KNOWN_TIME_AIM = 1.08


@dataclass(frozen=True, slots=True)
class _Run:
    is_known: bool
    limiter: LimiterKind
    refusals: int
    time_ratio: float
    lost: int


def limits_figures(console: Console) -> Mapping[str, Figure]:
    """Measure, print each limiter's figures and return the worst."""
    runs = [_run(is_known, limiter) for is_known in (False, True) for limiter in LimiterKind]
    table = Table(
        title=f"{ITEMS} items, {LIMIT_A_SECOND} a second allowed: ideal {IDEAL_SECONDS:.0f} s",
        title_justify="left",
    )
    for heading in ("limit", "counted", "refusals", "time", "lost"):
        table.add_column(heading)
    for each in runs:
        known = "known" if each.is_known else "unknown"
        ratio = f"{each.time_ratio:.3f} x"
        table.add_row(known, each.limiter, str(each.refusals), ratio, str(each.lost))
    console.print(table)
    unknown = [each for each in runs if not each.is_known]
    known = [each for each in runs if each.is_known]
    return {
        "unknown_limit_refusals": _most(unknown, "refusals", _UNKNOWN_REFUSALS_AIM),
        "unknown_limit_time_ratio": _most(unknown, "time_ratio", _UNKNOWN_TIME_AIM),
        "known_limit_refusals": _most(known, "refusals", 0),
        "known_limit_time_ratio": _most(known, "time_ratio", _KNOWN_TIME_AIM),
        "lost_items": _most(runs, "lost", 0),
    }


def _run(is_known: bool, limiter: LimiterKind) -> _Run:
    with (
        scratch_database() as db,
        running_model_server(
            as_process=True,
            delay=DELAY_SECONDS,
            requests_per_second=LIMIT_A_SECOND,
            limiter=limiter,
        ) as server,
    ):
        told = run(
            Job(
                database_url=db.url,
                model_url=server.url,
                items=ITEMS,
                requests_per_minute=LIMIT_A_SECOND * 60 if is_known else None,
            )
        )
        refused = server.stats()["refused"]
    return _Run(is_known, limiter, refused, told.seconds / IDEAL_SECONDS, ITEMS - told.items)


def _most(runs: list[_Run], attribute: str, aim: float) -> Figure:
    worst = max(getattr(each, attribute) for each in runs)
    return {"value": round(worst, 3), "aim": aim, "better": "lower"}
