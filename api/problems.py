"""Errors as `application/problem+json` (RFC 9457): the only place where an error becomes a status.

A problem carries `type` (stable), `title`, `status`, `detail`, `code` (the last part of the type), `requestId`, and
where they help `errors` (field paths), `allowed`, `current`. It never carries what was sent, and never a stack trace.
"""

import functools
import http
import re
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from api.security import security_headers, with_headers
from models import errors
from models.errors import (
    ImportRefused,
    InvalidInput,
    NotAuthenticated,
    OutriderError,
    StoreUnavailable,
    TryLater,
    UnsupportedContent,
)

__all__ = [
    "MEDIA_TYPE",
    "STATUSES",
    "Problem",
    "field_faults",
    "install_problems",
    "problem_of",
    "problem_response",
    "status_of",
]

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
"""Of every error answer."""

TYPE_PREFIX = "/problems/"
_RETRY_AFTER_STORE_S = 2.0
_MAX_ERRORS = 50  # a bulk body may be wrong in a thousand places

STATUSES: Mapping[type[OutriderError], int] = {
    errors.OutriderError: 500,
    errors.InvalidInput: 422,
    errors.BundleRefused: 422,
    errors.Malformed: 400,
    errors.TooLarge: 413,
    errors.UnsupportedContent: 415,
    errors.UnknownRange: 416,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TryLater: 503,
    errors.RateLimited: 429,
}
"""Status of each branch of the error tree; a class takes that of its nearest ancestor here."""

_CODES: Mapping[int, str] = {
    400: "malformed",
    401: errors.NotAuthenticated.code,
    403: errors.NotAllowed.code,
    404: errors.NotFound.code,
    405: "method-not-allowed",
    409: errors.Conflict.code,
    413: errors.TooLarge.code,
    415: errors.UnsupportedContent.code,
    416: errors.UnknownRange.code,
    422: errors.InvalidInput.code,
    429: errors.RateLimited.code,
    503: errors.TryLater.code,
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    """Path of the field, `stops.0.latitude`."""
    detail: str


class Problem(BaseModel):
    """An error, RFC 9457."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None
    errors: list[FieldProblem] | None = None
    allowed: list[str] | None = None
    current: int | None = None
    rows: list[dict[str, Any]] | None = None
    """What was to become of each row of a refused import."""


def status_of(kind: type[OutriderError]) -> int:
    """Return the status of an error class."""
    return next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)


def problem_of(error: OutriderError, request_id: str | None = None) -> dict[str, Any]:
    """Return an error as a problem; what is our own fault says nothing of the inside."""
    status = status_of(type(error))
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _problem(status, "error", "something went wrong on our side", request_id)
    problem = _problem(status, error.code, str(error), request_id)
    if isinstance(error, InvalidInput) and error.fields:
        problem["errors"] = [{"field": field, "detail": detail} for field, detail in error.fields[:_MAX_ERRORS]]
    if isinstance(error, ImportRefused):
        problem["rows"] = [dict(row) for row in error.rows]
    for name in ("allowed", "current"):
        if (value := getattr(error, name, None)) is not None and not (name == "current" and isinstance(value, str)):
            problem[name] = list(value) if name == "allowed" else value
    return problem


def problem_response(error: OutriderError, request_id: str | None = None) -> Response:
    """Return an error as an answer."""
    headers = {}
    if isinstance(error, TryLater):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return _respond(problem_of(error, request_id), headers)


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(OutriderError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(PyMongoError, _on_store)
    app.add_exception_handler(RedisError, _on_store)
    app.add_exception_handler(Exception, _on_unknown)


def field_faults(found: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what pydantic found wrong, as pairs of (field path, what is wrong with it)."""
    return [(_path(one["loc"]), str(one["msg"]).removeprefix("Value error, ")) for one in found]


async def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, OutriderError)  # noqa: S101 - registered for this class
    if status_of(type(error)) == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return await _on_unknown(request, error)
    return problem_response(error, _request_id(request))


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    if (content := _unsupported(request)) is not None:
        return problem_response(content, _request_id(request))
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        problem = _problem(400, "malformed", "the body is not valid JSON", _request_id(request))
        return _respond(problem, {})
    fields = field_faults(found)
    detail = f"{fields[0][0] or 'body'}: {fields[0][1]}" if fields else "the request is not valid"
    return problem_response(InvalidInput(detail, fields), _request_id(request))


def _unsupported(request: Request) -> UnsupportedContent | None:
    """Return what is wrong with the content type of a body that could not be taken, if that is what it is."""
    wanted = getattr(getattr(request.scope.get("route"), "body_field", None), "field_info", None)
    wanted_type = getattr(wanted, "media_type", None)
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if wanted_type is None or given == wanted_type or not (given or _has_body(request)):
        return None
    if wanted_type == "application/json" and given.endswith("+json"):
        return None
    return UnsupportedContent(f"a body here is {wanted_type}", [("Content-Type", wanted_type)])


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = _CODES.get(error.status_code, "error")
    problem = _problem(error.status_code, code, str(error.detail), _request_id(request))
    headers = dict(error.headers or {})
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods_at(request)):
        headers["Allow"] = ", ".join(sorted(methods))  # the framework names those of the first route alone
    return _respond(problem, headers)


def _methods_at(request: Request) -> set[str]:
    """Return the documented methods of a path, however many routes serve it; a route without parameters comes first."""
    path = request.url.path
    found: dict[str, set[str]] = {}
    for context in iter_route_contexts(request.app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema and _pattern(str(context.path)).match(path):
            found.setdefault(str(context.path), set()).update(route.methods or ())
    return found.get(path) or set().union(*found.values())


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


async def _on_store(request: Request, error: Exception) -> Response:
    log.warning("store.failed", error=str(error), kind=type(error).__name__)
    away = StoreUnavailable("a store does not answer at the moment", _RETRY_AFTER_STORE_S)
    return problem_response(away, _request_id(request))


async def _on_unknown(request: Request, error: Exception) -> Response:
    log.error("request.failed", path=request.url.path, exc_info=error)
    response = problem_response(OutriderError(), _request_id(request))
    # Starlette answers the unforeseen outside of all middleware
    response.raw_headers = with_headers(response.raw_headers, security_headers(request.url.path, request.url.scheme))
    return response


def _problem(status: int, code: str, detail: str, request_id: str | None) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return problem | ({"requestId": request_id} if request_id else {})


def _respond(problem: dict[str, Any], headers: dict[str, str]) -> Response:
    return JSONResponse(problem, problem["status"], headers, MEDIA_TYPE)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _request_id(request: Request) -> str | None:
    identifier = request.scope.get("request_id")
    return identifier if isinstance(identifier, str) else None


def _path(location: Iterable[str | int]) -> str:
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if parts and parts[0] in ("body", "query", "path", "header") else parts)
