"""`create_app`: the API put together. Nothing is opened before a request needs it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from batch_platform.api.access import GuardedRoute, TokenGate
from batch_platform.api.database import ApiDatabase
from batch_platform.api.documentation import document, scopes_of
from batch_platform.api.edge import SECURITY_HEADERS, Edge
from batch_platform.api.pages import admission, files, inbox, morning, sign_in, spending
from batch_platform.api.pages.rendering import error_page, wants_page
from batch_platform.api.problems import install
from batch_platform.api.routes import (
    alerts,
    costs,
    deadlines,
    fortunes,
    health,
    metrics,
    quarantine,
    runs,
    schedules,
    token,
)
from batch_platform.api.shortcut import Shortcut
from batch_platform.core.days import Clock, utc_now
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import dagster_database_url, open_platform_db

THREADS = 16
"""In which plain `def` routes run."""

_GUARDED: tuple[APIRouter, ...] = (
    schedules.router,
    runs.router,
    token.router,
    fortunes.router,
    costs.router,
    quarantine.router,
    alerts.router,
    deadlines.router,
    metrics.router,
)
"""Routers whose every route needs a token. A domain's router is added here."""

_PAGES: tuple[APIRouter, ...] = (morning.router, inbox.router, spending.router)
"""Routers of pages, whose every route needs a session."""

_OPEN: tuple[APIRouter, ...] = (sign_in.router, files.router, admission.router)
"""What may be asked before somebody has signed in."""


def create_app(
    settings: Settings,
    *,
    open_db: Callable[[], PlatformDb] | None = None,
    open_dagster_db: Callable[[], PlatformDb] | None = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """Make the application.

    Args:
        settings: The active profile's.
        open_db: Reaches the platform's database; from the settings by default.
        open_dagster_db: Reaches Dagster's storage; from the settings by default.
        clock: The current time.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # Each thread may hold a connection of its own, and the night needs some too.
        current_default_thread_limiter().total_tokens = THREADS
        app.state.database = ApiDatabase(
            open_db or (lambda: open_platform_db(settings)),
            open_dagster_db or (lambda: PlatformDb(dagster_database_url(settings))),
        )
        app.state.gate = TokenGate(app.state.database)
        yield
        await app.state.database.close()

    app = FastAPI(
        title="batch_platform",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        # Their pages load scripts from elsewhere; the document itself is enough for tools.
        docs_url=None,
        redoc_url=None,
        # It would send what went wrong, in its own words, wherever an OTEL_… variable says.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.clock = clock
    app.include_router(health.router)
    for router in (*_GUARDED, *_PAGES):
        _require_guard(router)
        app.include_router(router)
    for router in _OPEN:
        app.include_router(router)
    routes = [
        route
        for router in (health.router, *_GUARDED, *_PAGES, *_OPEN)
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    app.state.methods_at = lambda path: _methods_at(routes, path)
    scopes = scopes_of(routes)
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document(app, scopes))
        return made

    app.openapi = openapi
    app.state.wants_page = wants_page
    app.state.error_page = error_page
    install(app, SECURITY_HEADERS)
    app.add_middleware(Shortcut, application=app)
    app.add_middleware(Edge, names=settings.api.names)
    return app


def _methods_at(routes: Sequence[APIRoute], path: str) -> list[str]:
    """The methods that an address knows, in order."""
    known = (route.methods or () for route in routes if route.path_regex.match(path))
    methods = set().union(*known) or {"GET"}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _require_guard(router: APIRouter) -> None:
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} is open to everybody: make it with guarded_router")
