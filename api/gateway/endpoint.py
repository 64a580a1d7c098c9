"""The WebSocket `/api/v1/ws`: who may in, and how a connection ends."""

import asyncio
import contextlib
import functools
import socket
from typing import TYPE_CHECKING

import msgspec
import structlog
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.auth.principal import Principal
from api.auth.rights import may
from api.auth.staying import until_revoked
from api.gateway.connection import BROKEN, FORBIDDEN, TRY_LATER, Closed, Connection
from api.gateway.frames import message
from api.gateway.topics import Authenticate, parse_message
from engine.telemetry import metrics
from models.errors import InvalidInput, NotAllowed, NotAuthenticated, OutriderError, TryLater
from models.ids import new_id

if TYPE_CHECKING:
    from api.services import Services

__all__ = ["TRANSPORT", "router"]

log = structlog.get_logger(__name__)

router = APIRouter()

TRANSPORT = "outrider.transport"
"""ASGI extension that holds the connection's transport, where the server gives it."""

_PROTOCOL = 1
_SUBPROTOCOL = "outrider"  # a browser offers it and its token, because it can set no header
_AUTHENTICATE_WITHIN_S = 10.0
_CLOSE_WITHIN_S = 2.0
_SEND_BUFFER_BYTES = 128 * 2**10  # what waits in the kernel is old news: better that the next frame be newer
_MAX_REASON = 120  # bytes of a close reason, RFC 6455 section 5.5


@router.websocket("/api/v1/ws")
async def live(websocket: WebSocket) -> None:
    """Serve live frames to one subscriber."""
    services: Services = websocket.app.state.services
    offered = websocket.scope.get("subprotocols", [])
    transport: asyncio.Transport | None = websocket.scope.get("extensions", {}).get(TRANSPORT)
    if transport is not None:
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    await websocket.accept(subprotocol=_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
    try:
        principal = await _authenticate(websocket, services)
        await _serve(websocket, services, principal)
    except Closed as ended:
        log.info("gateway.closed", code=ended.code, reason=ended.reason)
        if not await _closed(websocket, ended.code, ended.reason) and transport is not None:
            transport.abort()
    except (WebSocketDisconnect, OSError):
        return


async def _serve(websocket: WebSocket, services: "Services", principal: Principal) -> None:
    session = new_id("ses")
    packed = websocket.query_params.get("encoding") == "packed"
    hello = message("connection_established", session=session, protocol=_PROTOCOL)
    await websocket.send_text(hello.decode())
    log.info("gateway.opened", tenant=principal.tenant, session=session, packed=packed)
    async with services.hub.feed(principal.tenant) as feed:
        revoked = functools.partial(until_revoked, services, principal)
        fanout = services.settings.fanout
        connection = Connection(websocket, principal, services.hub, feed, fanout, revoked, packed=packed)
        with metrics.SUBSCRIBERS.track_inprogress():
            await connection.serve()


async def _authenticate(websocket: WebSocket, services: "Services") -> Principal:
    """Return who connects.

    Raises
    ------
    Closed
        With 1008 if the token is missing, wrong or has no right to look; 1013 if it can't be checked now.
    """
    try:
        token = _offered_token(websocket) or await _first_message(websocket)
        principal = await services.authenticator.authenticate(token)
        if not may(principal, "positions.view"):
            raise NotAllowed(f"a {principal.role} with these rights sees no positions")
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise Closed(BROKEN, "the first message is not JSON") from cause
    except TryLater as cause:
        raise await _told(websocket, cause, TRY_LATER) from cause
    except OutriderError as cause:
        raise await _told(websocket, cause, FORBIDDEN) from cause
    return principal


async def _told(websocket: WebSocket, error: OutriderError, code: int) -> Closed:
    detail = str(error) or "a valid token is needed"
    with contextlib.suppress(RuntimeError, OSError):
        await websocket.send_text(message("error", code=error.code, detail=detail).decode())
    return Closed(code, detail)


def _offered_token(websocket: WebSocket) -> str | None:
    scheme, _, credentials = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return credentials.strip()
    if token := websocket.query_params.get("token"):
        return token
    offered = [name for name in websocket.scope.get("subprotocols", []) if name != _SUBPROTOCOL]
    return offered[0] if offered else None


async def _first_message(websocket: WebSocket) -> str:
    try:
        async with asyncio.timeout(_AUTHENTICATE_WITHIN_S):
            received = await websocket.receive()
    except TimeoutError as cause:
        raise NotAuthenticated("no token came in time") from cause
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1006))
    try:
        said = parse_message(received.get("text") or received.get("bytes") or b"")
    except InvalidInput as cause:
        raise NotAuthenticated("the first message has to be authenticate") from cause
    if not isinstance(said, Authenticate):
        raise NotAuthenticated("the first message has to be authenticate")
    return said.token


async def _closed(websocket: WebSocket, code: int, reason: str) -> bool:
    """Say goodbye, and tell whether the peer could be told."""
    try:
        async with asyncio.timeout(_CLOSE_WITHIN_S):
            await websocket.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))
    except TimeoutError:
        return False
    except (RuntimeError, OSError):
        return True  # it has gone by itself
    return True
