"""What every HTTP request goes through first: an id, a limit on its body, one log line."""

import re
import time
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from models.errors import TooLarge
from models.ids import new_id

__all__ = ["RequestMiddleware"]

log = structlog.get_logger(__name__)

_GIVEN_ID = re.compile(r"^[A-Za-z0-9._:-]{8,64}$")
_QUIET = ("/api/v1/pings", "/api/v1/devices", "/api/v1/health", "/metrics", "/assets", "/maps")
"""Paths that are asked so often that a line each belongs to `debug`."""


class RequestMiddleware:
    """Names, limits and logs requests; WebSockets pass untouched."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _GIVEN_ID.match(given) else new_id("req")
        scope["request_id"] = request_id
        begun = time.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                if _declared(headers) > self._max_body_bytes:
                    await problem_response(self._too_large(), request_id)(scope, receive, answer)
                else:
                    await self._app(scope, self._limited(receive), answer)
            finally:
                _log(scope, status, begun)

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body_bytes:
                # FastAPI lets an HTTPException through while it reads a body, and turns all others into a 400
                raise HTTPException(413, str(self._too_large()))
            return message

        return limited

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a body may have {self._max_body_bytes} bytes at most")


def _declared(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() and len(length) < 20 else 0


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
