"""Whether somebody may pass, for the reverse proxy in front of Dagster's webserver.

The webserver knows no users. The proxy asks here before it passes a request on: there is one login,
one kind of token and one place where a token ends. The proxy lets nobody else ask.
"""

from fastapi import APIRouter, Request, Response

from batch_platform.api.access import Caller, admit, authenticate
from batch_platform.api.pages.access import session_of
from batch_platform.gateways.tokens import Scope

router = APIRouter(include_in_schema=False)


@router.get("/access/{scope}")
async def access(request: Request, scope: Scope) -> Response:
    """Answer 204 to a token or session of that scope, 401 to none, 403 to a smaller one."""
    admit(await _caller(request), scope)
    return Response(status_code=204)


async def _caller(request: Request) -> Caller:
    if "Authorization" not in request.headers:
        session = await session_of(request)
        if session is not None:
            return session.caller
    return await authenticate(request)
