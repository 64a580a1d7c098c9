"""The time by which the demo's fleet lives: behind at first and faster than the clock, until it has caught up."""

import asyncio
import time

__all__ = ["FleetClock"]


class FleetClock:
    """Fleet time, epoch milliseconds. It never runs ahead of the real clock, so no fix lies in the future.

    Parameters
    ----------
    begins_ms
        Fleet time at `start`; when that is later than the clock by then, it waits there.
    speed
        How many times faster than the clock it runs while it is behind, 1 or more.
    """

    def __init__(self, begins_ms: int, speed: float) -> None:
        self.begins_ms, self._speed = begins_ms, speed
        self._begun = 0.0
        self._behind_ms = 0.0

    def start(self) -> None:
        """Let the time run from now on."""
        self._begun = time.monotonic()
        self._behind_ms = time.time() * 1000 - self.begins_ms

    @property
    def behind_s(self) -> float:
        """How far it is behind the clock now, seconds."""
        return max(0.0, self._behind_ms / 1000 - (self._speed - 1) * self._elapsed_s)

    def now_ms(self) -> float:
        """Return what time it is for the fleet."""
        real_ms = self.begins_ms + self._behind_ms + self._elapsed_s * 1000
        return max(float(self.begins_ms), real_ms - self.behind_s * 1000)

    async def until(self, at_ms: float) -> None:
        """Wait until it is that time for the fleet."""
        while (left_ms := at_ms - self.now_ms()) > 0:
            pace = self._speed if self.behind_s > 0 else 1.0
            # behind, the end of the hurry may come first: then the rest is waited for at the clock's pace
            await asyncio.sleep(left_ms / 1000 / pace)

    async def caught_up(self) -> None:
        """Wait until the fleet lives by the clock; one that is no faster never does, and is not waited for."""
        if self._speed > 1:
            await self.until(self.begins_ms + self._behind_ms * self._speed / (self._speed - 1))

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begun
