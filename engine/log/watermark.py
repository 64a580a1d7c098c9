"""What of this process's commits the shards have processed and history holds.

Shards publish per partition how far they are (`docs/architecture.md`, `…:progress`); here that becomes two numbers over
this process's own commits: all up to `processed_commit` moved live state, all up to `durable_commit` are in history.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.ending import end_task
from models.errors import StoreUnavailable

__all__ = ["Commit", "Watermark"]

log = structlog.get_logger(__name__)

_RETRY_S = 0.25
_MAX_COMMITS = 2048  # 5 KB each; history away for minutes must not fill memory with what has been accepted
_QUIET_S = 30.0  # a channel that says nothing for so long is asked whether it lives
_decoder = msgspec.msgpack.Decoder(dict[int, tuple[int, int]])


@dataclass(frozen=True, slots=True)
class Commit:
    """One group commit to the log."""

    number: int
    """Counts this process's commits from 1."""
    positions: dict[int, int]
    """Log position of the entry of each partition."""
    at: float
    """When it was sent, monotonic seconds."""


class Watermark:
    """Follows the shards' progress and compares it with this process's commits.

    Parameters
    ----------
    redis
        The server that holds the log and the progress.
    prefix
        First part of every key.
    partitions
        Number of partitions.
    """

    def __init__(self, redis: "Redis", prefix: str, partitions: int) -> None:
        self._redis = redis
        self._prefix = prefix
        self._processed: NDArray[np.int64] = np.zeros(partitions, np.int64)
        self._durable: NDArray[np.int64] = np.zeros(partitions, np.int64)
        self._unprocessed: deque[Commit] = deque()
        self._undurable: deque[Commit] = deque()
        self._task: asyncio.Task[None] | None = None
        self._server: str | None = None
        self._number = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self.processed_commit = 0
        """Every commit up to this number has moved live state."""
        self.durable_commit = 0
        """Every commit up to this number is in history."""
        self.on_durable: list[Callable[[int], None]] = []
        """Called with `durable_commit` when it has risen."""
        self.on_loss: list[Callable[[], None]] = []
        """Called when the log's server has started anew: commits above the watermark may be gone."""

    async def start(self) -> None:
        """Start following; returns at once and keeps trying while the server is away."""
        self._task = asyncio.get_running_loop().create_task(self._follow_for_ever(), name="log-watermark")

    async def stop(self) -> None:
        """Stop following. May be called twice."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    def add(self, positions: dict[int, int], at: float) -> Commit:
        """Register an accepted commit and return it with its number."""
        self._number += 1
        commit = Commit(self._number, positions, at)
        for waiting in (self._unprocessed, self._undurable):
            waiting.append(commit)
            if len(waiting) >= _MAX_COMMITS:
                _thin(waiting)
        return commit

    def unwritten(self) -> Commit:
        """Return a commit that holds nothing: durable as soon as all before it is."""
        return Commit(self._number, {}, time.monotonic())

    def lag_s(self) -> float:
        """Return the age of the oldest commit that the shards have not processed, seconds."""
        return time.monotonic() - self._unprocessed[0].at if self._unprocessed else 0.0

    async def durable(self, commit: Commit, timeout_s: float) -> bool:
        """Wait until `commit` is in history; False if that takes longer than `timeout_s`.

        Raises
        ------
        StoreUnavailable
            If the log's server started anew meanwhile, so that the commit may be lost.
        """
        if commit.number <= self.durable_commit:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((commit.number, future))
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not future]
        return True

    def advance(self, progress: dict[int, tuple[int, int]]) -> None:
        """Take `{partition: (processed, durable)}` of some partitions."""
        for partition, (processed, durable) in progress.items():
            if partition < len(self._processed):
                self._processed[partition] = max(processed, int(self._processed[partition]))
                self._durable[partition] = max(durable, int(self._durable[partition]))
        self.processed_commit = _passed(self._unprocessed, self._processed, self.processed_commit)
        durable_commit = _passed(self._undurable, self._durable, self.durable_commit)
        if durable_commit > self.durable_commit:
            self.durable_commit = durable_commit
            self._announce(durable_commit)

    def _announce(self, durable_commit: int) -> None:
        for number, future in self._waiters:
            if number <= durable_commit and not future.done():
                future.set_result(None)
        for callback in self.on_durable:
            callback(durable_commit)

    async def _follow_for_ever(self) -> None:
        while True:
            try:
                await self._follow()
            except (RedisError, OSError, TimeoutError, msgspec.DecodeError) as error:
                log.warning("progress.interrupted", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        async with self._redis.pubsub() as channel:
            await channel.subscribe(f"{self._prefix}:progress")
            await self._compare_server()
            await self._read_hashes()
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=_QUIET_S)
                if message is None:
                    await self._redis.ping()  # type: ignore[misc]  # typed for both clients
                    continue
                if message["type"] == "message":
                    self.advance(_decoder.decode(message["data"]))

    async def _compare_server(self) -> None:
        """Find out whether the server is another process than before: then its last second may be lost.

        Progress is only read after this, so that newer entries never lift the watermark over lost ones.
        """
        server = str((await self._redis.info("server"))["run_id"])
        if self._server not in (None, server):
            log.warning("log.restarted", undurable=len(self._undurable))
            self._forget_commits()
        self._server = server

    def _forget_commits(self) -> None:
        self._unprocessed.clear()
        self._undurable.clear()
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(StoreUnavailable("the log's server started anew; send again"))
        for callback in self.on_loss:
            callback()

    async def _read_hashes(self) -> None:
        processed = await self._redis.hgetall(f"{self._prefix}:processed")  # type: ignore[misc]  # typed for both clients
        durable = await self._redis.hgetall(f"{self._prefix}:durable")  # type: ignore[misc]  # typed for both clients
        self.advance(
            {
                int(partition): (int(processed.get(partition, 0)), int(durable.get(partition, 0)))
                for partition in processed.keys() | durable.keys()
            }
        )


def _thin(commits: deque[Commit]) -> None:
    """Join each pair of neighbours: both are passed when the later one is, and are as old as the earlier."""
    pairs = list(commits)
    last = [pairs.pop()] if len(pairs) % 2 else []
    joined = [
        Commit(later.number, earlier.positions | later.positions, earlier.at)
        for earlier, later in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    commits.clear()
    commits.extend([*joined, *last])


def _passed(commits: deque[Commit], reached: NDArray[np.int64], before: int) -> int:
    """Drop the leading commits that lie wholly below `reached` and return the number of the last one."""
    while commits:
        commit = commits[0]
        if any(reached[partition] < position for partition, position in commit.positions.items()):
            break
        before = commit.number
        commits.popleft()
    return before
