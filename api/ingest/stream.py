"""The WebSocket `/api/v1/ws/ingest`: who may in, and which socket serves.

A raw ASGI application. Where the server is ours (`api.ingest.takeover`), it hands the socket over after the handshake,
and frames go from the transport to the log without a task switch; under any other ASGI server the same protocol runs
on ASGI messages.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qs

import structlog
from starlette.types import Receive, Scope, Send

from api.auth.principal import Principal
from api.auth.rights import may
from api.auth.staying import until_revoked
from api.ingest.admit import Admission
from api.ingest.asgi import AsgiSocket
from api.ingest.connection import BROKEN, FORBIDDEN, TRY_LATER, IngestConnection, Outlet, encode
from api.ingest.decode import Decoder
from api.ingest.doors import Door
from api.ingest.roster import Roster
from api.ingest.validate import warm_up
from api.services import Services
from models.errors import InvalidInput, NotAllowed, NotAuthenticated, OutriderError, TryLater

__all__ = ["IngestStream"]

log = structlog.get_logger(__name__)

TAKE_OVER = "outrider.take_over"
_AUTHENTICATE_WITHIN_S = 10.0


class Socket(Outlet, Protocol):
    """A socket that serves a connection."""

    async def receive(self) -> tuple[bytes, bool] | None:
        """Return the next message and whether it is text; None when the client has gone."""

    async def serve(self, connection: IngestConnection) -> None:
        """Feed the connection until either side ends it."""

    async def finish(self) -> None:
        """See a goodbye through."""


class IngestStream:
    """The ASGI application of the ingest stream."""

    def __init__(self) -> None:
        warm_up()
        self._door: Door | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket (ASGI)."""
        services: Services = scope["app"].state.services
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        # Nothing may be awaited between the two: the next byte already belongs to whoever reads the socket from here.
        socket = _socket_of(scope, receive, send, services.settings.ingest.max_body_bytes)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        try:
            principal = await _authenticate(scope, query, socket, services)
            if principal is not None:
                await self._serve(services, principal, query, socket)
        finally:
            await socket.finish()

    async def _serve(
        self, services: Services, principal: Principal, query: dict[str, list[str]], socket: Socket
    ) -> None:
        door = self._door_of(services)
        limits = services.settings.ingest
        session = await door.sessions.open(principal, next(iter(query.get("session", ())), None))
        session.advance(door.durable_commit)
        admission = Admission(
            Roster(services.registry, principal), limits.max_pings_per_batch, int(limits.max_future_s * 1000)
        )
        connection = IngestConnection(door, admission, session, socket, principal.tenant)
        hello = {
            "type": "connection_established",
            "session": session.name,
            "accepted": session.accepted,
            "durable": session.durable,
        }
        socket.write(encode(hello, text=True), text=True)
        door.enter(connection)
        log.debug("stream.opened", tenant=principal.tenant, session=session.name)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_close_when_revoked(services, principal, socket), name="ingest-revoked")
                await socket.serve(connection)
                watch.cancel()
        finally:
            await door.leave(connection)

    def _door_of(self, services: Services) -> Door:
        if self._door is None or self._door.services is not services:
            self._door = Door(services)
        return self._door


def _socket_of(scope: Scope, receive: Receive, send: Send, max_bytes: int) -> Socket:
    take_over: Callable[[int], Socket | None] | None = scope.get("extensions", {}).get(TAKE_OVER)
    socket = take_over(max_bytes) if take_over is not None else None
    return socket if socket is not None else AsgiSocket(receive, send, max_bytes)


async def _authenticate(
    scope: Scope, query: dict[str, list[str]], socket: Socket, services: Services
) -> Principal | None:
    """Return who connects, or None after saying goodbye."""
    try:
        token = _offered_token(scope, query) or await _first_message(socket, services)
        principal = await services.authenticator.authenticate(token)
        if not may(principal, "positions.send"):
            raise NotAllowed(f"a {principal.role} with these rights sends no positions")
        services.appender.check()
    except InvalidInput as error:
        socket.close(BROKEN, str(error))
    except TryLater as error:
        busy = {"type": "busy", "retryAfter": error.retry_after_s}
        socket.write(encode(busy, text=True), text=True)
        socket.close(TRY_LATER, str(error))
    except OutriderError as error:
        socket.close(FORBIDDEN, str(error) or "a valid token is needed")
    else:
        return principal
    return None


async def _close_when_revoked(services: Services, principal: Principal, socket: Socket) -> None:
    await until_revoked(services, principal)
    socket.close(FORBIDDEN, "what this user or key may do has changed; connect again")


def _offered_token(scope: Scope, query: dict[str, list[str]]) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, credentials = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and credentials:
                return str(credentials.strip())
    return next(iter(query.get("token", ())), None)


async def _first_message(socket: Socket, services: Services) -> str:
    received = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_AUTHENTICATE_WITHIN_S):
            received = await socket.receive()
    if received is None:
        raise NotAuthenticated("no token came in time")
    data, text = received
    decoder = Decoder(services.settings.ingest.max_pings_per_batch)
    message = decoder.json(data) if text else decoder.msgpack(data)
    if message.type != "authenticate" or not message.token:
        raise NotAuthenticated("the first message has to be authenticate")
    return message.token
