"""Runs: asked for, looked at. What is asked for is an occurrence that the dispatcher launches.

Nothing here talks to Dagster: a request is accepted while its servers are away, and the states are
those that the dispatcher notes every few seconds.
"""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4, uuid5

from fastapi import Header, Query, Request, Response

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.api.books import Occurrences, Schedules
from batch_platform.api.documentation import told
from batch_platform.api.problems import ProblemError
from batch_platform.api.routes.schedules import DEFAULT_JOB
from batch_platform.api.run_models import (
    AcceptedRuns,
    InLine,
    RequestedRuns,
    RequestState,
    RunContent,
    RunView,
    Status,
)
from batch_platform.core.days import days_between, today
from batch_platform.core.errors import ConflictError
from batch_platform.core.settings import Settings
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.schedules import Job, OccurrenceStatus, ScheduleBook

_RUN = "/api/batch/run/"
_KEYS = UUID("5f0c3f0e-6c7b-4a49-9f53-0a9d6d8f3f31")
"""Namespace in which a token's idempotency keys become ids."""

_MOST_DAYS = 366
_FIRST_DAY = date(2000, 1, 1)
_AWAY = timedelta(minutes=1)
_LOCATION = {"Location": {"description": "Where to read on", "schema": {"type": "string"}}}

router = guarded_router("runs")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Sent again with the same body it has the same answer and starts nothing",
        pattern=r"^[\x21-\x7e]+$",
        max_length=255,
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]


@router.post(
    _RUN,
    summary="Run a job now",
    status_code=202,
    dependencies=[require(Scope.OPERATOR)],
    responses={202: {"headers": _LOCATION}},
)
def request_run(
    content: RunContent,
    schedules: Schedules,
    occurrences: Occurrences,
    caller: CallerParam,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> AcceptedRuns:
    """Accept runs of a job on a day or a range of days; the dispatcher launches them."""
    request_id = _request_id(caller.token_id, idempotency_key)
    job = _job(schedules, content.job or DEFAULT_JOB)
    before = occurrences.requested(str(request_id)) if idempotency_key else []
    if before and content.days is None:
        # Asked on another day again, yesterday is still the one that was meant.
        partitions = [each.partition for each in before]
    else:
        partitions = _partitions(request, job, content)
    try:
        accepted = occurrences.request_run(
            job.name, partitions, {}, key=str(request_id), requested_by=caller.name
        )
    except ConflictError as error:
        raise ProblemError(
            422,
            "This Idempotency-Key was used for another request. Use a new one",
            code="idempotency-key-reused",
        ) from error
    address = f"{_RUN}{request_id}/"
    response.headers["Location"] = address
    return AcceptedRuns(
        id=request_id,
        job=job.name,
        partitions=[each.partition for each in accepted],
        requested_by=accepted[0].requested_by,
        requested_at=accepted[0].due_at,
        address=address,
    )


@router.get(
    _RUN + "{request_id}/",
    summary="What became of a request",
    dependencies=[require(Scope.VIEWER)],
    responses=told(404, "There is no such request"),
)
def get_request(request_id: UUID, occurrences: Occurrences, request: Request) -> RequestedRuns:
    """Tell how each run of a request stands."""
    found = occurrences.requested(str(request_id))
    if not found:
        raise ProblemError(404, f"There is no request {request_id}")
    settings: Settings = request.app.state.settings
    return RequestedRuns(
        id=request_id,
        status=RequestState.of([each.status for each in found]),
        job=found[0].job,
        requested_by=found[0].requested_by,
        requested_at=found[0].due_at,
        runs=[RunView.of(each, settings.platform.webserver_url) for each in found],
    )


@router.get(
    "/api/batch/status/",
    summary="How schedules and runs stand",
    dependencies=[require(Scope.VIEWER)],
)
def get_status(
    schedules: Schedules,
    occurrences: Occurrences,
    request: Request,
    job: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_]{0,99}$")] = None,
    status: Annotated[OccurrenceStatus | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> Status:
    """Count what is waiting and running, and list the latest runs, of one job or state if asked."""
    all_schedules = schedules.list()
    active = [each for each in all_schedules if each.spec.is_active]
    counts = occurrences.open_counts()
    settings: Settings = request.app.state.settings
    found = occurrences.history(job=job, statuses=[status] if status else [], limit=limit)
    return Status(
        active_schedules=len(active),
        paused_schedules=len(all_schedules) - len(active),
        next_at=min((each.next_due_at for each in active if each.next_due_at), default=None),
        waiting=counts[OccurrenceStatus.DUE] + counts[OccurrenceStatus.LAUNCHING],
        running=counts[OccurrenceStatus.LAUNCHED],
        dispatcher_seen_at=occurrences.dispatcher_seen_at(),
        runs=[RunView.of(each, settings.platform.webserver_url) for each in found],
    )


@router.post(
    "/api/batch/sync/",
    summary="Whether what runs is in line with the schedules",
    dependencies=[require(Scope.OPERATOR)],
)
def sync(schedules: Schedules, occurrences: Occurrences, request: Request) -> InLine:
    """Tell whether the dispatcher follows the table; there is nothing to bring in line by hand.

    For clients of the old service, whose scheduler had a copy of the table. Here the table itself
    is what the dispatcher reads, every few seconds.
    """
    active = sum(each.spec.is_active for each in schedules.list())
    seen_at = occurrences.dispatcher_seen_at()
    now: datetime = request.app.state.clock()
    if seen_at is None or now - seen_at > _AWAY:
        return InLine(
            status="dispatcher away",
            schedules=active,
            detail="The daemon is away. Nothing is lost; it catches up when it is back",
        )
    return InLine(
        status="in line", schedules=active, detail="The dispatcher follows the table of schedules"
    )


def _request_id(token_id: str, idempotency_key: str | None) -> UUID:
    if idempotency_key is None:
        return uuid4()
    return uuid5(_KEYS, f"{token_id} {idempotency_key}")


def _job(schedules: ScheduleBook, name: str) -> Job:
    known = {job.name: job for job in schedules.jobs()}
    if not known:
        raise ProblemError(
            503,
            "The platform's jobs are not known yet. Start it with batch-platform up and try again"
            " in half a minute",
            headers={"Retry-After": "15"},
        )
    if name not in known:
        raise ProblemError(
            422, f"There is no job {name}. There are {', '.join(known)}", code="unknown-job"
        )
    return known[name]


def _partitions(request: Request, job: Job, content: RunContent) -> list[str]:
    """The partitions that a request means.

    Raises:
        ProblemError: 422; the job has none by the day, or a day is out of the question.
    """
    if job.partitions == "none":
        if content.days is not None:
            raise ProblemError(422, f"{job.name} has no days. Ask without a date", code="not-valid")
        return []
    if job.partitions not in {"daily", "monthly"}:
        raise ProblemError(422, f"{job.name} does not run by the day", code="not-valid")
    settings: Settings = request.app.state.settings
    now_day = today(request.app.state.clock, settings.platform.zone)
    first, last = content.days or (now_day - timedelta(days=1),) * 2
    if first < _FIRST_DAY or last > now_day + timedelta(days=1):
        raise ProblemError(
            422, f"Days are from {_FIRST_DAY} to tomorrow, {now_day + timedelta(days=1)}"
        )
    if (last - first).days >= _MOST_DAYS:
        raise ProblemError(
            422, f"A range has at most {_MOST_DAYS} days. Start a backfill in the webserver instead"
        )
    days = days_between(first, last)
    if job.partitions == "monthly":
        return sorted({day.replace(day=1).isoformat() for day in days})
    return [day.isoformat() for day in days]
