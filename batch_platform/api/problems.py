"""Every error of the API as RFC 9457 `application/problem+json`: what is wrong and what to do.

A problem tells nothing about the inside: no stack trace, no SQL, no value of the request.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from batch_platform.core.errors import (
    ConfigurationError,
    ConflictError,
    NoDataError,
    NotFoundError,
    PermanentError,
    PlatformError,
    RetryableError,
    StaleVersionError,
    sentence_of_validator,
)

PROBLEM_JSON = "application/problem+json"
_TYPE = "urn:batch-platform:problem:"
_RETRY_AFTER_SECONDS = 5
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    where: str = Field(examples=["body/hour"])
    problem: str = Field(examples=["Input should be less than or equal to 23"])


class Problem(BaseModel):
    """An error (RFC 9457). `type` is stable: programs may tell errors apart by it."""

    type: str = Field(examples=["urn:batch-platform:problem:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no schedule 12"])
    instance: str | None = Field(
        None, description="Names this occurrence in the log", examples=["urn:uuid:8c5e…"]
    )
    errors: list[FieldProblem] | None = Field(None, description="Of a request that is not valid")


class ProblemError(HTTPException):
    """An error that a route answers with.

    Args:
        status: HTTP status.
        detail: What is wrong and what to do, in a sentence or two.
        code: Last part of the problem's type; from the status by default.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code


class ProblemResponse(JSONResponse):
    """A problem as an answer."""

    media_type = PROBLEM_JSON


def answer(
    status: int,
    detail: str,
    *,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    instance: str | None = None,
    errors: Sequence[FieldProblem] | None = None,
) -> ProblemResponse:
    """Make the answer for a problem."""
    title = HTTPStatus(status).phrase
    problem = Problem(
        type=_TYPE + (code or title.lower().replace(" ", "-")),
        title=title,
        status=status,
        detail=detail,
        instance=instance,
        errors=list(errors) if errors is not None else None,
    )
    return ProblemResponse(problem.model_dump(exclude_none=True), status, headers)


def status_of(error: Exception) -> int:
    """The HTTP status that an error is answered with."""
    match error:
        case HTTPException():
            return error.status_code
        case RequestValidationError():
            return 422
        case NoDataError() | NotFoundError():
            return 404
        case StaleVersionError():
            return 412
        case ConflictError():
            return 409
        case PermanentError():
            return 422
        case RetryableError() | ConfigurationError():
            return 503
        case _:
            return 500


def install(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Answer every error of an application with a problem.

    Args:
        app: The application.
        headers: Of answers that no middleware sees: those to what nobody expected.
    """

    async def unexpected(request: Request, _error: Exception) -> Response:
        # The server logs the error itself; this line says which answer it led to.
        instance = uuid4().urn
        _log.error("%s %r answered 500 as %s", request.method, request.url.path, instance)
        if request.app.state.wants_page(request):
            page = await request.app.state.error_page(request, 500, None, instance=instance)
            page.headers.update({**headers, **page.headers})
            return page
        detail = "Something went wrong here. The log tells what, under this instance"
        return answer(500, detail, instance=instance, headers=headers)

    app.add_exception_handler(HTTPException, _known)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(PlatformError, _platform)
    app.add_exception_handler(Exception, unexpected)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    if error.status_code == 404 and request.app.state.wants_page(request):
        return await request.app.state.error_page(request, 404, None)
    headers = error.headers
    if error.status_code == 405:
        # FastAPI names the methods of the first route alone.
        headers = {"Allow": ", ".join(request.app.state.methods_at(request.url.path))}
    code = error.code if isinstance(error, ProblemError) else ""
    details = {404: "Nothing is here", 405: "This address does not know that method"}
    is_ours = isinstance(error, ProblemError)
    detail = error.detail if is_ours else details.get(error.status_code, error.detail)
    return answer(error.status_code, detail, code=code, headers=headers)


async def _not_valid(_request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    errors = [_field_problem(each) for each in error.errors()]
    detail = "The request is not valid: " + "; ".join(
        f"{each.where}: {each.problem}" for each in errors[:3]
    )
    return answer(422, detail, code="not-valid", errors=errors)


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    # Without the input, which may be personal data. A name in it may be no text that can be sent.
    where = "/".join(map(str, error["loc"])).encode("utf-8", "replace").decode()
    return FieldProblem(where=where[:200], problem=sentence_of_validator(error["msg"]))


async def _platform(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, PlatformError)  # noqa: S101 - registered for these alone
    status = status_of(error)
    if status != 503:
        return answer(status, str(error))
    _log.error("%s %r answered 503: %s", request.method, request.url.path, error)
    seconds = error.retry_after_seconds if isinstance(error, RetryableError) else None
    return answer(
        503,
        "The platform cannot answer now. Try again; its log tells why",
        headers={"Retry-After": str(int(seconds or _RETRY_AFTER_SECONDS))},
    )
