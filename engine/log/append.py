"""The door's end of the ingest log: what waits in this process goes to the log together.

A commit takes everything that waits, sorts it by partition and appends one entry a partition in one atomic script. The
first commit after a pause goes at once; while it is on its way the next one gathers. When the server has answered (with
`appendfsync always`: when the disk has it), the fixes are *accepted*. Any error of the server means that nothing of
that commit was said to be accepted; a sender that repeats itself is harmless, because repeats are recognised.
"""

import asyncio
import contextlib
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.log.lag import LagGuard
from engine.log.watermark import Commit, Watermark
from engine.settings import Settings
from engine.telemetry.metrics import COMMIT_DURATION, COMMIT_FIXES
from models.errors import EngineSaturated, StoreUnavailable, TryLater
from models.messages.fixes import FIX
from models.messages.log import EVENT_FIELD, FIXES_FIELD, entry_position, stream_key

__all__ = ["PARTITION", "CommitListener", "LogAppender"]

log = structlog.get_logger(__name__)

PARTITION = np.dtype("<u2")
"""How the partition of each fix travels beside the fixes: partitions are at most 4,096."""

_FIX_BYTES = FIX.itemsize
_CLOSE_WITHIN_S = 5.0  # what waits at the end gets this long to reach the log

# One script, so that a commit costs one reply instead of one a partition, and lands whole or not at all.
_APPEND = f"""
local ids = {{}}
for i = 1, #KEYS do
  ids[i] = redis.call('XADD', KEYS[i], '*', '{FIXES_FIELD.decode()}', ARGV[i])
end
return ids
"""


class CommitListener(Protocol, Hashable):
    """A sender of many frames that wants one call a commit instead of one future a frame."""

    def committed(self, commit: Commit, token: int) -> None:
        """Tell that everything offered up to `token` has been accepted, the last of it with `commit`."""

    def failed(self, error: TryLater) -> None:
        """Tell that something offered was not accepted."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A caller of `append`: a listener with one frame."""

    future: "asyncio.Future[Commit]"

    def committed(self, commit: Commit, token: int) -> None:
        del token
        if not self.future.done():
            self.future.set_result(commit)

    def failed(self, error: TryLater) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Waiting:
    """What the next commits will take, in order of arrival."""

    blocks: list[bytes]
    partitions: list[bytes]
    senders: list[tuple[CommitListener, int]]
    fixes: int = 0


