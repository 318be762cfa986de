"""The guard of the pages: a session, a scope, and for changes that the form is our own.

Every route is a `PageRoute` of a `page_router`. Errors become pages here.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from batch_platform.api.access import GuardedRoute, admit, audited
from batch_platform.api.pages.rendering import error_page
from batch_platform.api.pages.sessions import COOKIE, Session, find_session
from batch_platform.api.problems import ProblemError, status_of
from batch_platform.core.errors import PlatformError

SIGN_IN = "/login"
_FORM = "application/x-www-form-urlencoded"


class PageRoute(GuardedRoute):
    """A page that needs a session of its scope; what it changes is in the audit."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """FastAPI's, behind the guard."""
        handle = APIRoute.get_route_handler(self)  # not the guard of programs, which wants a header
        needed = self.scope

        async def guarded(request: Request) -> Response:
            session = await session_of(request)
            if session is None:
                return _to_sign_in(request)
            request.state.session = session
            request.state.caller = session.caller
            if request.method in {"GET", "HEAD"}:
                admit(session.caller, needed)
                return await handle(request)

            async def change() -> Response:
                admit(session.caller, needed)
                request.state.form = await own_form(request, session)
                return await handle(request)

            return await audited(request, session.caller, change)

        return telling_in_pages(guarded)


class OpenPageRoute(APIRoute):
    """A page for everybody: the sign-in and what it is drawn with."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """FastAPI's; errors become pages."""
        return telling_in_pages(super().get_route_handler())


def page_router() -> APIRouter:
    """A router whose routes are pages behind the guard."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def telling_in_pages(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Let errors that have a sentence become pages; others are the application's."""

    async def telling(request: Request) -> Response:
        try:
            return await handle(request)
        except (ProblemError, PlatformError, RequestValidationError) as error:
            return await error_page(request, status_of(error), error)

    return telling


async def session_of(request: Request) -> Session | None:
    """Who is signed in."""
    secret = request.cookies.get(COOKIE)
    return await find_session(request.app.state.database, secret) if secret else None


async def own_form(request: Request, session: Session | None) -> Mapping[str, str]:
    """Read a form that one of our own pages sent; the last of several values of a name counts.

    Args:
        request: The request.
        session: Whose page it is; None before somebody has signed in.

    Raises:
        ProblemError: 403, another site's page sent it; 415, it is no form.
    """
    _require_own_page(request)
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        raise ProblemError(415, "Send a form")
    # The edge bounds its size.
    fields = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=500))
    if session is not None and not hmac.compare_digest(
        fields.get("csrf", "").encode(), session.csrf_token.encode()
    ):
        raise ProblemError(403, "This form is out of date. Load the page again", code="csrf")
    return fields


def _require_own_page(request: Request) -> None:
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    own = request.headers.get("Host", "")
    if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc != own):
        raise ProblemError(403, "Another site's page sent this", code="csrf")


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path if request.method == "GET" else "/"
    query = "" if wanted == "/" else f"?next={quote(wanted)}"
    return RedirectResponse(f"{SIGN_IN}{query}", 303)


async def _form(request: Request) -> Mapping[str, str]:
    return request.state.form


async def _session(request: Request) -> Session:
    return request.state.session


FormParam = Annotated[Mapping[str, str], Depends(_form)]
SessionParam = Annotated[Session, Depends(_session)]
