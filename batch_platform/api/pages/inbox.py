"""The quarantine's inbox: what was set aside, why, and what a person decides about it."""

import json
from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from batch_platform.api.access import require
from batch_platform.api.books import Occurrences, Quarantine
from batch_platform.api.pages.access import FormParam, SessionParam, page_router
from batch_platform.api.pages.rendering import render
from batch_platform.api.problems import ProblemError
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.quarantine import MOST_REASON_LENGTH, ItemKey, QuarantineBook

router = page_router()

_SHOWN = 200
_ALL = "all"


@router.get("/quarantine", dependencies=[require(Scope.VIEWER)])
def quarantine_page(
    request: Request,
    session: SessionParam,
    quarantine: Quarantine,
    again: Annotated[int | None, Query(ge=0)] = None,
    answered: Annotated[int, Query(ge=0)] = 0,
    gone: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """What waits in quarantine."""
    items = quarantine.items(limit=_SHOWN + 1)
    values = {
        "items": items[:_SHOWN],
        "has_more": len(items) > _SHOWN,
        "again": again,
        "answered": answered,
        "gone": gone,
        "can_run": session.caller.scope.includes(Scope.OPERATOR),
        "longest_reason": MOST_REASON_LENGTH,
        "name_of": _name_of,
    }
    return render(request, "quarantine.html", values, session=session)


@router.post("/quarantine/retry", dependencies=[require(Scope.OPERATOR)])
def retry(
    session: SessionParam, form: FormParam, quarantine: Quarantine, occurrences: Occurrences
) -> Response:
    """Ask about one item, or all, once more."""
    done = quarantine.ask_again(
        _keys(form, quarantine), occurrences, requested_by=session.caller.name
    )
    answered = f"&answered={done.answered}" if done.answered else ""
    return RedirectResponse(f"/quarantine?again={done.items}{answered}", 303)


@router.post("/quarantine/discard", dependencies=[require(Scope.OPERATOR)])
def discard(session: SessionParam, form: FormParam, quarantine: Quarantine) -> Response:
    """Give one item, or all, up."""
    count = quarantine.discard(
        _keys(form, quarantine), form.get("reason", ""), discarded_by=session.caller.name
    )
    return RedirectResponse(f"/quarantine?gone={count}", 303)


def _name_of(key: ItemKey) -> str:
    return json.dumps([key.task, key.partition, key.item_id], ensure_ascii=False)


def _keys(form: Mapping[str, str], quarantine: QuarantineBook) -> list[ItemKey]:
    """The items that a form means: one, or all that the page showed."""
    name = form.get("item", "")
    if name == _ALL:
        return [each.key for each in quarantine.items(limit=_SHOWN)]
    try:
        parts = json.loads(name)
    except ValueError:
        parts = None
    match parts:
        case [str(task), str(partition), str(item_id)] if "\0" not in name and "\\u" not in name:
            return [ItemKey(task, partition, item_id)]
        case _:
            raise ProblemError(422, "The form is not complete. Load the page again")