class LogAppender:
    """Group commit to the ingest log, with the durable watermark and the limit of lag.

    Parameters
    ----------
    redis
        The server that holds the log.
    settings
        The whole tree: `log` and `prefix` are used.
    """

    def __init__(self, redis: "Redis", settings: Settings) -> None:
        self._redis = redis
        self._settings = settings.log
        self._keys = [stream_key(settings.prefix, partition) for partition in range(settings.log.partitions)]
        self._script = redis.register_script(_APPEND)
        self._waiting = _Waiting([], [], [])
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.watermark = Watermark(redis, settings.prefix, settings.log.partitions)
        """What shards have processed and history holds, and which commits lie below that."""
        self.lag = LagGuard(redis, settings.log, self.watermark)
        """Says no before the engine drowns."""
        self.commits = 0
        """Commits so far."""
        self.accepted = 0
        """Fixes accepted so far."""

    async def start(self) -> None:
        """Start committing and following the watermark."""
        await self.watermark.start()
        await self.lag.start()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="log-appender")

    async def stop(self) -> None:
        """Commit what waits, within a bounded time, and stop. May be called twice."""
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await self._idle.wait()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self._refuse_waiting(StoreUnavailable("the server is shutting down"))
        await self.lag.stop()
        await self.watermark.stop()

    def check(self, fixes: int = 1) -> None:
        """Raise if `fixes` more can't be taken now.

        Raises
        ------
        EngineSaturated
            If too many wait here, the shards lag or the log is full.
        """
        self.lag.check()
        if self._waiting.fixes + fixes > self._settings.waiting_max_fixes:
            raise EngineSaturated("too many pings wait for the log", 1.0)

    def offer(self, fixes: bytes, partitions: bytes, listener: CommitListener, token: int) -> None:
        """Queue packed fixes of a listener; `committed` or `failed` is called later, once a commit.

        Parameters
        ----------
        fixes
            `FIX` records whose `driver` is the driver's number; may be empty, to learn when all before is accepted.
        partitions
            `PARTITION` records, one a fix.
        listener
            Is told about the commit.
        token
            Handed back: the listener's own number of this block, rising.

        Raises
        ------
        EngineSaturated
            As `check`.
        """
        count = len(fixes) // _FIX_BYTES
        self.check(count)
        waiting = self._waiting
        waiting.blocks.append(fixes)
        waiting.partitions.append(partitions)
        waiting.senders.append((listener, token))
        waiting.fixes += count
        if not self._wake.is_set():
            self._wake.set()
            self._idle.clear()

    async def append(self, fixes: NDArray[np.void], partitions: NDArray[np.integer]) -> Commit:
        """Append fixes and return their commit once they are accepted.

        Parameters
        ----------
        fixes
            `FIX` array of length F; `driver` holds driver numbers.
        partitions
            Partition of each fix, length F.

        Raises
        ------
        EngineSaturated
            If the engine can't take them now.
        StoreUnavailable
            If the log did not answer; nothing is said to be accepted.
        """
        future: asyncio.Future[Commit] = asyncio.get_running_loop().create_future()
        self.offer(fixes.tobytes(), partitions.astype(PARTITION).tobytes(), _Waiter(future), 0)
        return await future

    async def append_message(self, partition: int, message: bytes) -> int:
        """Append one encoded `models.messages.commands` message and return its position.

        Raises
        ------
        StoreUnavailable
            If the log did not answer.
        """
        try:
            entry = await self._redis.xadd(self._keys[partition], {EVENT_FIELD: message})
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return entry_position(entry)

    async def _run(self) -> None:
        interval_s = self._settings.commit_interval_ms / 1000
        while True:
            await self._wake.wait()
            began = time.monotonic()
            await self._commit(self._take())
            if not self._waiting.senders:
                self._wake.clear()
                self._idle.set()
            if (rest_s := began + interval_s - time.monotonic()) > 0:
                await asyncio.sleep(rest_s)

    def _take(self) -> _Waiting:
        waiting = self._waiting
        if waiting.fixes <= self._settings.commit_max_fixes:
            self._waiting = _Waiting([], [], [])
            return waiting
        taken, cut = 0, 0
        for block in waiting.blocks:
            taken += len(block) // _FIX_BYTES
            cut += 1
            if taken >= self._settings.commit_max_fixes:
                break
        self._waiting = _Waiting(
            waiting.blocks[cut:], waiting.partitions[cut:], waiting.senders[cut:], waiting.fixes - taken
        )
        return _Waiting(waiting.blocks[:cut], waiting.partitions[:cut], waiting.senders[:cut], taken)

    async def _commit(self, batch: _Waiting) -> None:
        latest = dict(batch.senders)  # one call a listener, with its last token
        try:
            commit = await self._write(batch) if batch.fixes else self.watermark.unwritten()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("commit.failed", fixes=batch.fixes, error=str(error))
            refusal = _unavailable(error)
            for listener in latest:
                listener.failed(refusal)
            return
        except asyncio.CancelledError:
            for listener in latest:
                listener.failed(StoreUnavailable("the server is shutting down"))
            raise
        self.commits += 1
        self.accepted += batch.fixes
        COMMIT_FIXES.inc(batch.fixes)
        COMMIT_DURATION.observe(time.monotonic() - commit.at)
        for listener, token in latest.items():
            listener.committed(commit, token)

    async def _write(self, batch: _Waiting) -> Commit:
        touched, entries = _split(b"".join(batch.blocks), b"".join(batch.partitions))
        began = time.monotonic()
        ids = await self._script(keys=[self._keys[partition] for partition in touched], args=entries)
        positions = {partition: entry_position(entry) for partition, entry in zip(touched, ids, strict=True)}
        return self.watermark.add(positions, began)

    def _refuse_waiting(self, error: TryLater) -> None:
        waiting, self._waiting = self._waiting, _Waiting([], [], [])
        for listener in dict(waiting.senders):
            listener.failed(error)


def _split(fixes: bytes, partitions: bytes) -> tuple[list[int], list[bytes]]:
    """Return the partitions that occur and the packed fixes of each, in order of arrival."""
    of = np.frombuffer(partitions, PARTITION)
    order = np.argsort(of, kind="stable")  # radix sort on 16 bits
    sorted_of = of[order]
    # whole records move as opaque bytes: several times faster than field by field
    records = np.frombuffer(fixes, f"V{_FIX_BYTES}")[order].tobytes()
    starts = np.flatnonzero(np.diff(sorted_of, prepend=-1)).tolist()
    ends = [*starts[1:], len(of)]
    return sorted_of[starts].tolist(), [
        records[start * _FIX_BYTES : end * _FIX_BYTES] for start, end in zip(starts, ends, strict=True)
    ]


def _unavailable(error: Exception) -> StoreUnavailable:
    refusal = StoreUnavailable("the ingest log does not answer", 1.0)
    refusal.__cause__ = error
    return refusal
