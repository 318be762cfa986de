"""The platform in numbers, for Prometheus: read from its own tables and Dagster's storage.

Nothing is counted in a process: whichever API answers, and however often it was restarted, the
numbers are the same. Labels are domains, jobs and states only: never a partition, a person or a
text.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.run_history import RunRow, StepCounts, reading_runs
from batch_platform.operations.morning import Morning, NightState, read_morning

GAUGE = "gauge"
COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number and what it is about."""

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As Prometheus knows it, with its unit; a counter's without `_total`.
        kind: GAUGE or COUNTER.
        help: What it says.
        label_names: Of every sample.
        samples: Its numbers.
    """

    name: str
    kind: str
    help: str
    label_names: tuple[str, ...]
    samples: Sequence[Sample]


def read_metrics(
    db: PlatformDb, dagster_db: PlatformDb, settings: Settings, now: datetime
) -> list[Metric]:
    """Read every number.

    Args:
        db: The platform's database.
        dagster_db: Dagster's storage.
        settings: Which domains are switched on, the zone and the budget.
        now: An aware time.

    Raises:
        RetryableError: A database does not answer.
    """
    morning = read_morning(db, dagster_db, settings, now)
    with reading_runs(dagster_db) as history:
        runs = history.open_runs() if history else []
        succeeded = history.last_run_by_domain("SUCCESS") if history else {}
    with db.connect("metrics") as connection:
        return [
            *_of_nights(morning),
            *_of_runs(runs, now),
            _gauge(
                "batch_platform_last_success_timestamp_seconds",
                "When a run of the domain last ended well",
                ("domain",),
                [
                    ((domain,), run.ended_at.timestamp())
                    for domain, run in succeeded.items()
                    if run.ended_at is not None
                ],
            ),
            *_of_platform(morning),
            *_of_models(connection, settings, now),
            *_of_occurrences(connection),
        ]


def _of_nights(morning: Morning) -> Iterable[Metric]:
    label = ("domain",)
    yield _gauge(
        "batch_platform_night_state",
        "How the domain's last night stands: 1 for the state that it is in",
        ("domain", "state"),
        [
            ((each.domain, state), float(each.state is state))
            for each in morning.nights
            for state in NightState
        ],
    )
    yield _gauge(
        "batch_platform_deadline_timestamp_seconds",
        "By when the domain's last night was or is due",
        label,
        [((each.domain,), each.due_at.timestamp()) for each in morning.nights],
    )
    for name, text, value in (
        ("rows", "Rows that the last night made", "rows"),
        ("duration_seconds", "How long the last night's run took", "seconds"),
        ("usual_duration_seconds", "How long it takes usually (median)", "usual_seconds"),
        ("cost_krw", "Won that the models cost for the last night", "cost_krw"),
    ):
        yield _gauge(
            f"batch_platform_night_{name}",
            text,
            label,
            [
                ((each.domain,), float(found))
                for each in morning.nights
                if (found := getattr(each, value)) is not None
            ],
        )


def _of_runs(runs: Sequence[tuple[RunRow, StepCounts]], now: datetime) -> Iterable[Metric]:
    waiting = [run for run, _ in runs if run.started_at is None]
    going_on = [run for run, _ in runs if run.started_at is not None]
    yield _gauge(
        "batch_platform_runs",
        "Runs that wait in the queue or go on",
        ("state",),
        [(("waiting",), len(waiting)), (("running",), len(going_on))],
    )
    oldest = max(((now - run.created_at).total_seconds() for run in waiting), default=0.0)
    yield _gauge(
        "batch_platform_oldest_waiting_run_seconds",
        "How long the longest waits in the queue; 0 when none does",
        (),
        [((), max(oldest, 0.0))],
    )


def _of_platform(morning: Morning) -> Iterable[Metric]:
    counts = Counter((each.domain, str(each.incident.trouble.kind)) for each in morning.incidents)
    yield _gauge(
        "batch_platform_open_incidents",
        "Incidents that are open",
        ("domain", "kind"),
        [(labels, count) for labels, count in counts.items()],
    )
    yield _gauge(
        "batch_platform_unsent_messages",
        "Messages about incidents that could not be sent",
        (),
        [((), morning.unsent_messages)],
    )
    yield _gauge(
        "batch_platform_quarantined_items",
        "Items that wait in quarantine for a person",
        (),
        [((), morning.quarantined)],
    )
    seen_at = morning.daemon_seen_at
    yield _gauge(
        "batch_platform_daemon_seen_timestamp_seconds",
        "When the daemon last looked after the schedules",
        (),
        [((), seen_at.timestamp())] if seen_at else [],
    )


def _of_models(
    connection: psycopg.Connection, settings: Settings, now: datetime
) -> Iterable[Metric]:
    today = now.astimezone(settings.platform.zone).date()
    rows = connection.execute(
        "SELECT domain, sum(spent_krw),"
        " coalesce(sum(spent_krw) FILTER (WHERE spent_on = %s), 0)"
        " FROM llm.spending GROUP BY domain ORDER BY domain",
        [today],
    ).fetchall()
    label = ("domain",)
    yield Metric(
        "batch_platform_model_cost_krw",
        COUNTER,
        "Won that the models cost",
        label,
        [Sample((domain,), total) for domain, total, _ in rows],
    )
    yield _gauge(
        "batch_platform_model_cost_today_krw",
        "Won that the models cost today",
        label,
        [((domain,), spent) for domain, _, spent in rows],
    )
    budget = settings.model.daily_budget_krw
    yield _gauge(
        "batch_platform_model_budget_krw",
        "Won that each domain may spend in a day; absent without a bound",
        (),
        [((), budget)] if budget is not None else [],
    )


def _of_occurrences(connection: psycopg.Connection) -> Iterable[Metric]:
    rows = connection.execute(
        "SELECT status, count(*), coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8"
        " FROM operations.occurrences WHERE status IN ('due', 'launching', 'launched')"
        " GROUP BY status"
    ).fetchall()
    counts = {status: count for status, count, _ in rows}
    yield _gauge(
        "batch_platform_occurrences",
        "Due times and requests that have not ended, by how far they are",
        ("status",),
        [((status,), counts.get(status, 0)) for status in ("due", "launching", "launched")],
    )


def _gauge(
    name: str,
    text: str,
    label_names: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    return Metric(name, GAUGE, text, label_names, [Sample(*each) for each in samples])
