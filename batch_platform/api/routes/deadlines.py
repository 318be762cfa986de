"""By when each night's work must be there: seen and moved.

Which deadlines there are, the watch over incidents notes: domains cannot be asked without Dagster.
"""

from datetime import datetime, time
from typing import Annotated

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.api.alert_models import TimeOfDay, TimeShown
from batch_platform.api.books import Deadlines, Stores
from batch_platform.api.documentation import told
from batch_platform.api.problems import ProblemError
from batch_platform.api.schedule_models import WholeNumber
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.deadline_book import deadlines_noted
from batch_platform.operations.deadline_changes import DeadlineChange, known_deadlines

router = guarded_router("deadlines")

_ALL = "/api/deadlines/"
_ONE = _ALL + "{group}/{name}/"

Part = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


class DeadlineContent(BaseModel):
    """By when an asset's partition must be there."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"at": "06:30", "days_after": 1}]}
    )

    at: TimeOfDay | None = Field(
        description="In the platform's zone; null: it has no deadline", examples=["06:30"]
    )
    days_after: Annotated[
        WholeNumber, Field(ge=-7, le=31, description="From the partition's day to that of `at`")
    ] = 1


class DeadlineView(BaseModel):
    """A deadline."""

    asset: str = Field(examples=["chats/report"])
    at: TimeShown | None = Field(description="In the platform's zone; null: none")
    days_after: int | None
    is_changed: bool = Field(description="Whether a person put it in place of the usual one")


@router.get(_ALL, summary="All deadlines", dependencies=[require(Scope.VIEWER)])
def list_deadlines(db: Stores, changes: Deadlines) -> list[DeadlineView]:
    """List the deadlines that count, and those that a person took away."""
    return [
        DeadlineView(
            asset=asset,
            at=each.at,
            days_after=each.days_after,
            is_changed=each.is_changed,
        )
        for asset, each in known_deadlines(deadlines_noted(db), changes.all()).items()
    ]


@router.put(
    _ONE,
    summary="Move a deadline",
    dependencies=[require(Scope.ADMIN)],
    responses=told(404, "That asset has no deadline"),
)
def set_deadline(
    group: Part,
    name: Part,
    content: DeadlineContent,
    db: Stores,
    changes: Deadlines,
    caller: CallerParam,
    request: Request,
) -> DeadlineView:
    """Put a deadline in place of the usual one, or take it away. It counts within 30 seconds."""
    asset = f"{group}/{name}"
    if asset not in known_deadlines(deadlines_noted(db), changes.all()):
        raise _unknown(asset)
    at = time.fromisoformat(content.at) if content.at is not None else None
    days_after = content.days_after if at is not None else None
    now: datetime = request.app.state.clock()
    changes.set(asset, DeadlineChange(at, days_after), now, changed_by=caller.name)
    return DeadlineView(asset=asset, at=at, days_after=days_after, is_changed=True)


@router.delete(
    _ONE,
    summary="Put a deadline back",
    status_code=204,
    dependencies=[require(Scope.ADMIN)],
    responses=told(404, "That asset has no deadline"),
)
def reset_deadline(group: Part, name: Part, db: Stores, changes: Deadlines) -> None:
    """Let what code declares count again, within 30 seconds."""
    asset = f"{group}/{name}"
    if asset not in known_deadlines(deadlines_noted(db), changes.all()):
        raise _unknown(asset)
    changes.reset(asset)


def _unknown(asset: str) -> ProblemError:
    return ProblemError(404, f"{asset} has no deadline. List them to see which there are")
