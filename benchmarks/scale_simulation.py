"""What a night of any size takes on any number of workers, from figures measured here.

    python -m benchmarks.scale_simulation             # measures, predicts 20,000, compares: 10 min
    python -m benchmarks.scale_simulation --small     # predicts and compares 3,200: 4 min
    python -m benchmarks.scale_simulation --large     # 200,000, 32 calls in flight a step: 25 min
    python -m benchmarks.scale_simulation --table     # no measuring: the table of docs/scaling.md

Two short nights on a cluster give each part of a night a fixed cost and a cost an item. A night is
then played event by event: chunks wait for a worker, those that are asked share the provider's
limit, a worker dies now and then and its chunk is asked on by another. Nothing is fitted to the
night that is predicted.
"""

import heapq
import json
import math
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import report

MEASURED = Path(__file__).with_name("scale_measured.json")
"""Figures of the last full measurement, which the table of docs/scaling.md is made from."""

_AIM_OF_ERROR = 0.15
_GRACE_SECONDS = 21.0
"""From a worker's death until its chunk is sent again."""
_LONGEST_ROUND_SECONDS = 5.0
_WORKERS = 2
_MODEL_DELAY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that the parts of a night take, measured.

    Attributes:
        fixed: All that does not grow with the items, chunks apart.
        per_item: Reading, charting, writing and publishing an item, one after the other.
        per_chunk: Starting a chunk's step and finding its share.
        rate_per_step: Items a second that one chunk step asks about when nothing limits it.
    """

    fixed: float
    per_item: float
    per_chunk: float
    rate_per_step: float


@dataclass(frozen=True, slots=True)
class Size:
    """What is measured and what is predicted from it.

    Attributes:
        measured: Users and chunk of each night that the costs are fitted to.
        predicted: Users and chunk of the night that is predicted, and then made.
        calls_per_step: In flight at once, in all of them.
    """

    measured: tuple[tuple[int, int], tuple[int, int]]
    predicted: tuple[int, int]
    calls_per_step: int = 10


_MIDDLE = Size(((1000, 250), (4000, 1000)), (20_000, 1250))
_SIZES = {
    "--small": Size(((400, 100), (1600, 400)), (3200, 400)),
    "--large": Size(((1000, 250), (4000, 1000)), (200_000, 3125), calls_per_step=32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A night to be simulated.

    Attributes:
        steps: Chunk steps that go on at the same time: workers x their concurrency.
        chunk_items: CHUNK_ITEMS.
        limit_per_second: Items a second that the provider allows; infinity for no limit.
        deaths_per_hour: How often one of the workers is lost.
    """

    items: int
    steps: int
    chunk_items: int
    limit_per_second: float = math.inf
    deaths_per_hour: float = 0.0
    seed: int = 1


def simulate(plan: Plan, costs: Costs) -> float:
    """Seconds that a night takes."""
    return costs.fixed + costs.per_item * plan.items + asking_seconds(plan, costs)


def asking_seconds(plan: Plan, costs: Costs) -> float:
    """Seconds from the first chunk's start to the last one's end."""
    chance = random.Random(plan.seed)
    chunks = min(math.ceil(plan.items / plan.chunk_items), 64)
    if plan.items <= plan.chunk_items:
        chunks = 1
    waiting = [plan.items / chunks] * chunks
    late: list[tuple[float, float]] = []  # (when it is sent again, what is left of it)
    going: list[list[float]] = []  # [seconds until it asks, items left]
    now = 0.0
    while waiting or going or late:
        while late and late[0][0] <= now:
            waiting.insert(0, heapq.heappop(late)[1])
        while waiting and len(going) < plan.steps:
            going.append([costs.per_chunk, waiting.pop(0)])
        if not going:
            now = late[0][0]
            continue
        asking = [each for each in going if each[0] <= 0]
        rate = min(costs.rate_per_step, plan.limit_per_second / len(asking)) if asking else 0.0
        events = [each[0] for each in going if each[0] > 0]
        events += [each[1] / rate for each in asking]
        events += [late[0][0] - now] if late else []
        step = max(min([*events, _LONGEST_ROUND_SECONDS]), 1e-6)
        now += step
        for each in going:
            if each[0] > 0:
                each[0] -= step
                if each[0] < 1e-9:
                    each[0] = 0.0
            else:
                each[1] -= rate * step
        going = [each for each in going if each[1] > 1e-6]
        if going and chance.random() < plan.deaths_per_hour / 3600 * step:
            died = going.pop(chance.randrange(len(going)))
            # What it had asked is in the ledger.
            heapq.heappush(late, (now + _GRACE_SECONDS, died[1]))
    return now


def measured_costs() -> Costs:
    """The figures of the last full measurement."""
    return Costs(**json.loads(MEASURED.read_text())["costs"])


