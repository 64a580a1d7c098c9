"""The server's WebSocket protocol, which can hand a socket over to the ingest stream after the handshake.

Measured: through ASGI a small frame costs several times what decoding and packing it does, in queues and task
switches. The socket below parses frames (RFC 6455) where the transport delivers them and calls the connection at once.
"""

import asyncio
import contextlib
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.speedups import apply_mask

from api.gateway.endpoint import TRANSPORT
from api.ingest.connection import TOO_BIG, IngestConnection
from api.ingest.stream import TAKE_OVER

__all__ = ["StreamSocket", "TakeoverProtocol"]

_FIN, _RSV, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_PROTOCOL_ERROR = 1002
_MAX_CONTROL_BYTES = 125
_MAX_UNREAD_BYTES = 256 * 2**10  # acknowledgements that a client leaves unread: some 5,000
_MAX_INBOX = 64
_QUIET_S = 20.0
_DEAD_AFTER_S = 60.0
_CLOSE_WITHIN_S = 5.0


class TakeoverProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own protocol, with an ASGI extension that gives its socket away."""

    async def run_asgi(self) -> None:
        """Run the application with the extensions in its scope."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[TAKE_OVER] = self._take_over
        extensions[TRANSPORT] = self.transport
        await super().run_asgi()

    def _take_over(self, max_bytes: int) -> "StreamSocket | None":
        if self.transport.is_closing() or self.conn.extensions:
            return None  # compressed frames are left to the full implementation
        self.stop_keepalive()
        socket = StreamSocket(self, self.transport, max_bytes)
        self.transport.set_protocol(socket)
        return socket


