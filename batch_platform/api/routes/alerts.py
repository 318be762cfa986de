"""Who is told of what: open incidents, mutes, the routes of messages, and whether they arrive."""

from datetime import timedelta
from typing import Annotated

from fastapi import Body, Path, Request, Response

from batch_platform.api.access import CallerParam, guarded_router, require
from batch_platform.api.alert_models import (
    IncidentView,
    MuteContent,
    MuteView,
    RouteChanges,
    RouteContent,
    RouteView,
    TrialContent,
    TrialView,
)
from batch_platform.api.books import Incidents
from batch_platform.api.documentation import told
from batch_platform.api.preconditions import LARGEST_ID, IfMatch, etag, expected_version
from batch_platform.core.days import Clock
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.incidents.outbox import send_test_messages
from batch_platform.operations.incidents.routes import AlertRoute

router = guarded_router("alerts")

_INCIDENTS = "/api/alerts/incidents/"
_MUTES = "/api/alerts/mutes/"
_ROUTES = "/api/alerts/routes/"
_ROUTE = _ROUTES + "{route_id}/"
_TEST_TIMEOUT_SECONDS = 10.0

RouteId = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[3])]
IncidentId = Annotated[int, Path(ge=1, le=LARGEST_ID, examples=[12])]
_ETAG = {"ETag": {"description": "Send it as If-Match", "schema": {"type": "string"}}}
_WITH_ETAG = {200: {"headers": _ETAG}}
_LOCATION = {"Location": {"description": "Its address", "schema": {"type": "string"}}}
_CHANGING = {
    **told(404, "There is no such route"),
    **told(412, "It was changed meanwhile: read it again"),
    **told(428, "If-Match is needed"),
}


@router.get(_INCIDENTS, summary="What is wrong now", dependencies=[require(Scope.VIEWER)])
def list_incidents(incidents: Incidents) -> list[IncidentView]:
    """List open incidents, the oldest first."""
    return [IncidentView.of(each) for each in incidents.open_incidents()]


@router.get(_MUTES, summary="What nobody is told of for now", dependencies=[require(Scope.VIEWER)])
def list_mutes(incidents: Incidents, request: Request) -> list[MuteView]:
    """List open incidents that are muted now."""
    return [MuteView.of(each) for each in incidents.muted_incidents(_clock(request)())]


@router.post(
    _MUTES,
    summary="Mute an incident",
    status_code=201,
    dependencies=[require(Scope.ADMIN)],
    responses={201: {"headers": _LOCATION}, **told(404, "There is no such open incident")},
)
def mute(
    content: MuteContent,
    incidents: Incidents,
    caller: CallerParam,
    request: Request,
    response: Response,
) -> MuteView:
    """Tell nobody of an open incident for some hours. It can be seen all the same."""
    until = _clock(request)() + timedelta(hours=content.hours)
    incidents.mute(content.incident_id, until, muted_by=caller.name)
    response.headers["Location"] = f"{_MUTES}{content.incident_id}/"
    return MuteView(incident_id=content.incident_id, muted_until=until, muted_by=caller.name)


@router.delete(
    _MUTES + "{incident_id}/",
    summary="End a mute",
    status_code=204,
    dependencies=[require(Scope.ADMIN)],
    responses=told(404, "There is no such open incident"),
)
def unmute(incident_id: IncidentId, incidents: Incidents, caller: CallerParam) -> None:
    """Tell of an open incident again, muted or not. What waited goes now."""
    incidents.mute(incident_id, None, muted_by=caller.name)


@router.get(_ROUTES, summary="All routes", dependencies=[require(Scope.OPERATOR)])
def list_routes(incidents: Incidents) -> list[RouteView]:
    """List routes. Without any, messages go to every channel of the settings."""
    return [RouteView.of(each) for each in incidents.routes()]


@router.post(
    _ROUTES,
    summary="Add a route",
    status_code=201,
    dependencies=[require(Scope.ADMIN)],
    responses={201: {"headers": _ETAG | _LOCATION}},
)
def add_route(
    content: RouteContent,
    incidents: Incidents,
    caller: CallerParam,
    request: Request,
    response: Response,
) -> RouteView:
    """Add a route. From then on messages go only where routes say."""
    added = incidents.add_route(content.route(), _clock(request)(), changed_by=caller.name)
    response.headers["Location"] = _ROUTE.format(route_id=added.route_id)
    return _answer(response, added)


@router.get(
    _ROUTE,
    summary="One route",
    dependencies=[require(Scope.OPERATOR)],
    responses={**_WITH_ETAG, **told(404, "There is no such route")},
)
def get_route(route_id: RouteId, incidents: Incidents, response: Response) -> RouteView:
    """Read one route, and the ETag to change it with."""
    return _answer(response, incidents.route(route_id))


@router.put(
    _ROUTE,
    summary="Replace a route",
    dependencies=[require(Scope.ADMIN)],
    responses={**_WITH_ETAG, **_CHANGING},
)
def replace_route(
    route_id: RouteId,
    content: RouteContent,
    incidents: Incidents,
    caller: CallerParam,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> RouteView:
    """Replace a route whole. Messages that wait already go where they were to go."""
    version = expected_version(if_match, route_id, is_required=True)
    edited = incidents.edit_route(
        content.route(route_id), _clock(request)(), changed_by=caller.name, version=version
    )
    return _answer(response, edited)


@router.patch(
    _ROUTE,
    summary="Change parts of a route",
    dependencies=[require(Scope.ADMIN)],
    responses={**_WITH_ETAG, **_CHANGING},
)
def change_route(
    route_id: RouteId,
    changes: Annotated[RouteChanges, Body()],
    incidents: Incidents,
    caller: CallerParam,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> RouteView:
    """Change what the body names and leave the rest."""
    version = expected_version(if_match, route_id, is_required=True)
    found = incidents.route(route_id)
    edited = incidents.edit_route(
        changes.applied_to(found),
        _clock(request)(),
        changed_by=caller.name,
        # Based on what was just read when any will do: what is left out must not be undone.
        version=found.version if version is None else version,
    )
    return _answer(response, edited)


@router.delete(
    _ROUTE,
    summary="Delete a route",
    status_code=204,
    dependencies=[require(Scope.ADMIN)],
    responses=_CHANGING,
)
def delete_route(route_id: RouteId, incidents: Incidents, if_match: IfMatch = None) -> None:
    """Remove a route. Without any, messages go everywhere again."""
    version = expected_version(if_match, route_id, is_required=True)
    incidents.delete_route(route_id, version=version)


@router.post(
    "/api/alerts/test/", summary="Send a test message", dependencies=[require(Scope.ADMIN)]
)
def send_test(content: TrialContent, incidents: Incidents, request: Request) -> list[TrialView]:
    """Send a message that says it is a test wherever such an incident would be told, at any hour.

    Without a fitting route nothing goes anywhere, and the list is empty.
    """
    settings = request.app.state.settings
    clock = _clock(request)
    mailer = Mailer(settings.mail, clock=clock, timeout_seconds=_TEST_TIMEOUT_SECONDS)
    tried = send_test_messages(
        incidents.routes(), mailer, settings, clock(),
        domain=content.domain, severity=content.severity,
    )  # fmt: skip
    return [TrialView.of(each) for each in tried]


def _clock(request: Request) -> Clock:
    return request.app.state.clock


def _answer(response: Response, route: AlertRoute) -> RouteView:
    response.headers["ETag"] = etag(route.route_id, route.version)
    return RouteView.of(route)
