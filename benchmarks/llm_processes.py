"""Whether several processes together keep one provider's limit, and how much of it they use.

What counts is the server's own record of when calls arrived. The runs with two and with three
processes go on at the same time, each with a server and a database of its own: both mostly wait.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console

from batch_platform.sandbox.model_server import running_model_server
from benchmarks.figures import Figure
from benchmarks.llm_job import Job, finish, start
from benchmarks.scratch_database import scratch_database

LIMIT_A_MINUTE = 600
PROCESSES = (2, 3)
DELAY_SECONDS = 0.2

_RUN_SECONDS = 130
_WINDOW_SECONDS = 60
_QUICK_SHARE = 0.1
_USE_AIM = 0.9
_FIRST_AND_LAST_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Run:
    """As the server saw it; `use` is the share of the limit while all was under way."""

    processes: int
    most_in_window: int
    refused: int
    use: float
    lost: int


def processes_figures(console: Console, *, quick: bool) -> Mapping[str, Figure]:
    """Measure, print and return the worse of the two runs.

    Args:
        console: Where to print.
        quick: Whether a tenth of the time and of the window will do: slots are evenly spaced, so
            that the limit holds in any window, but a minute has not been seen then.
    """
    share = _QUICK_SHARE if quick else 1.0
    with ThreadPoolExecutor(len(PROCESSES)) as pool:
        runs = list(pool.map(lambda count: _run(count, share), PROCESSES))
    window, allowed = _WINDOW_SECONDS * share, round(LIMIT_A_MINUTE * share)
    for each in runs:
        console.print(
            f"{each.processes} processes, {LIMIT_A_MINUTE} calls a minute:"
            f" most in any {window:.0f} s {each.most_in_window} of {allowed};"
            f" {each.use:.1%} used, {each.refused} refused, {each.lost} lost"
        )
    return {
        "shared_limit_most_in_a_window": {
            "value": max(each.most_in_window for each in runs),
            "aim": allowed,
            "better": "lower",
        },
        "shared_limit_refusals": {
            "value": sum(each.refused for each in runs),
            "aim": 0,
            "better": "lower",
        },
        "shared_limit_use": {
            "value": round(min(each.use for each in runs), 3),
            "aim": _USE_AIM,
            "better": "higher",
        },
        "shared_limit_lost_items": {
            "value": sum(each.lost for each in runs),
            "aim": 0,
            "better": "lower",
        },
    }


def _run(processes: int, share: float) -> _Run:
    items = round(LIMIT_A_MINUTE / 60 * _RUN_SECONDS * share / processes)
    with (
        scratch_database() as db,
        running_model_server(
            as_process=True, delay=DELAY_SECONDS, requests_per_minute=LIMIT_A_MINUTE
        ) as server,
    ):
        running = [
            start(
                Job(
                    database_url=db.url,
                    model_url=server.url,
                    items=items,
                    workers=16,
                    first=number * items,
                    requests_per_minute=LIMIT_A_MINUTE,
                )
            )
            for number in range(processes)
        ]
        answered = sum(finish(process).items for process in running)
        stats = server.stats(_WINDOW_SECONDS * share)
    busy = stats["calls_per_second"][_FIRST_AND_LAST_SECONDS:-_FIRST_AND_LAST_SECONDS]
    return _Run(
        processes,
        stats["max_calls_in_window"],
        stats["refused"],
        sum(busy) / len(busy) / (LIMIT_A_MINUTE / 60),
        items * processes - answered,
    )
