"""A stream of pings that loses nothing: what is not yet durable is kept here, and sent again after a drop.

The server's repeats are harmless (a ping has an identity), so after a reconnect everything above the durable
watermark goes once more, whether it had been acknowledged or not.
"""

import asyncio
import contextlib
import random
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from models.messages.fixes import FIX
from outrider.client.errors import StreamEnded
from outrider.client.shapes import Ping, Refusal

__all__ = ["IngestStream"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_OPEN_WITHIN_S = 10.0
_REFUSALS_KEPT = 1000
_HOPELESS = frozenset({1007, 1008, 1009})  # broken, forbidden, too big: the same frames would end the same way

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


class _Kept(NamedTuple):
    seq: int
    data: bytes
    pings: int


class IngestStream:
    """Pings on their way in. Use it with `async with`; leaving waits until all are acknowledged.

    Parameters
    ----------
    url
        Address of the front door.
    token
        Access token or key.
    session
        Name of the stream; a later one of the same name takes up where it ended.
    max_waiting_pings
        Pings kept until they are durable; `send` waits when there are more.
    """

    def __init__(self, url: str, token: str, *, session: str | None = None, max_waiting_pings: int = 200_000) -> None:
        self.session = session or uuid.uuid4().hex
        self._address = f"ws{url.removeprefix('http')}/api/v1/ws/ingest?session={self.session}"
        self._token = token
        self._max_waiting = max_waiting_pings
        self._waiting = 0
        self._kept: deque[_Kept] = deque()
        self._outgoing: deque[_Kept] = deque()
        self._to_write = asyncio.Event()
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._retry_after_s: float | None = None
        self.sent = 0
        """Sequence number of the last frame."""
        self.acked = 0
        """All frames up to this number are in the log."""
        self.durable = 0
        """All frames up to this number are in history."""
        self.reconnects = 0
        self.refused: Counter[str] = Counter()
        """Pings that the door did not take, by reason."""
        self.refusals: deque[Refusal] = deque(maxlen=_REFUSALS_KEPT)
        """The latest of them."""
        self.on_change: Callable[[], None] | None = None
        """Called whenever `acked` or `durable` has risen."""

    async def __aenter__(self) -> Self:
        """Connect.

        Raises
        ------
        StreamEnded
            If the server does not let us in.
        OSError
            If there is no server.
        """
        websocket = await self._open()
        self.sent = max(self.acked, self.durable)
        self._task = asyncio.get_running_loop().create_task(self._run(websocket), name="ingest-stream")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            await self.close()

    async def close(self) -> None:
        """Hang up at once; what is not durable is forgotten. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def send(self, pings: Sequence[Ping]) -> int:
        """Send pings in one frame and return its number; waits while too much is on its way.

        Raises
        ------
        StreamEnded
            If the server has closed the stream for good.
        """
        return await self._put({"pings": pings}, len(pings))

    async def send_packed(self, drivers: Sequence[str], fixes: NDArray[np.void]) -> int:
        """Send `FIX` records in one frame, `driver` being a place in `drivers`; else like `send`."""
        packed = np.ascontiguousarray(fixes, FIX).tobytes()
        return await self._put({"drivers": drivers, "packed": packed}, len(fixes))

    async def drain(self, *, durable: bool = False) -> None:
        """Wait until everything sent so far is acknowledged, or durable as well.

        Raises
        ------
        StreamEnded
            If the server has closed the stream for good.
        """
        target = self.sent
        while (self.durable if durable else self.acked) < target:
            await self._wait()

    async def _put(self, frame: dict[str, Any], pings: int) -> int:
        while self._waiting and self._waiting + pings > self._max_waiting:
            await self._wait()
        self._check()
        self.sent += 1
        kept = _Kept(self.sent, _encoder.encode({"seq": self.sent, **frame}), pings)
        self._waiting += pings
        self._kept.append(kept)
        self._outgoing.append(kept)
        self._to_write.set()
        return kept.seq

    async def _wait(self) -> None:
        self._check()
        await self._changed.wait()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self.on_change is not None:
            self.on_change()

    async def _run(self, websocket: ClientConnection) -> None:
        try:
            while True:
                await self._serve(websocket)
                self.reconnects += 1
                websocket = await self._open_again()
        except StreamEnded as ended:
            self._failure = ended
            self._tell()

    async def _open(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"}
        websocket = await connect(
            self._address, additional_headers=headers, compression=None, proxy=None, open_timeout=_OPEN_WITHIN_S
        )
        try:
            async with asyncio.timeout(_OPEN_WITHIN_S):
                while not self._take(await websocket.recv()):
                    pass
        except ConnectionClosed as closed:
            raise _ended(websocket) from closed
        except BaseException:
            websocket.transport.abort()
            raise
        # what was acknowledged may have been lost with the server: only what is durable is not sent again
        self._outgoing = deque(self._kept)
        self._to_write.set()
        return websocket

    async def _open_again(self) -> ClientConnection:
        pause = _FIRST_PAUSE_S
        while True:
            wait = self._retry_after_s if self._retry_after_s is not None else pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, no secret
            self._retry_after_s = None
            await asyncio.sleep(wait)
            try:
                return await self._open()
            except (OSError, InvalidHandshake, TimeoutError):
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            except StreamEnded as ended:
                if ended.close_code in _HOPELESS:
                    raise
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _serve(self, websocket: ClientConnection) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(websocket), name="ingest-write")
                with contextlib.suppress(ConnectionClosed):
                    async for message in websocket:
                        self._take(message)
                writer.cancel()
        except* OSError:
            pass  # the connection broke while a frame was written: the same as a close
        finally:
            websocket.transport.abort()
        ended = _ended(websocket)
        if ended.close_code in _HOPELESS:
            raise ended

    async def _write(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._to_write.wait()
                self._to_write.clear()
                while self._outgoing:
                    await websocket.send(self._outgoing[0].data)
                    self._outgoing.popleft()

    def _take(self, message: str | bytes) -> bool:
        """Take a message of the server; tell whether it was the greeting."""
        said = msgspec.json.decode(message) if isinstance(message, str) else _decoder.decode(message)
        match said.get("type"):
            case "connection_established":
                self.session = said.get("session") or self.session
                self._rise(said.get("accepted", 0), said.get("durable", 0))
                return True
            case "ack":
                for refusal in said.get("refused") or ():
                    self._note(msgspec.convert(refusal, Refusal))
                self._rise(said.get("seq", 0), said.get("durable", 0))
            case "busy":
                self._retry_after_s = float(said.get("retryAfter", 1.0))
        return False

    def _note(self, refusal: Refusal) -> None:
        if refusal.seq > self.acked:  # else it was counted before the frame was sent again
            self.refused[refusal.reason] += 1
            self.refusals.append(refusal)

    def _rise(self, acked: int, durable: int) -> None:
        self.durable = max(self.durable, durable)
        self.acked = max(self.acked, acked, self.durable)
        while self._kept and self._kept[0].seq <= self.durable:
            self._waiting -= self._kept.popleft().pings
        self._tell()


def _ended(websocket: ClientConnection) -> StreamEnded:
    return StreamEnded(websocket.close_code or 1006, websocket.close_reason or "connection lost")
