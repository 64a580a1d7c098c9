"""Subscribers to live frames, in a process of their own: they note when each driver's state arrives, and the last one.

`python -m bench.subscriber` reads a `SubscriberSpec`, prints `ready` when every subscription has had its first frame,
and at the line `end` on its input reports. Frames are read in the packed encoding, so that reading costs little.
"""

import asyncio
import struct
import sys
import time

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from bench import wire
from models.messages.live import LIVE

__all__ = ["BIN_MS", "SubscriberReport", "SubscriberSpec", "main"]

BIN_MS = 0.25
"""Resolution of the histogram of delays."""

_LONGEST_MS = 60_000
_HEADER = struct.Struct("<2sBBIHHI")


class SubscriberSpec(msgspec.Struct):
    """What one process subscribes to."""

    host: str
    port: int
    token: str
    interval_ms: int
    first_number: int
    """Lowest number of the drivers that are looked for."""
    numbers: int
    """How many numbers from there on may appear."""
    step_ms: float
    """Time between two pings of one driver: tells how many states a newer one has replaced."""
    boxes: list[tuple[float, float, float, float] | None]
    """A subscription each, over a connection of its own: its viewport, or None for the whole fleet."""


class SubscriberReport(msgspec.Struct):
    """What arrived."""

    histogram: dict[int, int]
    """Bin of `BIN_MS` → states whose delay, from sending to the frame that shows them or newer, lies in it."""
    frames: int
    states: int
    """Records in frames."""
    gaps: int
    """Frames whose number did not follow the one before."""
    last: list[list[int]]
    """Of each subscription: the newest fix time seen of each driver, 0 for none."""


class Subscriber(asyncio.Protocol):
    """One connection with one subscription."""

    def __init__(self, spec: SubscriberSpec, box: tuple[float, float, float, float] | None) -> None:
        self.spec, self.box = spec, box
        self.ready = asyncio.Event()
        self.times: NDArray[np.int64] = np.zeros(spec.numbers, np.int64)
        self.histogram: NDArray[np.int64] = np.zeros(int(_LONGEST_MS / BIN_MS), np.int64)
        self.frames = self.states = self.gaps = 0
        self._n = 0
        self._reader: wire.FrameReader | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport
        spec = self.spec
        self._say(wire.handshake(spec.host, spec.port, "/api/v1/ws?encoding=packed", spec.token))

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(self._buffer[:200].decode(errors="replace"))
            self._reader, data = wire.FrameReader(), self._buffer[end + 4 :]
            self._subscribe()
        now_ms = time.time() * 1000.0
        for opcode, payload in self._reader.feed(data):
            if opcode == wire.BINARY:
                self._take(payload, now_ms)
            elif opcode == wire.PING:
                self._say(wire.client_frame(wire.PONG, payload))
            elif opcode == wire.CLOSE:
                print("subscriber closed:", payload[2:].decode(), file=sys.stderr)  # noqa: T201  # a process of a bench
            elif b'"frame"' in payload[:20]:
                self._count(msgspec.json.decode(payload)["n"])

    def _subscribe(self) -> None:
        wish = {"type": "subscribe", "id": "s", "topic": "fleet", "intervalMs": self.spec.interval_ms}
        if self.box is not None:
            wish |= {"topic": "viewport", "bbox": self.box}
        self._say(wire.client_frame(wire.TEXT, msgspec.json.encode(wish)))

    def _take(self, payload: bytes, now_ms: float) -> None:
        _, _, full, n, length, _, count = _HEADER.unpack_from(payload)
        self._count(n)
        records = np.frombuffer(payload, LIVE, count, _HEADER.size + length)
        self.states += count
        places = records["driver"].astype(np.int64) - self.spec.first_number
        before, times = self.times[places], records["time"]
        self.times[places] = np.maximum(before, times)
        if full:
            self.ready.set()
        is_new = (times > before) & (before > 0)
        self._note(now_ms - times[is_new], times[is_new] - before[is_new])

    def _note(self, delays_ms: NDArray[np.float64], steps_ms: NDArray[np.int64]) -> None:
        """Count the new states and those that they have replaced, each with its own delay."""
        replaced = np.maximum(0, np.rint(steps_ms / self.spec.step_ms).astype(np.int64) - 1)
        longest = int(replaced.max(initial=0))
        for older in range(longest + 1):
            shown = delays_ms[replaced >= older] + older * self.spec.step_ms
            bins = np.clip(shown / BIN_MS, 0, self.histogram.size - 1).astype(np.int64)
            self.histogram += np.bincount(bins, minlength=self.histogram.size)

    def _count(self, n: int) -> None:
        self.frames += 1
        self.gaps += n != self._n + 1
        self._n = n
        if n == 1:
            self.ready.set()

    def _say(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def _work(spec: SubscriberSpec) -> SubscriberReport:
    loop = asyncio.get_running_loop()
    subscribers = [Subscriber(spec, box) for box in spec.boxes]
    for subscriber in subscribers:
        await loop.create_connection(lambda one=subscriber: one, spec.host, spec.port)  # type: ignore[misc]  # bound now
    await asyncio.gather(*(subscriber.ready.wait() for subscriber in subscribers))
    _say(b"ready")
    while (line := await loop.run_in_executor(None, sys.stdin.buffer.readline)) not in (b"end\n", b""):
        if line == b"begin\n":  # what came while the load warmed up does not count
            for subscriber in subscribers:
                subscriber.histogram[:] = 0
    histogram = np.sum([subscriber.histogram for subscriber in subscribers], axis=0)
    bins = np.flatnonzero(histogram)
    return SubscriberReport(
        dict(zip(bins.tolist(), histogram[bins].tolist(), strict=True)),
        sum(subscriber.frames for subscriber in subscribers),
        sum(subscriber.states for subscriber in subscribers),
        sum(subscriber.gaps for subscriber in subscribers),
        [subscriber.times.tolist() for subscriber in subscribers],
    )


def main() -> None:
    """Run one process of subscribers."""
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=SubscriberSpec)
    _say(msgspec.json.encode(uvloop.run(_work(spec))))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
