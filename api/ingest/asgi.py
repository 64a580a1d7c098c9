"""The ingest stream on ASGI messages, for servers that can't hand the socket over."""

import asyncio
import contextlib

from starlette.types import Message, Receive, Send

from api.ingest.connection import FORBIDDEN, TOO_BIG, IngestConnection

__all__ = ["AsgiSocket"]

_MAX_UNSENT = 1000
_SEND_WITHIN_S = 10.0


class AsgiSocket:
    """A WebSocket behind `receive` and `send`.

    Parameters
    ----------
    receive, send
        Of the ASGI server.
    max_bytes
        Largest message.
    """

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._unsent: asyncio.Queue[Message | None] = asyncio.Queue(_MAX_UNSENT)
        self._reading = asyncio.Event()
        self._reading.set()
        self._closed = False
        self._gone = False
        self._goodbye = asyncio.Event()

    def write(self, data: bytes, *, text: bool) -> None:
        """Queue one message; a client that reads none is let go."""
        if self._closed:
            return
        if self._unsent.full():
            self._gone = True
            self.close(FORBIDDEN, "acknowledgements are not being read")
            return
        self._unsent.put_nowait({"type": "websocket.send", **({"text": data.decode()} if text else {"bytes": data})})

    def close(self, code: int, reason: str) -> None:
        """Queue the goodbye behind what is unsent."""
        if self._closed:
            return
        self._closed = True
        self._reading.set()
        self._goodbye.set()
        if not self._gone:
            with contextlib.suppress(asyncio.QueueFull):
                self._unsent.put_nowait({"type": "websocket.close", "code": code, "reason": reason[:120]})

    def pause(self) -> None:
        """Stop reading."""
        self._reading.clear()

    def resume(self) -> None:
        """Go on reading."""
        self._reading.set()

    async def receive(self) -> tuple[bytes, bool] | None:
        """Return the next message and whether it is text; None when the client has gone."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._gone = True
            return None
        text = message.get("text")
        data = text.encode() if text is not None else message["bytes"]
        if len(data) > self._max_bytes:
            self.close(TOO_BIG, f"a frame may have {self._max_bytes} bytes at most")
            return None
        return data, text is not None

    async def serve(self, connection: IngestConnection) -> None:
        """Feed the connection until either side ends it."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._write_all(), name="ingest-write"),
                group.create_task(self._goodbye.wait(), name="ingest-goodbye"),
                group.create_task(self._read_all(connection), name="ingest-read"),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def finish(self) -> None:
        """Send what is left, the goodbye last."""
        if self._gone:
            return
        self._unsent_end()
        with contextlib.suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(_SEND_WITHIN_S):
                await self._write_all()

    def _unsent_end(self) -> None:
        if not self._closed:
            self.close(1000, "")
        with contextlib.suppress(asyncio.QueueFull):
            self._unsent.put_nowait(None)

    async def _read_all(self, connection: IngestConnection) -> None:
        while not self._closed and (received := await self.receive()) is not None:
            data, text = received
            if not connection.take(data, text=text):
                await connection.settle()
            await self._reading.wait()

    async def _write_all(self) -> None:
        while (message := await self._unsent.get()) is not None:
            try:
                async with asyncio.timeout(_SEND_WITHIN_S):
                    await self._send(message)
            except (TimeoutError, OSError, RuntimeError):  # it does not read, or has gone
                self._gone = True
                return
