"""The quarantine, for programs: listed, asked again, discarded."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.api.books import Occurrences, Quarantine
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.quarantine import (
    MOST_REASON_LENGTH,
    ItemKey,
    QuarantinedItem,
)

router = guarded_router("quarantine")

_ALL = "/api/quarantine/"
_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class ItemName(BaseModel):
    """Names an item."""

    model_config = ConfigDict(extra="forbid")

    task: _Text = Field(examples=["chats.classify"])
    partition: _Text = Field(examples=["2026-11-20"])
    item_id: _Text = Field(examples=["17"])

    def key(self) -> ItemKey:
        """As operations know it."""
        return ItemKey(self.task, self.partition, self.item_id)


_Names = Annotated[list[ItemName], Field(min_length=1, max_length=500)]


class ItemView(ItemName):
    """An item that was set aside."""

    reason: str = Field(description="Why, without personal data")
    quarantined_at: datetime
    attempts: int | None = Field(description="How often a model was asked; null: never")
    cost_krw: float | None
    model: str | None
    discarded_because: str = Field(description="Why a person gave it up; empty while it waits")
    discarded_by: str

    @classmethod
    def of(cls, item: QuarantinedItem) -> "ItemView":
        """An item as it is shown."""
        return cls(
            task=item.key.task,
            partition=item.key.partition,
            item_id=item.key.item_id,
            reason=item.reason,
            quarantined_at=item.at,
            attempts=item.attempts,
            cost_krw=item.cost_krw,
            model=item.model,
            discarded_because=item.discarded_because,
            discarded_by=item.discarded_by,
        )


class RetryContent(BaseModel):
    """Items to be asked about once more."""

    model_config = ConfigDict(extra="forbid")

    items: _Names


class DiscardContent(RetryContent):
    """Items to give up, and why."""

    reason: Annotated[
        str, Field(min_length=1, max_length=MOST_REASON_LENGTH, pattern=r"^[^\x00]+$")
    ]


class RunName(BaseModel):
    """A run that was asked for."""

    job: str
    partition: str


class Retried(BaseModel):
    """What was set going."""

    items: int = Field(description="That runs ask about")
    runs: list[RunName]
    answered: int = Field(
        description="That rules answered meanwhile: a model is asked when a person runs"
        " `batch-platform interventions run --force` for their day"
    )


class Discarded(BaseModel):
    """How many were given up now."""

    items: int


@router.get(_ALL, summary="What was set aside", dependencies=[require(Scope.VIEWER)])
def list_items(
    quarantine: Quarantine,
    domain: Annotated[str | None, Query(pattern=r"^[a-z_]{1,50}$")] = None,
    with_discarded: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[ItemView]:
    """List items, the newest first."""
    found = quarantine.items(domain=domain, with_discarded=with_discarded, limit=limit)
    return [ItemView.of(each) for each in found]


@router.post(
    f"{_ALL}retry/",
    summary="Ask about items once more",
    status_code=202,
    dependencies=[require(Scope.OPERATOR)],
)
def retry_items(
    content: RetryContent, quarantine: Quarantine, occurrences: Occurrences, caller: CallerParam
) -> Retried:
    """Let their days' jobs run again, which ask only what is missing."""
    keys = [each.key() for each in content.items]
    done = quarantine.ask_again(keys, occurrences, requested_by=caller.name)
    runs = [RunName(job=job, partition=partition) for job, partition in done.runs]
    return Retried(items=done.items, runs=runs, answered=done.answered)


@router.post(f"{_ALL}discard/", summary="Give items up", dependencies=[require(Scope.OPERATOR)])
def discard_items(
    content: DiscardContent, quarantine: Quarantine, caller: CallerParam
) -> Discarded:
    """Take items out of the inbox for good, with a reason."""
    keys = [each.key() for each in content.items]
    return Discarded(items=quarantine.discard(keys, content.reason, discarded_by=caller.name))
