"""`create_app`: the API put together. Nothing is opened before a request needs it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from batch_platform.api.access import GuardedRoute, TokenGate
from batch_platform.api.database import ApiDatabase
from batch_platform.api.documentation import document, scopes_of
from batch_platform.api.edge import SECURITY_HEADERS, Edge
from batch_platform.api.problems import install
from batch_platform.api.routes import health, token
from batch_platform.core.days import Clock, utc_now
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import open_platform_db

MOST_BODY_BYTES = 65_536
_GUARDED: tuple[APIRouter, ...] = (token.router,)
"""Routers whose every route needs a token. A domain's router is added here."""


def create_app(
    settings: Settings,
    *,
    open_db: Callable[[], PlatformDb] | None = None,
    clock: Clock = utc_now,
) -> FastAPI:
    """Make the application.

    Args:
        settings: The active profile's.
        open_db: Reaches the platform's database; from the settings by default.
        clock: The current time.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.database = ApiDatabase(open_db or (lambda: open_platform_db(settings)))
        app.state.gate = TokenGate(app.state.database)
        yield
        await app.state.database.close()

    app = FastAPI(
        title="batch_platform",
        version="1",
        lifespan=lifespan,
        max_body_size=MOST_BODY_BYTES,
        redirect_slashes=False,
        # Their pages load scripts from elsewhere; the document itself is enough for tools.
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.clock = clock
    app.include_router(health.router)
    for router in _GUARDED:
        _require_guard(router)
        app.include_router(router)
    scopes = scopes_of([route for router in _GUARDED for route in router.routes])
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(document(app, scopes))
        return made

    app.openapi = openapi
    install(app, SECURITY_HEADERS)
    app.add_middleware(Edge, names=settings.api.names)
    return app


def _require_guard(router: APIRouter) -> None:
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} is open to everybody: make it with guarded_router")
