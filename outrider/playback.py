"""Playing a trace into a running Outrider, in recorded order, some times faster than it was recorded."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outrider.client import IngestStream, OutriderClient
from outrider.traces import Trace

__all__ = ["Chunk", "Playback", "send_chunk", "vehicle_ids"]

_TICK_S = 0.025
_MAX_FRAME = 1000  # fixes; the door takes 5,000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Fixes that went out together."""

    begin: int
    end: int
    """Rows of the trace."""
    fixes: NDArray[np.void]
    """As sent: with their new times."""


class Playback:
    """One run of a trace.

    Fix times are shifted so that the end of the recording falls on the moment at which the playing ends. Intervals stay
    as recorded, so speeds stay real, and no fix lies in the future.

    Parameters
    ----------
    trace
        What to play.
    speed
        How many times faster than recorded, 1 or more.
    seconds
        Where to stop, in seconds of playing; None plays to the end.
    """

    def __init__(self, trace: Trace, speed: float, *, seconds: float | None = None) -> None:
        self.trace, self.speed = trace, speed
        whole_s = trace.duration_ms / 1000 / speed
        self.seconds = whole_s if seconds is None else min(seconds, whole_s)
        elapsed = trace.release_ms - trace.release_ms[0]
        self.count = int(np.searchsorted(elapsed, self.seconds * 1000 * speed, side="right"))
        self._due_s = elapsed[: self.count] / 1000 / speed
        self.started = asyncio.Event()
        self.begun = 0.0
        """When it began, monotonic seconds."""
        self.shift_ms = 0
        """What is added to recorded times."""

    def due_s(self, row: int) -> float:
        """Return when a row of the trace is sent, seconds from the beginning."""
        return float(self.trace.release_ms[row] - self.trace.release_ms[0]) / 1000 / self.speed

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Yield fixes when they are due."""
        self.begun = time.monotonic()
        end_ms = time.time_ns() // 1_000_000 + int(self.seconds * 1000)
        self.shift_ms = end_ms - int(self.trace.release_ms[0]) - int(self.seconds * 1000 * self.speed)
        self.started.set()
        row = 0
        while row < self.count:
            elapsed_s = time.monotonic() - self.begun
            end = int(np.searchsorted(self._due_s, elapsed_s, side="right"))
            if end == row:
                await asyncio.sleep(max(_TICK_S, self._due_s[row] - elapsed_s))
                continue
            end = min(end, row + _MAX_FRAME)
            fixes = self.trace.fixes[row:end].copy()
            fixes["time"] += self.shift_ms
            yield Chunk(row, end, fixes)
            row = end


async def send_chunk(stream: IngestStream, chunk: Chunk, drivers: Mapping[int, str]) -> None:
    """Send a chunk; `drivers` are ids by place in the trace's list of vehicles."""
    places, renumbered = np.unique(chunk.fixes["driver"], return_inverse=True)
    fixes = chunk.fixes.copy()
    fixes["driver"] = renumbered
    await stream.send_packed([drivers[place] for place in places.tolist()], fixes)


async def vehicle_ids(client: OutriderClient, names: list[str], prefix: str = "") -> dict[int, str]:
    """Return the driver id of each vehicle by its place in the list; those that are new are created."""
    known = {driver.external_id: driver.id async for driver in client.drivers()}
    missing = {prefix + name: prefix + name for name in names if prefix + name not in known}
    for driver in await client.create_drivers(missing):
        known[driver.external_id] = driver.id
    return {place: known[prefix + name] for place, name in enumerate(names)}
