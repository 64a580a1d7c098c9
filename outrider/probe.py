"""How long a ping takes to a subscriber: a real one, over the public WebSocket."""

import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from outrider.client import Frame, LiveStream

__all__ = ["LatencyProbe"]

_SAMPLES = 20_000


class LatencyProbe:
    """Remembers when each fix was sent and looks for it in live frames."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, float]] = {}
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self.frames = 0
        self.lag_ms = 0.0
        """From the log's clock to the gateway's, worst of the last frame."""

    def note_sent(self, drivers: list[str], times: NDArray[np.int64]) -> None:
        """Remember that fixes with these times are on their way."""
        now = time.perf_counter()
        for driver, fix_time in zip(drivers, times.tolist(), strict=True):
            self._sent.setdefault(driver, {})[fix_time] = now

    async def follow(self, stream: LiveStream) -> None:
        """Take frames for ever."""
        async for frame in stream:
            self.take(frame, time.perf_counter())

    def take(self, frame: Frame, now: float) -> None:
        """Take one frame."""
        self.frames += 1
        for driver in frame.drivers:
            waiting = self._sent.get(driver.id)
            if not waiting or (sent := waiting.get(driver.time)) is None:
                continue
            self._samples.append((now - sent) * 1000)
            self.lag_ms = float(frame.at - driver.received)
            for older in [fix_time for fix_time in waiting if fix_time <= driver.time]:
                del waiting[older]

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the latest samples, milliseconds; 0 while there are none."""
        return float(np.percentile(self._samples, share)) if self._samples else 0.0
