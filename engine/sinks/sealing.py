"""From memory to the stores: slots of history, snapshots, and then the log may forget.

Two loops beside the shard's reading: one writes the slots that are over, one takes images of partitions, in turn, and
trims the log to what image and history both hold.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.log.trim import trim
from engine.settings import Settings
from engine.shards.memory import ShardMemory
from engine.shards.outlet import EffectOutlet
from engine.sinks.history import SealedSlot, cut_chunks
from engine.telemetry.metrics import HISTORY_FIXES, HISTORY_OLDEST
from models.errors import Fenced
from models.store.connections import Database
from models.store.history import HistoryRepository
from models.store.snapshots import SnapshotRepository, StoredSnapshot

__all__ = ["HistorySink", "Owned", "SnapshotSink"]

log = structlog.get_logger(__name__)

_LOOK_S = 0.02
_FIRST_RETRY_S = 0.2
_LONGEST_RETRY_S = 5.0
_IMAGE_PAUSE_S = 0.05  # an image copies a partition between two batches; this leaves room for batches


@dataclass(slots=True)
class Owned:
    """A partition that this shard owns."""

    epoch: int
    offset: int
    """Log position up to which memory holds everything."""
    imaged_at: float = field(default_factory=time.monotonic)
    imaged_offset: int = -1
    imaged_durable: int = -1
    """How far history was when the image was taken; fixes after that are in the image."""


class HistorySink:
    """Writes the sealed slots of a shard's memory."""

    def __init__(self, settings: Settings, database: Database, memory: ShardMemory) -> None:
        self._most = settings.history.pending_max_fixes
        self._memory = memory
        self._history = HistoryRepository(database)
        self._sealed = asyncio.Event()
        self._freed = asyncio.Event()

    def look(self) -> None:
        """Say that slots may have been sealed."""
        self._sealed.set()

    async def room(self) -> None:
        """Wait while more fixes than allowed wait for history: the log grows then, and the door says no in time."""
        while self._memory.history.size > self._most:
            self._sealed.set()
            self._freed.clear()
            await self._freed.wait()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._sealed.wait()
            self._sealed.clear()
            if slots := self._memory.history.take_sealed():
                await self._until_written(slots)
                self._memory.history.release(slots)
                self._freed.set()
            await asyncio.sleep(_LOOK_S)

    async def _until_written(self, slots: Sequence[SealedSlot]) -> None:
        delay_s = _FIRST_RETRY_S
        chunks = await asyncio.to_thread(_cut_all, slots, self._memory.tenant_of_driver)
        while True:
            try:
                await self._history.write(chunks)
            except* (PyMongoError, OSError, TimeoutError) as error:
                oldest_ms = min(int(slot.stored["received"][0]) for slot in slots)
                HISTORY_OLDEST.set(max(0.0, time.time() - oldest_ms / 1000))
                log.warning("history.delayed", chunks=len(chunks), error=str(error.exceptions[0]), delay_s=delay_s)
            else:
                HISTORY_OLDEST.set(0.0)
                HISTORY_FIXES.inc(sum(slot.stored.size for slot in slots))
                return
            await asyncio.sleep(delay_s)
            delay_s = min(_LONGEST_RETRY_S, delay_s * 2)


class SnapshotSink:
    """Takes images of a shard's partitions, stores them and trims the log."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        redis: "Redis",
        memory: ShardMemory,
        owned: dict[int, Owned],
        outlet: EffectOutlet,
    ) -> None:
        self._settings, self._redis = settings, redis
        self._memory, self._owned, self._outlet = memory, owned, outlet
        self._snapshots = SnapshotRepository(database)

    async def run(self) -> None:
        """Keep every partition's snapshot younger than the interval, for ever."""
        while True:
            await asyncio.sleep(_IMAGE_PAUSE_S)
            interval_s = self._settings.shards.snapshot_interval_s
            due = [p for p, owned in self._owned.items() if time.monotonic() - owned.imaged_at > interval_s]
            # evenly over the interval, so that no second has to carry them all
            share = max(1, round(len(self._owned) * _IMAGE_PAUSE_S / interval_s))
            try:
                await self.save(sorted(due, key=lambda p: self._owned[p].imaged_at)[:share])
            except (PyMongoError, RedisError, OSError, TimeoutError) as error:
                log.warning("snapshot.delayed", error=str(error))

    async def save(self, partitions: Sequence[int]) -> None:
        """Store images of partitions and trim their logs. An image is stored once the effects before it are out."""
        for partition in partitions:
            owned = self._owned.get(partition)
            if owned is None:
                continue
            owned.imaged_at = time.monotonic()
            durable = self._memory.history.durable(partition)
            if (owned.offset, durable) != (owned.imaged_offset, owned.imaged_durable):
                epoch, offset = owned.epoch, owned.offset
                image, mark = self._memory.image(partition), self._outlet.mark
                await self._outlet.passed(mark)
                data = await asyncio.to_thread(image.pack)
                try:
                    await self._snapshots.save(StoredSnapshot(partition, epoch, offset, durable, data))
                except Fenced as fault:
                    log.warning("snapshot.refused", partition=partition, epoch=fault.mine, new=fault.current)
                    continue
                owned.imaged_offset, owned.imaged_durable = offset, durable
            before = min(owned.imaged_offset, durable)
            await trim(self._redis, self._settings.prefix, partition, epoch=owned.epoch, before=before)


def _cut_all(slots: Sequence[SealedSlot], tenant_of: Callable[[int], str | None]) -> list[dict[str, Any]]:
    return [chunk for slot in slots for chunk in cut_chunks(slot, tenant_of)]
