"""Live frames as an async iterator that reconnects and resumes by itself."""

import asyncio
import random
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from models.errors import InvalidInput
from outrider.client.errors import StreamEnded
from outrider.client.shapes import Frame

__all__ = ["LiveStream"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_OPEN_WITHIN_S = 10.0
_MAX_FRAME_BYTES = 64 * 2**20  # a full frame of a hundred thousand drivers has about 25 MB
_HOPELESS = frozenset({1007, 1008, 1009})

_kind_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_frame_decoder = msgspec.json.Decoder(Frame)


class LiveStream:
    """Frames of one or more subscriptions.

    A frame with `full` set replaces what was known of its subscription: so it is after a reconnect, and after a gap
    in the numbers, which this class notices and heals.
    """

    def __init__(self, url: str, token: str) -> None:
        self._address = f"ws{url.removeprefix('http')}/api/v1/ws"
        self._token = token
        self._wishes: dict[str, dict[str, Any]] = {}
        self._unsaid: list[dict[str, Any]] = []
        self._websocket: ClientConnection | None = None
        self._n = 0
        self._pause_s = _FIRST_PAUSE_S
        self.reconnects = -1
        """How often the connection has been made anew."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    def add(self, topic: str, *, name: str | None = None, interval_ms: int = 100, **options: Any) -> str:
        """Subscribe to a topic from the next read on, and return the subscription's name.

        `options` are `bbox` (south, west, north, east), `driver_id`, `delivery_id` or `job_id`. The same name again
        replaces it.
        """
        name = name or f"{topic}-{len(self._wishes) + 1}"
        wish = {"type": "subscribe", "id": name, "topic": topic, "intervalMs": interval_ms}
        spelled = {"bbox": "bbox", "driver_id": "driverId", "delivery_id": "deliveryId", "job_id": "jobId"}
        wish |= {spelled[option]: value for option, value in options.items()}
        self._wishes[name] = wish
        self._unsaid.append(wish)
        return name

    async def __anext__(self) -> Frame:
        """Return the next frame.

        Raises
        ------
        StreamEnded
            If the server does not let us in.
        InvalidInput
            If it refuses a subscription.
        """
        while True:
            try:
                websocket = self._websocket or await self._open()
                while self._unsaid:
                    await websocket.send(msgspec.json.encode(self._unsaid.pop(0)).decode())
                frame = self._read(await websocket.recv())
                if frame is None:
                    continue
                if frame.n != self._n + 1:
                    await websocket.send(msgspec.json.encode({"type": "resume", "n": self._n}).decode())
                self._n = frame.n
            except (ConnectionClosed, OSError, InvalidHandshake, TimeoutError):
                await self._lose()
            else:
                return frame

    async def close(self) -> None:
        """Hang up."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            await websocket.close()

    async def _open(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"}
        websocket = await connect(
            self._address,
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=_OPEN_WITHIN_S,
            max_size=_MAX_FRAME_BYTES,
        )
        self._websocket = websocket
        self._n = 0
        self._unsaid = list(self._wishes.values())
        self.reconnects += 1
        return websocket

    async def _lose(self) -> None:
        websocket, self._websocket = self._websocket, None
        if websocket is not None and websocket.close_code in _HOPELESS:
            raise StreamEnded(websocket.close_code or 1006, websocket.close_reason or "")
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, no secret
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def _read(self, message: str | bytes) -> Frame | None:
        said = _kind_decoder.decode(message)
        kind = msgspec.json.decode(said["type"])
        if kind == "error":
            raise InvalidInput(msgspec.json.decode(said["detail"], type=str))
        if kind != "frame":
            return None
        self._pause_s = _FIRST_PAUSE_S
        return _frame_decoder.decode(message)
