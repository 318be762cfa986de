"""Whether a hundred times the items take the same memory and the same time each.

Each size has a process and a database of its own; several items share a call, so that the engine is
what is measured and not the server.
"""

import statistics
from collections.abc import Mapping

from rich.console import Console

from batch_platform.sandbox.model_server import running_model_server
from benchmarks.figures import Figure
from benchmarks.llm_job import Job, Told, run
from benchmarks.scratch_database import scratch_database

SMALL = 2_000
LARGE = 200_000
QUICK_LARGE = 40_000
ITEMS_PER_CALL = 20

_SMALL_TURNS = 6
_LIMIT_NOT_BINDING = 600_000
_MEMORY_AIM = 1.3
_TIME_AIM = 1.10


def memory_figures(console: Console, *, quick: bool) -> Mapping[str, Figure]:
    """Measure, print and return the figures.

    Returns:
        `time_per_item_growth` is the greater of two ratios: the large job's time per item to the
        small one's, which holds the fixed time of a start, and the large job's last quarter to its
        first, which does not. `cpu_per_item_growth` is the large job's to the small one's, of the
        client's process: what it says does not depend on what else the machine does.
    """
    small = [_run(SMALL) for _ in range(_SMALL_TURNS // 2)]
    large = _run(QUICK_LARGE if quick else LARGE)
    # Before and after: a machine that becomes busier meanwhile is not taken for growth.
    small += [_run(SMALL) for _ in range(_SMALL_TURNS // 2)]
    peak = statistics.median(told.peak_bytes for told in small)
    seconds = statistics.median(told.seconds / told.items for told in small)
    cpu_seconds = statistics.median(told.cpu_seconds / told.items for told in small)
    by_size = large.seconds / large.items / seconds
    within = _growth_within(large)
    cpu_growth = large.cpu_seconds / large.items / cpu_seconds
    console.print(
        f"{SMALL:,} items: {peak / 2**20:.0f} MiB, {seconds * 1e6:.0f} µs/item,"
        f" {cpu_seconds * 1e6:.0f} µs of the processor"
    )
    console.print(
        f"{large.items:,} items: {large.peak_bytes / 2**20:.0f} MiB,"
        f" {large.seconds / large.items * 1e6:.0f} µs/item ({by_size:.2f} x;"
        f" last quarter {within:.2f} x the first),"
        f" {large.cpu_seconds / large.items * 1e6:.0f} µs of the processor ({cpu_growth:.2f} x)"
    )
    return {
        "memory_growth": _figure(large.peak_bytes / peak, _MEMORY_AIM),
        "time_per_item_growth": _figure(max(by_size, within), _TIME_AIM),
        "cpu_per_item_growth": _figure(cpu_growth, _TIME_AIM),
    }


def _growth_within(told: Told) -> float:
    """The time of a slice in a job's last quarter to that in its first.

    Of each quarter's slices the one that all but a quarter of them are slower than: what the rest
    lost to other processes is not the engine's.
    """
    # The first slice waits for the start.
    slices = told.slice_seconds[1:]
    quarter = len(slices) // 4
    first, last = (
        statistics.quantiles(part, n=4)[0] for part in (slices[:quarter], slices[-quarter:])
    )
    return last / first


def _run(items: int) -> Told:
    with scratch_database() as db, running_model_server(as_process=True) as server:
        told = run(
            Job(
                database_url=db.url,
                model_url=server.url,
                items=items,
                items_per_call=ITEMS_PER_CALL,
                requests_per_minute=_LIMIT_NOT_BINDING,
            )
        )
    if told.items != items:
        raise RuntimeError(f"Ours answered {told.items} of {items} items")
    return told


def _figure(value: float, aim: float) -> Figure:
    return {"value": round(value, 3), "aim": aim, "better": "lower"}
