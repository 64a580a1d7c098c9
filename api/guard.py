"""What stands before the endpoints: how often an address may ask, and what no endpoint takes."""

from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import check_json
from api.limits import is_counted, network_of
from api.problems import problem_response
from models.errors import InvalidInput, OutriderError, TooLarge

__all__ = ["GuardMiddleware"]

_OWN_READERS = ("/api/v1/pings", "/api/v1/devices/")
"""Paths whose bodies are read by decoders of their own: a device must not be refused, and pings go by index."""

_UPLOADS = "/proofs"
_FORM_BYTES = 16 * 1024  # what a form puts round a file


class GuardMiddleware:
    """Refuses requests before they reach an endpoint; WebSockets pass untouched.

    Parameters
    ----------
    app
        What stands behind.
    max_body_bytes
        Largest body.
    max_upload_bytes
        Largest file, on the paths that take files.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes + _FORM_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            receive = await self._admitted(scope, receive)
        except OutriderError as refusal:
            await problem_response(refusal, scope.get("request_id"))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        """Return where the endpoint reads the body of a request that may come in."""
        path: str = scope["path"]
        if is_counted(path):
            scope["app"].state.services.limits.take_address(network_of(scope))
        _check_address(path, scope["query_string"])
        length, kind = b"", b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                kind = value
        limit = self._max_upload_bytes if path.endswith(_UPLOADS) else self._max_body_bytes
        if length.isdigit() and (len(length) > 18 or int(length) > limit):
            raise _too_large(limit)
        if _is_json(kind) and not path.startswith(_OWN_READERS):
            return await self._checked(receive)
        return _limited(receive, limit)

    async def _checked(self, receive: Receive) -> Receive:
        """Read a body of JSON, refuse what no endpoint takes, and return where it can be read again."""
        chunks, size, message = [], 0, await receive()
        while message["type"] == "http.request":
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body_bytes:
                raise _too_large(self._max_body_bytes)
            if not message.get("more_body"):
                break
            message = await receive()
        body = b"".join(chunks)
        if message["type"] == "http.request" and body:
            check_json(body)
        waiting = [{"type": "http.request", "body": body, "more_body": message["type"] != "http.request"}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        return again


def _limited(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            # FastAPI lets an HTTPException through while it reads a body, and turns all others into a 400
            raise HTTPException(413, str(_too_large(limit)))
        return message

    return limited


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"a body may have {limit} bytes at most")


def _is_json(kind: bytes) -> bool:
    return b"json" in kind.lower() and b"ndjson" not in kind and b"jsonl" not in kind


def _check_address(path: str, query: bytes) -> None:
    """Refuse null bytes, and what is not UTF-8, in the path and the query."""
    if "\x00" in path or "\ufffd" in path:
        raise InvalidInput("the path holds a null byte or is not UTF-8", [("path", "no text")])
    if b"%" not in query and query.isascii() and b"\x00" not in query:
        return
    for pair in query.split(b"&"):
        plain = unquote_to_bytes(pair)
        try:
            wrong = "holds a null byte" if "\x00" in plain.decode() else None
        except UnicodeDecodeError:
            wrong = "is not UTF-8"
        if wrong is not None:
            name = plain.partition(b"=")[0].replace(b"\x00", b"?").decode(errors="replace")[:64]
            raise InvalidInput(f"{name}: {wrong}", [(name, wrong)])