def main() -> None:
    """Measure, predict, compare; or print the table."""
    console = Console()
    if "--table" in sys.argv:
        show_table(console, measured_costs())
        return
    size = next((_SIZES[each] for each in sys.argv if each in _SIZES), _MIDDLE)
    items, chunk_items = size.predicted
    # Only a measurement needs the platform.
    from batch_platform_tests.recording_model import recording_model
    from batch_platform_tests.running_platform import project_copy
    from benchmarks.cluster_night import Night, Setup, make_night

    def setup_of(users: int, chunk: int) -> Setup:
        return Setup(
            users=users,
            workers=_WORKERS,
            chunk_items=chunk,
            calls_per_step=size.calls_per_step,
        )

    nights: list[Night] = []
    with recording_model(passes_for_real=True) as model, project_copy() as project:
        for number, (users, chunk) in enumerate(size.measured):
            setup = setup_of(users, chunk)
            nights.append(make_night(project, model, setup, f"measure_{number}"))
        small, large = nights
        costs = fitted(
            (small.users, large.users),
            tuple(night.seconds["night"] - night.seconds["asking"] for night in nights),
            chunk_items=tuple(night.users / len(night.chunk_seconds) for night in nights),
            # From one chunk's end to the next one's start is part of what a chunk takes.
            chunk_seconds=tuple(
                night.seconds["asking"] * _WORKERS / len(night.chunk_seconds) for night in nights
            ),
            calls_a_second=size.calls_per_step / _MODEL_DELAY_SECONDS,
        )
        console.print(costs)
        plan = Plan(items=items, steps=_WORKERS, chunk_items=chunk_items)
        prediction = simulate(plan, costs)
        console.print(f"{items:,} items: predicted {prediction:.1f} s")
        real = make_night(project, model, setup_of(items, chunk_items), "predicted")
    took = real.seconds["night"]
    error = abs(prediction - took) / took
    console.print(f"{items:,} items: predicted {prediction:.1f} s, took {took:.1f} s")
    console.print({part: round(seconds, 1) for part, seconds in real.seconds.items()})
    if size is _MIDDLE:
        figures = {
            "costs": {name: getattr(costs, name) for name in Costs.__slots__},
            "items": items,
            "predicted_seconds": round(prediction, 1),
            "measured_seconds": round(took, 1),
        }
        MEASURED.write_text(json.dumps(figures, indent=2) + "\n")
    report(
        {
            f"simulation_error_at_{items}": {
                "value": round(error, 3),
                "aim": _AIM_OF_ERROR,
                "better": "lower",
            }
        }
    )


def fitted(
    items: tuple[float, ...],
    other_seconds: tuple[float, ...],
    *,
    chunk_items: tuple[float, ...],
    chunk_seconds: tuple[float, ...],
    calls_a_second: float,
) -> Costs:
    """Costs from two nights of different sizes.

    Args:
        items: Of each night.
        other_seconds: Of each night, without asking.
        chunk_items: Items of a chunk, of each night.
        chunk_seconds: Seconds of a chunk's step, of each night.
        calls_a_second: Of a step, if the model were all that takes time.
    """
    per_item = max((other_seconds[1] - other_seconds[0]) / (items[1] - items[0]), 0.0)
    fixed = max(other_seconds[0] - per_item * items[0], 0.0)
    # Never quicker than the model, whatever else the machine did in one of the nights.
    per_asked = max(
        (chunk_seconds[1] - chunk_seconds[0]) / (chunk_items[1] - chunk_items[0]),
        1 / calls_a_second,
    )
    per_chunk = max(chunk_seconds[0] - per_asked * chunk_items[0], 0.0)
    return Costs(fixed, per_item, per_chunk, 1 / per_asked)


WINDOW_HOURS = 6.0
"""In which a night must be made: from late evening until people get up."""

LIMITS_A_MINUTE = (60, 3_000, 30_000)
"""Of a test key, of a usual contract, of a large one."""

KRW_PER_CALL = (800 * 0.40 + 500 * 1.60) / 1e6 * 1450
"""Of gpt-4.1-mini at 1,450 won for a dollar, with 800 tokens in and 500 out."""

_STEPS_PER_MACHINE = 6
"""Of a machine with two cores: ten calls in flight at 200 ms need an eighth of a core each."""


def show_table(console: Console, costs: Costs) -> None:
    """Nights of many sizes: what bounds them, on how many steps, and what they cost."""
    table = Table(title=f"The fewest machines for {WINDOW_HOURS:.0f} hours", title_justify="left")
    for heading in ("night", "calls/min", "hours", "asking h", "steps", "machines", "won", "bound"):
        table.add_column(heading, justify="right")
    for items in (20_000, 200_000, 1_000_000, 10_000_000):
        for limit in LIMITS_A_MINUTE:
            table.add_row(f"{items:,} fortunes", *row_of(items, 1, limit, costs))
    for limit in LIMITS_A_MINUTE[1:]:
        table.add_row("10,000,000 chats, 10 a call", *row_of(10_000_000, 10, limit, costs))
    console.print(table)


def row_of(items: int, items_per_call: int, calls_a_minute: int, costs: Costs) -> tuple[str, ...]:
    """The fewest steps that make a night in time; the most that are of use when none do."""
    limit = calls_a_minute / 60 * items_per_call
    at_pace = replace(costs, rate_per_step=costs.rate_per_step * items_per_call)
    most = min(max(1, math.ceil(limit / at_pace.rate_per_step)), 64)
    plan = Plan(items=items, steps=1, chunk_items=2000, limit_per_second=limit, deaths_per_hour=0.1)
    seconds = asking = math.inf
    for steps in range(1, most + 1):
        plan = replace(plan, steps=steps)
        asking = asking_seconds(plan, at_pace)
        seconds = costs.fixed + costs.per_item * items + asking
        if seconds <= WINDOW_HOURS * 3600:
            break
    bound = "in time"
    if seconds > WINDOW_HOURS * 3600:
        bound = "the provider" if asking > seconds / 2 else "what one process does"
    bill = items / items_per_call * KRW_PER_CALL
    return (
        f"{calls_a_minute:,}",
        f"{seconds / 3600:.1f}",
        f"{asking / 3600:.1f}",
        str(plan.steps),
        str(math.ceil(plan.steps / _STEPS_PER_MACHINE)),
        f"{bill:,.0f}",
        bound,
    )


if __name__ == "__main__":
    main()
