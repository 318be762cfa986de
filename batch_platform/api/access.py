"""Who asks, and whether they may: tokens of requests, scopes of routes, the audit of changes.

Every route is a `GuardedRoute` of a `guarded_router` and declares its scope with `require`; one
that does not cannot be made. The guard comes before anything of a request's body is read.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from batch_platform.api.database import ApiDatabase
from batch_platform.api.problems import ProblemError, status_of
from batch_platform.core.errors import PlatformError
from batch_platform.gateways.tokens import Scope, Token, find_token

CACHE_SECONDS = 2.0
"""How long a token that was found is taken for good: as long, a revoked one may still work."""

_READING = frozenset({"GET", "HEAD"})
_CHALLENGE = 'Bearer realm="batch-platform"'
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        token_id: Of the token; for the audit.
        name: Of the token.
        scope: What it allows.
    """

    token_id: str
    name: str
    scope: Scope


class TokenGate:
    """Tells who a token belongs to, asking the database about each at most every two seconds.

    Args:
        database: Where the tokens are.
        seconds: A monotonic clock.
    """

    def __init__(
        self, database: ApiDatabase, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def caller(self, token: str) -> Caller | None:
        """Whose token this is; None if it is not known or no longer in force."""
        # Found by its hash: how long a look-up takes tells nothing about a token.
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        until, caller = self._known.get(key, (0.0, None))
        left = until - self._seconds()
        if caller is None or left <= 0:
            return await asyncio.shield(self._asking_about(key, token))
        if left < CACHE_SECONDS / 2:
            # Asked again while the answer still holds: under load nobody has to wait for it.
            self._asking_about(key, token)
        return caller

    def _asking_about(self, key: bytes, token: str) -> "asyncio.Task[Caller | None]":
        """The one look-up that goes on for all requests with this token."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, token))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._over(key, done))
        return task

    def _over(self, key: bytes, task: "asyncio.Task[Caller | None]") -> None:
        self._asking.pop(key)
        if not task.cancelled() and (problem := task.exception()) is not None:
            # Whoever waits is told; what holds goes on holding until its time is over.
            _log.debug("A token could not be looked up: %s", type(problem).__name__)

    async def _ask(self, key: bytes, token: str) -> Caller | None:
        async with self._database.connection() as connection:
            found = await find_token(connection, token)
        if found is None:
            self._known.pop(key, None)
            return None
        caller = Caller(found.token_id, found.name, found.scope)
        self._known[key] = (self._seconds() + _trusted_seconds(found), caller)
        return caller


def _trusted_seconds(token: Token) -> float:
    if token.expires_at is None:
        return CACHE_SECONDS
    return min(CACHE_SECONDS, (token.expires_at - datetime.now(UTC)).total_seconds())


async def authenticate(request: Request) -> Caller:
    """Tell who asks.

    Raises:
        ProblemError: 401; there is no token, or it is not in force.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ProblemError(
            401,
            "A token is needed, in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    gate: TokenGate = request.app.state.gate
    caller = await gate.caller(token.strip())
    if caller is None:
        raise ProblemError(
            401,
            "This token is not known, has expired or was revoked",
            code="invalid-token",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        )
    return caller


async def caller_of(request: Request) -> Caller:
    """Who asks, as a dependency of a route; the guard has told already."""
    # Dependencies are `async`, however short: FastAPI gives each plain one a thread.
    return request.state.caller


CallerParam = Annotated[Caller, Depends(caller_of)]


class _Required:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self) -> None:
        """Nothing: the guard reads the scope before the request's body is read."""


def require(scope: Scope) -> Any:
    """Declare the scope that a route needs, among its `dependencies`."""
    return Depends(_Required(scope))


class GuardedRoute(APIRoute):
    """A route that needs a token of its scope; what it changes is in the audit."""

    @property
    def scope(self) -> Scope:
        """The scope it needs.

        Raises:
            TypeError: It does not say.
        """
        scopes = [
            each.dependency.scope
            for each in self.dependencies
            if isinstance(each.dependency, _Required)
        ]
        if len(scopes) != 1:
            raise TypeError(f"{self.methods} {self.path} must declare one scope with require(…)")
        return scopes[0]

    def get_route_handler(self) -> Callable[[Request], Any]:
        """FastAPI's, behind the guard."""
        handle = super().get_route_handler()
        needed = self.scope

        async def guarded(request: Request) -> Response:
            caller = await authenticate(request)
            request.state.caller = caller
            if request.method in _READING:
                admit(caller, needed)
                return await handle(request)
            return await audited(request, caller, lambda: _changed(request, needed, handle))

        return guarded


def guarded_router(tag: str, prefix: str = "") -> APIRouter:
    """A router whose routes are guarded.

    Args:
        tag: The group of its routes in the OpenAPI document.
        prefix: Of all its paths.
    """
    return APIRouter(prefix=prefix, tags=[tag], route_class=GuardedRoute)


async def _changed(
    request: Request, needed: Scope, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    admit(request.state.caller, needed)
    _require_json(request)
    return await handle(request)


def admit(caller: Caller, needed: Scope) -> None:
    """Let in who may.

    Raises:
        ProblemError: 403; the scope is too small.
    """
    if not caller.scope.includes(needed):
        raise ProblemError(
            403,
            f"This needs a token of scope {needed}; {caller.name} has {caller.scope}",
            code="scope-too-small",
        )


def _require_json(request: Request) -> None:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("Content-Length", "0") != "0" or (
        "Transfer-Encoding" in request.headers
    )
    if has_body and kind != "application/json":
        raise ProblemError(415, "Send JSON, with Content-Type: application/json")


async def audited(
    request: Request, caller: Caller, change: Callable[[], Awaitable[Response]]
) -> Response:
    """Carry a change out between two writes to the audit: begun, and what came of it."""
    database: ApiDatabase = request.app.state.database
    async with database.connection() as connection:
        cursor = await connection.execute(
            "INSERT INTO api.audit (token_id, token_name, method, path) VALUES (%s, %s, %s, %s)"
            " RETURNING audit_id",
            # Without the query; a NUL, which PostgreSQL refuses, may come percent-encoded.
            [caller.token_id, caller.name, request.method, request.url.path.replace("\0", "?")],
        )
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT … RETURNING
    outcome: int | None = None
    try:
        response = await change()
        outcome = response.status_code
        return response
    except Exception as error:
        outcome = status_of(error)
        raise
    finally:
        await _note_outcome(database, row[0], outcome)


async def _note_outcome(database: ApiDatabase, audit_id: int, outcome: int | None) -> None:
    try:
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE api.audit SET outcome = %s, ended_at = now() WHERE audit_id = %s",
                [outcome, audit_id],
            )
    except PlatformError as error:
        # The change is made or refused: saying otherwise now would be wrong.
        _log.error("The outcome %s of change %s is not in the audit: %s", outcome, audit_id, error)
