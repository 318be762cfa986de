"""A night in one partition on two workers: how much faster than on one, and never past a limit.

    python -m benchmarks.cluster            # 20,000 users, about twenty minutes
    python -m benchmarks.cluster --small    # 1,600 users, about five

Four nights with the same users, each on `batch-platform cluster` with a database of its own: one
worker; two workers; two workers under a provider limit, of which one is killed in the middle; and
one process without workers, whose rows the others' must equal. The model takes 200 ms and each step
has 10 calls in flight, so that the processors of a small machine are not the bound.
"""

import sys

from rich.console import Console
from rich.table import Table

from batch_platform_tests.recording_model import recording_model
from batch_platform_tests.running_platform import project_copy
from benchmarks.cluster_night import (
    CALLS_PER_STEP,
    Night,
    Setup,
    checksum_of_one_process,
    make_night,
)
from benchmarks.figures import report

_AIM_OF_SPEEDUP = 1.8
_LIMIT_A_MINUTE = 3600


def main() -> None:
    """Measure and report."""
    is_small = "--small" in sys.argv
    users, chunk = (1600, 200) if is_small else (20_000, 1250)
    console = Console()
    one = Setup(users=users, workers=1, chunk_items=chunk)
    two = Setup(users=users, workers=2, chunk_items=chunk)
    bound = Setup(
        users=users,
        workers=2,
        chunk_items=chunk,
        requests_per_minute=_LIMIT_A_MINUTE,
        is_one_killed=True,
    )
    nights: dict[str, Night] = {}
    with recording_model(passes_for_real=True) as model, project_copy() as project:
        for name, setup in (("one worker", one), ("two workers", two), ("bound, killed", bound)):
            nights[name] = make_night(
                project, model, setup, name.replace(", ", "_").replace(" ", "_")
            )
            _show(console, name, nights[name])
        whole = checksum_of_one_process(project, model, one)
    table = Table(title=f"{users:,} fortunes in one partition", title_justify="left")
    for heading in ("night", "asking s", "writing s", "users/s", "asked again", "refused"):
        table.add_column(heading, justify="right")
    for name, night in nights.items():
        table.add_row(
            name,
            f"{night.seconds['asking']:.1f}",
            f"{night.seconds['write']:.1f}",
            f"{users / night.made_seconds:.1f}",
            str(night.asked["items_asked_again"]),
            str(night.asked["refused"]),
        )
    console.print(table)
    last = nights["bound, killed"]
    speedup = nights["one worker"].made_seconds / nights["two workers"].made_seconds
    report(
        {
            "cluster_speedup_of_two_workers": _figure(round(speedup, 2), _AIM_OF_SPEEDUP, "higher"),
            "cluster_calls_refused_by_the_limit": _figure(last.asked["refused"], 0, "lower"),
            "cluster_calls_in_a_minute_of_limit": _figure(
                round(last.asked["max_calls_in_window"] / _LIMIT_A_MINUTE, 3), 1.0, "lower"
            ),
            "cluster_items_asked_again_after_a_kill": _figure(
                last.asked["items_asked_again"], CALLS_PER_STEP, "lower"
            ),
            "cluster_users_without_a_row": _figure(
                sum(users - night.checksum[0] for night in nights.values()), 0, "lower"
            ),
            "cluster_nights_with_other_rows": _figure(
                sum(night.checksum != whole for night in nights.values()), 0, "lower"
            ),
        }
    )


def _show(console: Console, name: str, night: Night) -> None:
    console.print(name, {part: round(seconds, 1) for part, seconds in night.seconds.items()})


def _figure(value: float, aim: float, better: str) -> dict[str, object]:
    return {"value": value, "aim": aim, "better": better}


if __name__ == "__main__":
    main()
