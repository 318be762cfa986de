"""Schedules: the old service's one address for all of them, and an address for each."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Body, Path, Query, Request, Response
from pydantic import BaseModel, Field

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.api.books import Occurrences, Schedules
from batch_platform.api.documentation import told
from batch_platform.api.preconditions import LARGEST_ID, IfMatch, etag, expected_version
from batch_platform.api.problems import ProblemError
from batch_platform.api.run_models import RunView
from batch_platform.api.schedule_models import (
    ScheduleChanges,
    ScheduleContent,
    ScheduleContentInTheList,
    ScheduleView,
)
from batch_platform.core.settings import Settings
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.schedules import Schedule, ScheduleBook, ScheduleSpec

DEFAULT_JOB = "interventions_job"
_ALL = "/api/batch/schedule/"
_ONE = _ALL + "{schedule_id}/"

router = guarded_router("schedules")

ScheduleId = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[3])]
_ETAG = {"ETag": {"description": "Send it as If-Match", "schema": {"type": "string"}}}
_WITH_ETAG = {200: {"headers": _ETAG}}


class Preview(BaseModel):
    """When a schedule is due next."""

    times: list[str] = Field(
        description="In the schedule's own zone; none while it is inactive",
        examples=[["2026-11-22T09:00:00+09:00"]],
    )


@router.get(_ALL, summary="All schedules", dependencies=[require(Scope.VIEWER)])
def list_schedules(schedules: Schedules) -> list[ScheduleView]:
    """List every schedule, by name."""
    return [ScheduleView.of(each) for each in schedules.list()]


@router.post(
    _ALL,
    summary="Add a schedule",
    status_code=201,
    dependencies=[require(Scope.ADMIN)],
    responses={
        201: {
            "headers": _ETAG
            | {"Location": {"description": "Its address", "schema": {"type": "string"}}}
        },
        **told(409, "The name is taken"),
    },
)
def add_schedule(
    content: ScheduleContent,
    schedules: Schedules,
    caller: CallerParam,
    request: Request,
    response: Response,
) -> ScheduleView:
    """Add a schedule. It is due from now on, never in the past."""
    added = schedules.add(_spec(request, schedules, content), added_by=caller.name)
    response.headers["Location"] = _ONE.format(schedule_id=added.schedule_id)
    return _answer(response, added)


@router.put(
    _ALL,
    summary="Replace a schedule, named in the body",
    dependencies=[require(Scope.ADMIN)],
    responses={
        **_WITH_ETAG,
        **told(404, "There is no such schedule"),
        **told(409, "The name is taken"),
        **told(412, "It was changed meanwhile"),
    },
)
def replace_named_schedule(
    content: ScheduleContentInTheList,
    schedules: Schedules,
    caller: CallerParam,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ScheduleView:
    """Replace the schedule of the body's `id`, else of its name. For clients of the old service."""
    found = schedules.get(content.id) if content.id is not None else schedules.named(content.name)
    version = expected_version(if_match, found.schedule_id, is_required=False)
    spec = _spec(request, schedules, content)
    edited = schedules.edit(found.schedule_id, spec, version=version, edited_by=caller.name)
    return _answer(response, edited)


@router.delete(
    _ALL,
    summary="Delete a schedule, named in the query",
    status_code=204,
    dependencies=[require(Scope.ADMIN)],
    responses={
        **told(404, "There is no such schedule"),
        **told(412, "It was changed meanwhile"),
    },
)
def delete_named_schedule(
    schedules: Schedules,
    caller: CallerParam,
    schedule_id: Annotated[int | None, Query(alias="id", ge=1, le=LARGEST_ID)] = None,
    name: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    if_match: IfMatch = None,
) -> None:
    """Delete the schedule of that id or name. For clients of the old service."""
    if (schedule_id is None) == (name is None):
        raise ProblemError(422, "Say id or name in the query", code="not-valid")
    if schedule_id is None:
        schedule_id = schedules.named((name or "").replace("\0", "")).schedule_id
    version = expected_version(if_match, schedule_id, is_required=False)
    schedules.delete(schedule_id, deleted_by=caller.name, version=version)


@router.get(
    _ONE,
    summary="One schedule",
    dependencies=[require(Scope.VIEWER)],
    responses={**_WITH_ETAG, **told(404, "There is no such schedule")},
)
def get_schedule(schedule_id: ScheduleId, schedules: Schedules, response: Response) -> ScheduleView:
    """Read one schedule, and the ETag to change it with."""
    return _answer(response, schedules.get(schedule_id))


