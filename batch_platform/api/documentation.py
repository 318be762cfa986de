"""The OpenAPI document: FastAPI's, completed with what the guard and the edge may answer."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from batch_platform.api.access import GuardedRoute
from batch_platform.api.problems import PROBLEM_JSON, Problem
from batch_platform.gateways.tokens import Scope

_DESCRIPTION = """Schedules, runs and results of the batch platform.

Send a token with every request: `Authorization: Bearer bpt_…`, made by
`batch-platform tokens create`. A token's scope is viewer (reads), operator (starts runs too) or
admin (changes schedules, alerts and deadlines too). Errors are RFC 9457 problems. Addresses below
`/api/` are understood with and without their last slash.
"""
_ALWAYS = {
    421: "The host name is not known here",
    503: "The database does not answer; try again after Retry-After seconds",
}
_GUARDED = {401: "No token, or not one in force", 403: "The token's scope is too small"}
_WITH_BODY = {
    400: "The body cannot be read",
    413: "The body is too large",
    415: "The body is not JSON",
}
_HEADERS = {
    401: {"WWW-Authenticate": "How to show a token"},
    503: {"Retry-After": "Seconds to wait"},
}


def document(app: FastAPI, scopes: Mapping[tuple[str, str], Scope]) -> dict[str, Any]:
    """The document of an application, complete.

    Args:
        app: The application.
        scopes: (path, method in lower case) → the scope that a guarded route needs.
    """
    made = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "batch-platform tokens create"}
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, scopes.get((path, method)))
    return made


def _complete(operation: dict[str, Any], scope: Scope | None) -> None:
    told = dict(_ALWAYS)
    if scope is not None:
        told |= _GUARDED
        operation["security"] = [{"token": []}]
        operation["description"] = (
            f"{operation.get('description', '')}\n\nNeeds scope **{scope}**.".strip()
        )
    if "requestBody" in operation:
        told |= _WITH_BODY
    responses = operation["responses"]
    if "422" in responses:
        responses.pop("422")
        told[422] = "The request is not valid; `errors` says where"
    for status, description in told.items():
        responses.setdefault(str(status), {"description": description})
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = {
                PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
            headers = _HEADERS.get(int(status), {})
            if headers:
                response["headers"] = {
                    name: {"description": text, "schema": {"type": "string"}}
                    for name, text in headers.items()
                }


def told(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside what every one may, for its `responses`."""
    return {status: {"description": description}}


def scopes_of(routes: list[Any]) -> dict[tuple[str, str], Scope]:
    """The scope of each guarded route, by path and method."""
    return {
        (route.path, method.lower()): route.scope
        for route in routes
        if isinstance(route, GuardedRoute)
        for method in route.methods or ()
    }
