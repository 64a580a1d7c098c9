"""The endless row of frames of one connection, made in blocks from the simulated fleet."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench import wire
from bench.drives import Drives
from bench.fleet import Clock, Fleet
from bench.load import ConnectionSpec, LoadSpec

__all__ = ["Frames", "clock_of"]

BLOCK_FIXES = 8192  # built at once: large enough that NumPy's cost per call vanishes, small enough to stay in cache
BLOCK_FRAMES = 64  # a single-ping connection among a thousand holds a few frames ready, not thousands


class Frames:
    """Frames by number: the same number is always the same frame, so a frame that was lost can be sent again."""

    def __init__(self, spec: LoadSpec, connection: ConnectionSpec, start_ms: float) -> None:
        self._spec, self._drivers = spec, connection.drivers
        size = len(connection.drivers)
        first = connection.first
        self._fleet = Drives(Path(spec.drives), first, size) if spec.drives else Fleet(spec.seed, first, size)
        self.clock = clock_of(spec, connection, start_ms)
        self._listed = min(spec.batch, size)
        self._places = np.arange(spec.batch) % self._listed
        self._heads: dict[int, tuple[bytes, bytes]] = {}

    def from_frame(self, frame: int) -> Iterator[bytes]:
        """Yield the bytes of frame number `frame` and of those after it."""
        batch = self._spec.batch
        block = min(max(1, BLOCK_FIXES // batch), BLOCK_FRAMES)
        while True:
            fixes = self._fleet.fixes(self.clock, frame * batch, block * batch).reshape(block, batch)
            fixes["driver"] = self._places
            for place in range(block):
                yield self._bytes(frame + place, fixes[place])
            frame += block

    def _bytes(self, frame: int, fixes: NDArray[np.void]) -> bytes:
        spec, offset = self._spec, frame * self._spec.batch % len(self._drivers)
        if spec.transport == "http":
            kind, body = self._body(offset, fixes)
            return wire.http_request(spec.host, spec.port, spec.path, spec.token, kind, body)
        number = (frame + 1).to_bytes(4, "big")
        if spec.encoding == "packed":
            before, after = self._head(offset, fixes.nbytes)
            return wire.client_frame(wire.BINARY, before, number, after, fixes.tobytes())
        head = b"\x82" + msgspec.msgpack.encode("seq") + b"\xce" + number + msgspec.msgpack.encode("pings")
        return wire.client_frame(wire.BINARY, head, wire.packed_rows(fixes, self._list(offset)))

    def _body(self, offset: int, fixes: NDArray[np.void]) -> tuple[str, bytes]:
        drivers = self._list(offset)
        if self._spec.encoding == "json":
            return "application/json", wire.json_rows(fixes, drivers)
        return "application/msgpack", b"\x81" + msgspec.msgpack.encode("pings") + wire.packed_rows(fixes, drivers)

    def _list(self, offset: int) -> list[str]:
        """Return the drivers of a frame whose first ping is of member `offset`."""
        return [self._drivers[(offset + i) % len(self._drivers)] for i in range(self._listed)]

    def _head(self, offset: int, length: int) -> tuple[bytes, bytes]:
        head = self._heads.get(offset)
        if head is None:
            head = self._heads[offset] = wire.packed_head(self._list(offset), length)
        return head


def clock_of(spec: LoadSpec, connection: ConnectionSpec, start_ms: float) -> Clock:
    """Return the fix times: with a rate those of sending, from `start_ms` on; else every driver's own steady step."""
    if not spec.rate:
        return Clock(start_ms, spec.step_ms / len(connection.drivers))
    period_ms = 1000.0 * len(spec.connections) / spec.rate
    frames_ahead = connection.frame - connection.phase
    return Clock(start_ms - frames_ahead * spec.batch * period_ms, period_ms, spec.batch)