_CHANGING = {
    **told(404, "There is no such schedule"),
    **told(412, "It was changed meanwhile: read it again"),
    **told(428, "If-Match is needed"),
}


@router.put(
    _ONE,
    summary="Replace a schedule",
    dependencies=[require(Scope.ADMIN)],
    responses={**_WITH_ETAG, **_CHANGING, **told(409, "The name is taken")},
)
def replace_schedule(
    schedule_id: ScheduleId,
    content: ScheduleContent,
    schedules: Schedules,
    caller: CallerParam,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ScheduleView:
    """Replace a schedule whole. Times until now stay as they were, times after now are the new."""
    version = expected_version(if_match, schedule_id, is_required=True)
    schedules.get(schedule_id)
    spec = _spec(request, schedules, content)
    edited = schedules.edit(schedule_id, spec, version=version, edited_by=caller.name)
    return _answer(response, edited)


@router.patch(
    _ONE,
    summary="Change parts of a schedule",
    dependencies=[require(Scope.ADMIN)],
    responses={**_WITH_ETAG, **_CHANGING, **told(409, "The name is taken")},
)
def change_schedule(
    schedule_id: ScheduleId,
    changes: Annotated[ScheduleChanges, Body()],
    schedules: Schedules,
    caller: CallerParam,
    response: Response,
    if_match: IfMatch = None,
) -> ScheduleView:
    """Change what the body names and leave the rest. `is_active` false pauses it."""
    version = expected_version(if_match, schedule_id, is_required=True)
    found = schedules.get(schedule_id)
    spec = changes.applied_to(found.spec)
    _require_job(schedules, spec)
    # Based on what was just read when any version will do: what is left out must not be undone.
    based_on = found.version if version is None else version
    edited = schedules.edit(schedule_id, spec, version=based_on, edited_by=caller.name)
    return _answer(response, edited)


@router.delete(
    _ONE,
    summary="Delete a schedule",
    status_code=204,
    dependencies=[require(Scope.ADMIN)],
    responses=_CHANGING,
)
def delete_schedule(
    schedule_id: ScheduleId, schedules: Schedules, caller: CallerParam, if_match: IfMatch = None
) -> None:
    """End a schedule. What waits is skipped, what runs goes on, its history stays."""
    version = expected_version(if_match, schedule_id, is_required=True)
    schedules.delete(schedule_id, deleted_by=caller.name, version=version)


@router.get(
    _ONE + "preview/",
    summary="When a schedule is due next",
    dependencies=[require(Scope.VIEWER)],
    responses=told(404, "There is no such schedule"),
)
def preview_schedule(schedule_id: ScheduleId, schedules: Schedules) -> Preview:
    """Tell the next ten times."""
    zone = ZoneInfo(schedules.get(schedule_id).spec.timezone)
    times = schedules.preview(schedule_id, 10)
    return Preview(times=[each.astimezone(zone).isoformat() for each in times])


@router.get(
    _ONE + "runs/",
    summary="What a schedule led to",
    dependencies=[require(Scope.VIEWER)],
    responses=told(404, "There is no such schedule"),
)
def schedule_runs(
    schedule_id: ScheduleId,
    schedules: Schedules,
    occurrences: Occurrences,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> list[RunView]:
    """List what was due, the latest first, and what became of it. Of a deleted one too."""
    schedules.changes(schedule_id)
    settings: Settings = request.app.state.settings
    found = occurrences.history(schedule_id=schedule_id, limit=limit)
    return [RunView.of(each, settings.platform.webserver_url) for each in found]


def _spec(request: Request, schedules: ScheduleBook, content: ScheduleContent) -> ScheduleSpec:
    settings: Settings = request.app.state.settings
    spec = content.spec(job=DEFAULT_JOB, timezone=settings.platform.timezone)
    _require_job(schedules, spec)
    return spec


def _require_job(schedules: ScheduleBook, spec: ScheduleSpec) -> None:
    """Refuse a job that is not there; when none is known yet, the book says so itself."""
    names = [job.name for job in schedules.jobs()]
    if names and spec.job not in names:
        raise ProblemError(
            422, f"There is no job {spec.job}. There are {', '.join(names)}", code="unknown-job"
        )


def _answer(response: Response, schedule: Schedule) -> ScheduleView:
    response.headers["ETag"] = etag(schedule.schedule_id, schedule.version)
    return ScheduleView.of(schedule)
