"""Whether a hundred times the items take the same memory and the same time each.

Each size has a process and a database of its own; several items share a call, so that the engine is
what is measured and not the server.
"""

import statistics
from collections.abc import Mapping

from rich.console import Console

from batch_platform.sandbox.model_server import running_model_server
from benchmarks.figures import Figure
from benchmarks.llm_job import SLICE_ITEMS, Job, Told, run
from benchmarks.scratch_database import scratch_database

SMALL = 2_000
LARGE = 200_000
QUICK_LARGE = 40_000
ITEMS_PER_CALL = 20

_SMALL_TURNS = 3
_LIMIT_NOT_BINDING = 600_000
_MEMORY_AIM = 1.3
_TIME_AIM = 1.10


def memory_figures(console: Console, *, quick: bool) -> Mapping[str, Figure]:
    """Measure, print and return the figures.

    Returns:
        `time_per_item_growth` is the greater of two ratios: the large job's time per item to the
        small one's, which holds the fixed time of a start, and the large job's last tenth to its
        first, which does not.
    """
    large = _run(QUICK_LARGE if quick else LARGE)
    small = [_run(SMALL) for _ in range(_SMALL_TURNS)]
    small_peak = statistics.median(told.peak_bytes for told in small)
    small_time = statistics.median(told.seconds / told.items for told in small)
    by_size = large.seconds / large.items / small_time
    tenth = len(large.slice_seconds) // 10
    # The first slice waits for the start.
    first = statistics.median(large.slice_seconds[1 : tenth + 1])
    last = statistics.median(large.slice_seconds[-tenth:])
    console.print(
        f"{SMALL:,} items: {small_peak / 2**20:.0f} MiB, {small_time * 1e6:.0f} µs/item;"
        f" {large.items:,} items: {large.peak_bytes / 2**20:.0f} MiB,"
        f" {large.seconds / large.items * 1e6:.0f} µs/item ({by_size:.2f} x),"
        f" first tenth {first / SLICE_ITEMS * 1e6:.0f}, last {last / SLICE_ITEMS * 1e6:.0f} µs/item"
        f" ({last / first:.2f} x)"
    )
    return {
        "memory_growth": {
            "value": round(large.peak_bytes / small_peak, 3),
            "aim": _MEMORY_AIM,
            "better": "lower",
        },
        "time_per_item_growth": {
            "value": round(max(by_size, last / first), 3),
            "aim": _TIME_AIM,
            "better": "lower",
        },
    }


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
