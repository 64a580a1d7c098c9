"""How soon a driver's track of the last hour answers while a load runs."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence

import httpx2
import numpy as np
from numpy.typing import NDArray

__all__ = ["TrackWatch"]

_PAUSE_S = 0.1  # between two questions: a planner's curiosity, not a load of its own
_HOUR_MS = 3_600_000
_TIMEOUT_S = 30.0


class TrackWatch:
    """Asks for tracks of random drivers, one after the other, and notes how long each answer takes."""

    def __init__(self, url: str, token: str, drivers: Sequence[str]) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}
        self._drivers = drivers
        self._answers_ms: list[float] = []
        self._random = random.Random(1)  # which drivers are asked for is no secret

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask while the block runs."""
        task = asyncio.get_running_loop().create_task(self._ask_for_ever(), name="tracks")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def take(self) -> NDArray[np.float64]:
        """Return the times of the answers since the last call, milliseconds."""
        answers, self._answers_ms = self._answers_ms, []
        return np.array(answers or [np.nan])

    async def _ask_for_ever(self) -> None:
        async with httpx2.AsyncClient(
            base_url=self._url, headers=self._headers, timeout=_TIMEOUT_S, trust_env=False
        ) as http:
            while True:
                driver = self._random.choice(self._drivers)
                now_ms = time.time_ns() // 1_000_000
                between = {"from": str(now_ms - _HOUR_MS), "to": str(now_ms)}
                began = time.perf_counter()
                answer = await http.get(f"/api/v1/drivers/{driver}/track", params=between)
                answer.raise_for_status()
                self._answers_ms.append((time.perf_counter() - began) * 1000.0)
                await asyncio.sleep(_PAUSE_S)
