"""One user's fortune, for the app: of the day that it is where they live, or of a given day."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.datastructures import State

from batch_platform.api.access import guarded_router, require
from batch_platform.api.database import ApiDatabase
from batch_platform.api.documentation import told
from batch_platform.api.gathering import Gathered
from batch_platform.api.problems import ProblemError
from batch_platform.core.days import Clock
from batch_platform.domains.fortunes.lookup_store import Found, Wanted, find_fortunes
from batch_platform.gateways.tokens import Scope

router = guarded_router("fortunes")

_KEPT = {
    "Cache-Control": {"description": "How long it holds", "schema": {"type": "string"}},
    "ETag": {"description": "For If-None-Match", "schema": {"type": "string"}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": _KEPT},
    304: {"description": "What If-None-Match names still holds"},
    **told(404, "There is no fortune, and why"),
}

_FRESH_SECONDS = 60
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_JSON = "application/json"

Lookup = Gathered[Wanted, Found]


class FortuneView(BaseModel):
    """A user's fortune of a day; texts and scores as the app's table holds them."""

    user_id: str = Field(examples=["42"])
    for_date: date
    status: str = Field(examples=["completed"])
    time_zone: str = Field(description="Where the user lives", examples=["Asia/Seoul"])
    gapja_code: int = Field(ge=0, le=59, description="The day's pillar; 0 is 갑자")
    gapja_name: str = Field(examples=["경자"])
    gapja_element: str = Field(examples=["금"])
    fortune_data: dict[str, Any]
    fortune_score: dict[str, Any]
    is_made_up: bool = Field(description="Whether the sandbox wrote it: nothing in it is real")
    generated_at: datetime


def _written_out(value: object) -> object:
    # pydantic would take a number for seconds since 1970.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write a day like 2026-11-22")
    return value


Day = Annotated[date, BeforeValidator(_written_out)]
UserId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00/]+$")]


@router.get(
    "/fortune/today",
    summary="A user's fortune of the day that it is where the user lives",
    dependencies=[require(Scope.VIEWER)],
    response_model=FortuneView,
    responses=_RESPONSES,
)
async def today(
    request: Request, user_id: Annotated[UserId, Query(description="The app's key of the user")]
) -> Response:
    """Answer with the fortune; 404 with the reason when there is none (yet)."""
    return await _answer(request, Wanted(user_id))


@router.get(
    "/fortunes/{user_id}/{for_date}",
    summary="A user's fortune of a day",
    dependencies=[require(Scope.VIEWER)],
    response_model=FortuneView,
    responses=_RESPONSES,
)
async def of_day(
    request: Request,
    user_id: Annotated[UserId, Path(description="The app's key of the user")],
    for_date: Day,
) -> Response:
    """Answer with the fortune; 404 with the reason when there is none (yet)."""
    return await _answer(request, Wanted(user_id, for_date))


@dataclass(frozen=True, slots=True)
class Answer:
    """A fortune as it is answered: its JSON, and how long a client may keep it."""

    content: bytes
    cache_control: str
    tag: str


def answer_of(found: Found, wanted: Wanted, now: datetime) -> Answer | None:
    """The answer for what was found; None when the fortune failed."""
    if found.content is None:
        return None
    seconds = _FRESH_SECONDS
    if wanted.for_date is None:
        seconds = min(seconds, _seconds_left(found, now))
    tag = f'"{found.for_date:%Y%m%d}-{found.generated_at.timestamp():.6f}"'
    return Answer(found.content, f"private, max-age={seconds}", tag)


def lookup_of(state: State) -> Lookup:
    """An application's one gatherer, made by its first request."""
    lookup: Lookup | None = getattr(state, "fortune_lookup", None)
    if lookup is None:
        lookup = state.fortune_lookup = Gathered(_finder(state.database, state.clock))
    return lookup


async def _answer(request: Request, wanted: Wanted) -> Response:
    state = request.app.state
    found = await lookup_of(state).get(wanted)
    if found is None:
        raise ProblemError(404, _why_none(wanted), code="no-fortune")
    clock: Clock = state.clock
    answer = answer_of(found, wanted, clock())
    if answer is None:
        raise ProblemError(404, _why_failed(wanted, found), code="fortune-failed")
    headers = {"Cache-Control": answer.cache_control, "ETag": answer.tag}
    if request.headers.get("If-None-Match") == answer.tag:
        return Response(status_code=304, headers=headers)
    return Response(answer.content, headers=headers, media_type=_JSON)


def _finder(
    database: ApiDatabase, clock: Clock
) -> Callable[[Sequence[Wanted]], Awaitable[Mapping[Wanted, Found]]]:
    async def find(wanted: Sequence[Wanted]) -> Mapping[Wanted, Found]:
        async with database.connection() as connection:
            return await find_fortunes(connection, wanted, clock())

    return find


def _why_none(wanted: Wanted) -> str:
    day = "today" if wanted.for_date is None else wanted.for_date.isoformat()
    return (
        f"User {wanted.user_id} has no fortune for {day}. Fortunes are made the evening before, for"
        " active users with a birth date"
    )


def _why_failed(wanted: Wanted, found: Found) -> str:
    again = (
        f"It is tried again from {found.next_retry_at:%Y-%m-%dT%H:%M:%SZ}"
        if found.next_retry_at
        else "It is not tried again by itself"
    )
    return f"The fortune of user {wanted.user_id} for {found.for_date} failed. {again}"


def _seconds_left(found: Found, now: datetime) -> int:
    """Whole seconds until the day is over where the user lives."""
    local = now.astimezone(_zone(found.time_zone))
    midnight = datetime.combine(
        found.for_date + timedelta(days=1), datetime.min.time(), local.tzinfo
    )
    return max(int((midnight - local).total_seconds()), 0)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
