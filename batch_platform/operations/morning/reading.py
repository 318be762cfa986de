"""Gathering a morning: one look into the platform's tables, one into Dagster's storage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from batch_platform.core.deadlines import Deadline
from batch_platform.core.errors import NotFoundError
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.run_history import (
    MadePartition,
    RunHistory,
    RunRow,
    StepCounts,
    reading_runs,
)
from batch_platform.operations.deadline_book import noted_deadlines
from batch_platform.operations.domains import DOMAINS
from batch_platform.operations.incidents.models import Incident
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.morning import rules, store
from batch_platform.operations.morning.models import (
    DomainNight,
    Morning,
    NightState,
    OpenIncident,
    OtherDomain,
    Retry,
    RunningWork,
    StripRow,
)
from batch_platform.operations.nights import last_nights
from batch_platform.operations.schedules import store as schedule_store

NIGHTS = 30
_RUNS = 60
_AWAY = timedelta(minutes=2)
REPORTS = {"chats/report"}
"""Assets whose file can be downloaded; each partition writes a file of its own."""


@dataclass(frozen=True)
class _Facts:
    """What the databases say."""

    deadlines: Sequence[Deadline]
    incidents: Sequence[Incident]
    jobs: set[str]
    under_way: set[tuple[str, str]]
    asks: Sequence[store.AskProgress]
    first_made: Mapping[str, Mapping[str, datetime]] = field(
        default_factory=dict[str, Mapping[str, datetime]]
    )
    runs: Mapping[str, Sequence[RunRow]] = field(default_factory=dict[str, Sequence[RunRow]])
    open_runs: Sequence[tuple[RunRow, StepCounts]] = ()


def read_morning(
    db: PlatformDb, dagster_db: PlatformDb, settings: Settings, now: datetime
) -> Morning:
    """Gather what the page shows.

    Args:
        db: The platform's database.
        dagster_db: Dagster's storage, beside it.
        settings: Which domains are switched on, and the zone.
        now: An aware time.

    Raises:
        RetryableError: A database does not answer.
    """
    incidents = IncidentBook(db).open_incidents()
    with reading_runs(dagster_db) as history, db.connect("morning") as connection:
        deadlines = noted_deadlines(connection)
        facts = _Facts(
            deadlines,
            incidents,
            store.known_jobs(connection),
            store.under_way(connection),
            store.asks_in_progress(connection),
            **_history_of(history, deadlines),
        )
        strip = [_strip_row(each, facts, settings, now) for each in deadlines]
        chosen = {
            deadline.asset: rules.last_night(
                deadline, row.nights[::-1], now, settings.platform.zone
            )
            for deadline, row in zip(deadlines, strip, strict=True)
        }
        partitions = {
            deadline.asset: rules.partition_of(deadline, chosen[deadline.asset][0])
            for deadline in deadlines
        }
        made = {
            each.asset: each
            for each in (
                history.last_made({asset: [key] for asset, key in partitions.items()})
                if history
                else []
            )
        }
        costs = store.costs_of(
            connection, {asset.partition("/")[0]: key for asset, key in partitions.items()}
        )
        nights = [
            _domain_night(each, chosen[each.asset], facts, made, costs, settings)
            for each in deadlines
        ]
        seen_at = schedule_store.caught_up_at(connection)
        return Morning(
            now=now,
            nights=sorted(nights, key=lambda night: list(NightState).index(night.state)),
            incidents=[_open_incident(each, facts) for each in incidents],
            running=[_running(*each, facts, settings) for each in facts.open_runs],
            strip=sorted(strip, key=lambda row: _place(row.domain)),
            others=_others(history, deadlines),
            quarantined=store.quarantined_count(connection),
            unsent_messages=store.unsent_count(connection),
            spent_today_krw=store.spent_krw(
                connection, now.astimezone(settings.platform.zone).date()
            ),
            daemon_seen_at=seen_at,
            is_daemon_away=seen_at is None or now - seen_at > _AWAY,
            switched_off=[each for each in DOMAINS if not settings.is_on(each)],
        )


def retry_of_incident(db: PlatformDb, incident_id: int) -> Retry | None:
    """What mends an incident; None when it is over.

    Raises:
        NotFoundError: No job is known that would.
    """
    incident = next(
        (each for each in IncidentBook(db).open_incidents() if each.incident_id == incident_id),
        None,
    )
    if incident is None:
        return None
    with db.connect("retry") as connection:
        job = _job_that_mends(incident, noted_deadlines(connection), store.known_jobs(connection))
    if not job:
        raise NotFoundError(
            "No job is known that makes this again", "Run it again in the webserver"
        )
    return Retry(job, incident.trouble.partition, is_under_way=False)


def _job_that_mends(incident: Incident, deadlines: Sequence[Deadline], jobs: set[str]) -> str:
    """The job that a person runs again to mend an incident; empty when none is known.

    What failed is run again by its own job. What is late, or failed in a run that only the
    webserver can make, is made by the job of the domain's deadline.
    """
    trouble = incident.trouble
    if trouble.job in jobs:
        return trouble.job
    wanted = [each for each in deadlines if each.asset == trouble.asset] or [
        each for each in deadlines if each.asset.partition("/")[0] == trouble.domain
    ]
    return next((each.job for each in wanted if each.job in jobs), "")


def _history_of(history: RunHistory | None, deadlines: Sequence[Deadline]) -> dict[str, Any]:
    if history is None:
        return {"first_made": {each.asset: {} for each in deadlines}}
    jobs = sorted({each.job for each in deadlines if each.job})
    return {
        "first_made": history.first_made([each.asset for each in deadlines]),
        "runs": history.runs_of(jobs, _RUNS),
        "open_runs": history.open_runs(),
    }


def _strip_row(deadline: Deadline, facts: _Facts, settings: Settings, now: datetime) -> StripRow:
    zone = settings.platform.zone
    first_made = facts.first_made[deadline.asset]
    nights = last_nights([deadline], lambda _: set(first_made), now=now, zone=zone, count=NIGHTS)
    states = [
        (
            night.due_date,
            rules.state_of(
                deadline,
                night,
                zone,
                first_made=first_made,
                failed=facts.incidents,
                runs=facts.runs.get(deadline.job, ()),
            ),
        )
        for night in reversed(nights)
    ]
    return StripRow(deadline.asset.partition("/")[0], deadline.asset, states)


def _domain_night(
    deadline: Deadline,
    night: tuple[date, NightState],
    facts: _Facts,
    made: Mapping[str, MadePartition],
    costs: Mapping[str, float],
    settings: Settings,
) -> DomainNight:
    due_date, state = night
    partition = rules.partition_of(deadline, due_date)
    domain = deadline.asset.partition("/")[0]
    runs = facts.runs.get(deadline.job, ())
    last = made.get(deadline.asset)
    return DomainNight(
        domain=domain,
        deadline=deadline,
        partition=partition,
        due_at=deadline.due(date.fromisoformat(partition), settings.platform.zone),
        state=state,
        finished_at=facts.first_made[deadline.asset].get(partition),
        rows=last.rows if last else None,
        cost_krw=costs.get(domain),
        seconds=rules.seconds_of(runs, partition),
        usual_seconds=rules.usual_seconds(runs, partition),
        report=deadline.asset if last and last.path and deadline.asset in REPORTS else "",
        is_made_up=bool(last and last.is_made_up),
    )


def _open_incident(incident: Incident, facts: _Facts) -> OpenIncident:
    job = _job_that_mends(incident, facts.deadlines, facts.jobs)
    if not job:
        return OpenIncident(incident, None)
    partition = incident.trouble.partition
    running = {(run.job, run.partition) for run, _ in facts.open_runs}
    is_under_way = (job, partition) in facts.under_way | running
    return OpenIncident(incident, Retry(job, partition, is_under_way))


def _running(run: RunRow, steps: StepCounts, facts: _Facts, settings: Settings) -> RunningWork:
    domain = run.domain or run.job.partition("_")[0]
    ask = next(
        (each for each in facts.asks if (each.domain, each.partition) == (domain, run.partition)),
        None,
    )
    return RunningWork(
        run_id=run.run_id,
        job=run.job,
        domain=domain,
        partition=run.partition,
        since=run.started_at or run.created_at,
        is_waiting=run.started_at is None,
        made=steps.made,
        planned=steps.planned,
        items_done=ask.done if ask else None,
        items_total=ask.total if ask else None,
        seconds_left=ask.seconds_left if ask else None,
        will_be_late_by=_will_be_late_by(run, ask, facts, settings),
    )


def _will_be_late_by(
    run: RunRow, ask: store.AskProgress | None, facts: _Facts, settings: Settings
) -> float | None:
    deadline = next((each for each in facts.deadlines if each.job == run.job), None)
    if ask is None or ask.seconds_left is None or deadline is None:
        return None
    due = deadline.due(date.fromisoformat(run.partition), settings.platform.zone)
    late = (ask.updated_at + timedelta(seconds=ask.seconds_left) - due).total_seconds()
    return late if late > 0 else None


def _others(history: RunHistory | None, deadlines: Sequence[Deadline]) -> list[OtherDomain]:
    due = {each.asset.partition("/")[0] for each in deadlines}
    runs = history.last_run_by_domain() if history else {}
    return [
        OtherDomain(
            domain, run.job, run.partition, rules.state_of_run(run), run.ended_at or run.created_at
        )
        for domain, run in sorted(runs.items(), key=lambda each: _place(each[0]))
        if domain not in due
    ]


def _place(domain: str) -> int:
    return DOMAINS.index(domain) if domain in DOMAINS else len(DOMAINS)