class StreamSocket(asyncio.Protocol):
    """A WebSocket of the ingest stream.

    Parameters
    ----------
    server
        The protocol that made the handshake; it hears when the connection is lost.
    transport
        The socket.
    max_bytes
        Largest message.
    """

    def __init__(self, server: asyncio.Protocol, transport: asyncio.Transport, max_bytes: int) -> None:
        self._server = server
        self._transport = transport
        self._max_bytes = max_bytes
        self._connection: IngestConnection | None = None
        self._inbox: list[tuple[bytes, bool]] = []
        self._wake = asyncio.Event()
        self._rest = bytearray()
        self._needed = 0
        self._fragments: list[bytes] = []
        self._fragments_text = False
        self._stuck = True
        self._held = False
        self._reading = True
        self._closing = False
        self._lost = asyncio.Event()
        self._heard = time.monotonic()
        self._keepalive = asyncio.get_running_loop().call_later(_QUIET_S, self._check_alive)

    # what the connection calls

    def write(self, data: bytes, *, text: bool) -> None:
        """Send one message; a client that leaves too many unread is cut off."""
        if self._closing or self._transport.is_closing():
            return
        self._send(_TEXT if text else _BINARY, data)
        if self._transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self._closing = True
            self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait for the client's, for a bounded time."""
        if self._closing or self._transport.is_closing():
            return
        self._send(_CLOSE, code.to_bytes(2, "big") + reason.encode()[: _MAX_CONTROL_BYTES - 2])
        self._closing = True
        self._wake.set()

    def pause(self) -> None:
        """Stop reading."""
        self._held = True
        self._set_reading()

    def resume(self) -> None:
        """Go on reading."""
        self._held = False
        self._go_on()

    # what the endpoint calls

    async def receive(self) -> tuple[bytes, bool] | None:
        """Return the next message and whether it is text; None when the client has gone."""
        while not self._inbox and not self._closing and not self._lost.is_set():
            self._wake.clear()
            await self._wake.wait()
        return self._inbox.pop(0) if self._inbox else None

    async def serve(self, connection: IngestConnection) -> None:
        """Feed the connection until either side ends it; here only frames that wait for a look-up are helped."""
        self._connection = connection
        for data, text in self._inbox:
            if not connection.take(data, text=text):
                await connection.settle()
        self._inbox.clear()
        self._stuck = False
        self._go_on()
        while not self._closing and not self._lost.is_set():
            self._wake.clear()
            if self._stuck:
                await connection.settle()
                self._stuck = False
                self._go_on()
            else:
                await self._wake.wait()

    async def finish(self) -> None:
        """See the goodbye through."""
        if not self._closing:
            self.close(1000, "")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._lost.wait()
        self._transport.close()

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Parse frames and hand messages on."""
        self._heard = time.monotonic()
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        used = self._parse(data)
        if used < len(data):
            self._rest += data[used:] if used else data

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits, and tell the server."""
        self._keepalive.cancel()
        self._lost.set()
        self._wake.set()
        self._server.connection_lost(exc)

    def _parse(self, data: bytes) -> int:
        """Take all whole frames at the start of `data` and return where the rest begins."""
        at, size = 0, len(data)
        self._needed = 0
        while size - at >= 6 and not (self._stuck and self._full()) and not self._held:
            first, length = data[at], data[at + 1] & _LENGTH
            head = at + 2
            if length == 126:
                length, head = int.from_bytes(data[head : head + 2], "big"), head + 2
            elif length == 127:
                if size - head < 8:
                    break
                length, head = int.from_bytes(data[head : head + 8], "big"), head + 8
            if not data[at + 1] & _MASKED or first & _RSV:
                self.close(_PROTOCOL_ERROR, "a client's frames are masked and use no extension")
                return size
            if length > self._max_bytes:
                self.close(TOO_BIG, f"a frame may have {self._max_bytes} bytes at most")
                return size
            end = head + 4 + length
            if end > size:
                self._needed = end - at
                break
            payload = apply_mask(data[head + 4 : end], data[head : head + 4])
            at = end
            if first == _FIN | _BINARY or first == _FIN | _TEXT:
                self._deliver(payload, text=first == _FIN | _TEXT)
            elif self._take_odd(first, payload):
                return size
        return at

    def _deliver(self, payload: bytes, *, text: bool) -> None:
        if self._closing:
            return  # only the client's own goodbye is waited for
        if self._stuck or self._connection is None:
            self._inbox.append((payload, text))
            self._wake.set()
            self._set_reading()
        elif not self._connection.take(payload, text=text):
            self._stuck = True
            self._wake.set()
            self._set_reading()

    def _take_odd(self, first: int, payload: bytes) -> bool:
        """Take a control frame or a fragment; True when the connection is over."""
        opcode = first & _OPCODE
        if opcode == _CLOSE:
            if not self._closing:
                self._send(_CLOSE, payload[:2])
                self._closing = True
            self._wake.set()
            self._transport.close()
            return True
        if opcode == _PING and len(payload) <= _MAX_CONTROL_BYTES:
            self._send(_PONG, payload)
            return self._unread_too_much()
        if opcode == _PONG:
            return False
        return self._take_fragment(opcode, payload, last=bool(first & _FIN))

    def _take_fragment(self, opcode: int, payload: bytes, *, last: bool) -> bool:
        if (opcode == _CONTINUATION) != bool(self._fragments) or opcode not in (_CONTINUATION, _TEXT, _BINARY):
            self.close(_PROTOCOL_ERROR, "a fragment out of place")
            return True
        if opcode != _CONTINUATION:
            self._fragments_text = opcode == _TEXT
        self._fragments.append(payload)
        if sum(map(len, self._fragments)) > self._max_bytes or len(self._fragments) > _MAX_INBOX:
            self.close(TOO_BIG, f"a message may have {self._max_bytes} bytes at most, in {_MAX_INBOX} fragments")
            return True
        if last:
            whole = b"".join(self._fragments)
            self._fragments.clear()
            self._deliver(whole, text=self._fragments_text)
        return False

    def _full(self) -> bool:
        return self._connection is not None or len(self._inbox) >= 1

    def _go_on(self) -> None:
        """Take what was left unparsed, then read again."""
        if self._rest and not self._stuck and not self._held:
            data = bytes(self._rest)
            self._rest.clear()
            used = self._parse(data)
            self._rest += data[used:]
        self._set_reading()

    def _set_reading(self) -> None:
        wanted = not self._held and not (self._stuck and self._full())
        if self._closing:
            wanted = True  # the client's goodbye
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes((_FIN | opcode, size))
        elif size < 2**16:
            head = bytes((_FIN | opcode, 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((_FIN | opcode, 127)) + size.to_bytes(8, "big")
        self._transport.write(head + payload)

    def _unread_too_much(self) -> bool:
        if self._transport.get_write_buffer_size() <= _MAX_UNREAD_BYTES:
            return False
        self._closing = True
        self._transport.abort()
        return True

    def _check_alive(self) -> None:
        silent_s = time.monotonic() - self._heard
        if silent_s > _DEAD_AFTER_S and self._reading:
            self._transport.abort()
            return
        if silent_s > _QUIET_S / 2 and not self._closing:
            self._send(_PING, b"")
        self._keepalive = asyncio.get_running_loop().call_later(_QUIET_S, self._check_alive)
