"""The short way from a request to its endpoint, past FastAPI, for what needs nothing that only FastAPI does.

The endpoint, what it depends on and what checks its parameters are the very ones that are declared; only the finding
and the calling differ (`api.fast_routes`). Whatever is out of the ordinary takes FastAPI's way, above all everything
that is refused for its form: so there is one place that says what is wrong with a request.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse
from fastapi.utils import is_body_allowed_for_status_code
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.fast_routes import FastRoute, FastRoutes, NotFast, Step

__all__ = ["FastPathMiddleware"]

_JSON = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
_CALL = "outrider.call"


class FastPathMiddleware:
    """Calls endpoints itself where it can; it stands innermost, right before FastAPI's routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes: FastRoutes | None = None
        self._guarded: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._routes is None:
            self._learn(scope["app"])
        found = self._routes.find(scope["method"], scope["path"]) if self._routes is not None else None
        if found is None or not found[0].headers.isdisjoint(name for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        route, path = found
        body = None
        if route.body is not None:
            message = await receive()
            receive = _again(message, receive)
            body = message if message["type"] == "http.request" and not message.get("more_body") else None
        try:
            values = _bound(route, path, scope, body)
        except NotFast:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {name: given[0] for name, given in path.items()}
        scope[_CALL] = route, values
        await self._guarded(scope, receive, send)

    def _learn(self, app: FastAPI) -> None:
        """Look at the application's routes and at how it answers errors, once all of both are there."""
        self._routes = FastRoutes(app)
        handlers = {kind: handler for kind, handler in app.exception_handlers.items() if kind not in (500, Exception)}
        self._guarded = ExceptionMiddleware(_call, handlers=handlers)


async def _call(scope: Scope, receive: Receive, send: Send) -> None:
    route, values = scope[_CALL]
    added = Response() if route.adds_headers else None
    made = await _run(route.step, values, Request(scope, receive), added)
    if not isinstance(made, Response):
        made = _answer(route, made)
        if added is not None:
            made.raw_headers.extend(header for header in added.raw_headers if header[0] != b"content-length")
    await made(scope, receive, send)


async def _run(step: Step, values: dict[str, Any], request: Request, added: Response | None) -> Any:
    """Call a function of the endpoint's after those that it depends on."""
    for inner in step.inner:
        values[inner.name] = await _run(inner, values[inner.name], request, added)
    if step.request is not None:
        values[step.request] = request
    if step.response is not None:
        values[step.response] = added
    return await step.call(**values)


def _answer(route: FastRoute, made: Any) -> Response:
    """Return what an endpoint made as FastAPI would answer it."""
    context = route.context
    status = context.status_code or 200
    field = context.response_field
    if field is None:
        answer = JSONResponse(made, status)
        if not is_body_allowed_for_status_code(status):
            answer.body = b""
        return answer
    value, faults = field.validate(made, {}, loc=("response",))
    if faults:
        raise ResponseValidationError(errors=faults, body=made)
    content = field.serialize_json(value, by_alias=context.response_model_by_alias)
    return Response(content, status, media_type="application/json")


def _bound(route: FastRoute, path: Mapping[str, list[str]], scope: Scope, body: Message | None) -> dict[str, Any]:
    """Return the endpoint's arguments, those of what it depends on under their names; raises `NotFast`."""
    assert route.step is not None  # noqa: S101  # such routes are not found
    values = route.step.bound(path, _query(scope["query_string"]))
    if route.body is not None:
        values[route.body.name] = route.body.read({"": [_json(scope, body)]})
    return values


def _query(query: bytes) -> dict[str, list[str]]:
    """Return the values of a query by name."""
    found: dict[str, list[str]] = {}
    if query:
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            found.setdefault(name, []).append(value)
    return found


def _json(scope: Scope, message: Message | None) -> Any:
    """Return what a body of JSON says; raises `NotFast` if it is none, or has not come in one piece."""
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    content = message.get("body") if message is not None else None
    if not content or kind.lower() not in _JSON:
        raise NotFast
    try:
        return json.loads(content)
    except ValueError as fault:
        raise NotFast from fault


def _again(message: Message, receive: Receive) -> Receive:
    """Return where a message that was read comes once more, before those that follow it."""
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
