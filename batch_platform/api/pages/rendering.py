"""Putting a page together: its template, its language, its headers, what it is drawn with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from batch_platform.api.pages.sessions import Session
from batch_platform.api.pages.words import Language, Words, language_of
from batch_platform.api.problems import PROBLEM_JSON
from batch_platform.core.errors import PlatformError
from batch_platform.core.settings import Settings

_STATIC = Path(__file__).parent / "static"
_KINDS = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_FILES = {name: (_STATIC / name).read_bytes() for name in _KINDS}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32"'
    ' rx="8" fill="#1f3a5f"/><path d="M21 19a8 8 0 1 1-8-10 6.5 6.5 0 0 0 8 10z"'
    ' fill="#fff"/></svg>'
)
_VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]
"""Of style and script: their addresses have it, so that a browser may keep them."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With no-referrer a browser says of our own forms too that they come from nowhere.
    "Referrer-Policy": "same-origin",
}
_LANGUAGE_COOKIE = "batch_platform_language"
_YEAR_SECONDS = 365 * 24 * 3600

_environment = Environment(
    loader=PackageLoader("batch_platform.api.pages"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)

_environment.filters["domain_name"] = lambda name, words: words.domain(name)


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    session: Session | None = None,
    status: int = 200,
) -> Response:
    """A page.

    Args:
        request: Says in which language.
        template: File in `templates/`.
        values: What it is about.
        session: Who is signed in.
        status: HTTP status.
    """
    settings: Settings = request.app.state.settings
    language = language_of(
        request.query_params.get("lang"),
        request.cookies.get(_LANGUAGE_COOKIE),
        request.headers.get("Accept-Language", ""),
    )
    words = Words(language, settings.platform.zone)
    html = _environment.get_template(template).render(
        {
            "w": words,
            "session": session,
            "version": _VERSION,
            "path": request.url.path,
            "organisation": settings.platform.org_name,
            "webserver_url": settings.platform.webserver_url.rstrip("/"),
            "is_made_up": settings.is_made_up,
            **values,
        }
    )
    response = HTMLResponse(html, status, _HEADERS | {"Content-Language": language})
    if request.query_params.get("lang") in set(Language):
        response.set_cookie(
            _LANGUAGE_COOKIE, language, max_age=_YEAR_SECONDS, httponly=True, samesite="lax"
        )
    return response


def file(name: str) -> Response | None:
    """Style, script or icon; None for any other name."""
    kept = {"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"}
    if name == "icon.svg":
        return Response(_ICON, 200, kept, "image/svg+xml")
    if name not in _FILES:
        return None
    return Response(_FILES[name], 200, kept, _KINDS[name])


async def error_page(
    request: Request, status: int, error: Exception | None, *, instance: str = ""
) -> Response:
    """A page that says what is wrong and what to do; tells nothing about the inside.

    Args:
        request: What could not be answered.
        status: HTTP status.
        error: Whose sentence is shown, unless the inside would be.
        instance: Names this occurrence in the log.
    """
    detail = ""
    if status in {403, 404, 409, 415, 422} and error is not None:
        detail = str(
            getattr(error, "detail", "") or (isinstance(error, PlatformError) and error) or ""
        )
    values = {"status": status, "detail": detail, "instance": instance}
    session: Session | None = getattr(request.state, "session", None)
    return render(request, "error.html", values, session=session, status=status)


def wants_page(request: Request) -> bool:
    """Whether a person asks, by a browser; programs are told in JSON."""
    accepted = request.headers.get("Accept", "")
    return "text/html" in accepted and PROBLEM_JSON not in accepted
