"""The morning page: last night at a glance, what is wrong, and a button that runs it again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from batch_platform.api.access import require
from batch_platform.api.books import DagsterStorage, Occurrences, Stores
from batch_platform.api.pages.access import FormParam, SessionParam, page_router
from batch_platform.api.pages.rendering import render
from batch_platform.api.problems import ProblemError
from batch_platform.core.settings import Settings
from batch_platform.gateways.run_history import reading_runs
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.morning import NightState, read_morning, retry_of_incident
from batch_platform.operations.morning.reading import REPORTS

router = page_router()

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("/", dependencies=[require(Scope.VIEWER)])
def morning_page(
    request: Request,
    session: SessionParam,
    db: Stores,
    dagster_db: DagsterStorage,
    occurrences: Occurrences,
    asked: Annotated[UUID | None, Query()] = None,
    over: Annotated[bool, Query()] = False,
) -> Response:
    """Last night at a glance."""
    settings: Settings = request.app.state.settings
    morning = read_morning(db, dagster_db, settings, request.app.state.clock())
    counts = {state: sum(each.state is state for each in morning.nights) for state in NightState}
    values = {
        "morning": morning,
        "counts": counts,
        "wrong": morning.wrong,
        "asked": occurrences.requested(str(asked)) if asked else [],
        "is_over": over,
        "can_run": session.caller.scope.includes(Scope.OPERATOR),
        "new_key": uuid4,
    }
    return render(request, "morning.html", values, session=session)


@router.post("/retry", dependencies=[require(Scope.OPERATOR)])
def retry(session: SessionParam, form: FormParam, db: Stores, occurrences: Occurrences) -> Response:
    """Ask for the run that mends an incident; a form sent twice asks once."""
    wanted = retry_of_incident(db, _number(form, "incident"))
    if wanted is None:
        return RedirectResponse("/?over=1", 303)
    key = _key(form)
    occurrences.request_run(
        wanted.job,
        [wanted.partition] if wanted.partition else [],
        {},
        key=str(key),
        requested_by=session.caller.name,
    )
    return RedirectResponse(f"/?asked={key}", 303)


@router.get("/reports/{group}/{name}/{partition}", dependencies=[require(Scope.VIEWER)])
def report(
    request: Request, group: str, name: str, partition: str, dagster_db: DagsterStorage
) -> Response:
    """The file that an asset's partition wrote last."""
    asset = f"{group}/{name}"
    settings: Settings = request.app.state.settings
    if asset in REPORTS:
        with reading_runs(dagster_db) as history:
            made = history.last_made({asset: [partition]}) if history else []
        folder = settings.chats_report_folder
        path = Path(made[0].path).resolve() if made and made[0].path else None
        if path is not None and path.is_relative_to(folder) and path.is_file():
            return FileResponse(path, media_type=_XLSX, filename=path.name)
    raise ProblemError(404, "There is no such report, or its file was moved")


def _number(form: Mapping[str, str], name: str) -> int:
    value = form.get(name, "")
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise ProblemError(422, f"{name} is no number")
    return int(value)


def _key(form: Mapping[str, str]) -> UUID:
    try:
        return UUID(form.get("key", ""))
    except ValueError:
        raise ProblemError(422, "The form is not complete. Load the page again") from None
