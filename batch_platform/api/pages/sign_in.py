"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from batch_platform.api.access import TokenGate
from batch_platform.api.pages.access import SIGN_IN, OpenPageRoute, own_form, session_of
from batch_platform.api.pages.rendering import render
from batch_platform.api.pages.sessions import COOKIE, LIFETIME, begin_session, end_session
from batch_platform.core.settings import Settings

router = APIRouter(route_class=OpenPageRoute, include_in_schema=False)

Next = Annotated[str, Query(alias="next", max_length=500)]


@router.get(SIGN_IN)
async def sign_in_page(request: Request, wanted: Next = "/") -> Response:
    """The form; for who is signed in already, where they wanted to go."""
    if await session_of(request) is not None:
        return RedirectResponse(_own_path(wanted), 303)
    return render(request, "sign_in.html", {"next": _own_path(wanted), "is_wrong": False})


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Take a token, give a cookie."""
    form = await own_form(request, None)
    wanted = _own_path(form.get("next", "/"))
    gate: TokenGate = request.app.state.gate
    caller = await gate.caller(form.get("token", "").strip())
    if caller is None:
        values = {"next": wanted, "is_wrong": True}
        return render(request, "sign_in.html", values, status=401)
    secret = await begin_session(request.app.state.database, caller)
    answer = RedirectResponse(wanted, 303)
    settings: Settings = request.app.state.settings
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.api.url.startswith("https:"),
    )
    return answer


@router.post("/logout")
async def sign_out(request: Request) -> Response:
    """End the session."""
    session = await session_of(request)
    if session is not None:
        await own_form(request, session)
        await end_session(request.app.state.database, request.cookies[COOKIE])
    answer = RedirectResponse(SIGN_IN, 303)
    answer.delete_cookie(COOKIE)
    return answer


def _own_path(wanted: str) -> str:
    """An address of ours; whatever could lead elsewhere becomes the morning page."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_ours and wanted.isprintable() else "/"
