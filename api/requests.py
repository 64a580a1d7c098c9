"""What every HTTP request goes through first: an id, one log line, and the headers that every answer carries."""

import re
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.security import security_headers, with_headers
from models.ids import new_id

__all__ = ["RequestMiddleware"]

log = structlog.get_logger(__name__)

_GIVEN_ID = re.compile(r"^[A-Za-z0-9._:-]{8,64}$")
_QUIET = ("/api/v1/pings", "/api/v1/devices", "/api/v1/health", "/metrics", "/assets", "/maps")
"""Paths that are asked so often that a line each belongs to `debug`."""


class RequestMiddleware:
    """Names and logs requests, and adds the headers that answers have in common; WebSockets pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        common = security_headers(scope["path"], scope.get("scheme", "http"))
        begun = time.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = with_headers([*message["headers"], (b"x-request-id", request_id.encode())], common)
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, answer)
        finally:
            _log(scope, status, begun)
            structlog.contextvars.reset_contextvars(**bound)


def _request_id(scope: Scope) -> str:
    """Return the id that a request brings, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if _GIVEN_ID.match(given) else new_id("req")
    return new_id("req")


def _log(scope: dict[str, Any] | Scope, status: int, begun: float) -> None:
    path = scope["path"]
    write = log.debug if path.startswith(_QUIET) and status < 500 else log.info
    write(
        "request.served",
        method=scope["method"],
        path=_without_key(path),
        status=status,
        duration_ms=round((time.monotonic() - begun) * 1000, 1),
    )


def _without_key(path: str) -> str:
    """Return a path as it may stand in a log: devices carry their key in it."""
    return "/".join(path.split("/")[:5]) if path.startswith("/api/v1/devices/") else path
