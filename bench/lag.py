"""How far the shards and history are behind the log, heard on the progress channel while a load runs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

__all__ = ["LagWatch"]

_POSITION_BITS = 20
_STEPS = 5  # log times looked at between two reports
_LONGEST_STEP_MS = 1000  # a longer step of the position is a pause of the load
_decoder = msgspec.msgpack.Decoder(dict[int, tuple[int, int]])


class LagWatch:
    """Collects how long after its log time an entry is reported as processed, and as durable.

    A report covers all entries since the one before; each counts as done at the report. That is when a door can know
    it, and never too early.
    """

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis, self._channel = redis, f"{prefix}:progress"
        self._known: dict[int, tuple[int, int]] = {}
        self._samples: tuple[list[float], list[float]] = ([], [])

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        pubsub = self._redis.pubsub()
        await pubsub.subscribe(self._channel)
        task = asyncio.get_running_loop().create_task(self._listen(pubsub), name="lag")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis types most of itself

    def take(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lags to processed and to durable since the last call, milliseconds."""
        processed, durable = (np.array(samples or [np.nan]) for samples in self._samples)
        self._samples = ([], [])
        return processed, durable

    async def _listen(self, pubsub: "PubSub") -> None:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None:
                self._note(_decoder.decode(message["data"]))

    def _note(self, progress: dict[int, tuple[int, int]]) -> None:
        now_ms = time.time() * 1000.0
        for partition, positions in progress.items():
            before = self._known.get(partition)
            self._known[partition] = positions
            for kind in range(2) if before is not None else ():
                start_ms, end_ms = before[kind] >> _POSITION_BITS, positions[kind] >> _POSITION_BITS  # type: ignore[index]
                if start_ms < end_ms < start_ms + _LONGEST_STEP_MS * (1 + 9 * kind):
                    self._samples[kind].extend(now_ms - np.linspace(start_ms, end_ms, _STEPS + 1)[1:])
