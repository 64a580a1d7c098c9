"""Who is in a shard's memory: drivers come with their first ping, and go when they are silent, changed or deleted."""

import itertools
import time
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.registry import DriverRegistry
from engine.shards.drivers import DRIVER
from engine.shards.memory import ShardMemory
from engine.telemetry.metrics import DRIVERS_LIVE
from models.messages.commands import DeliveryAssigned, DeliveryChanged, LogMessage, RoutePlanned
from models.messages.records import layout_of
from models.store.motion import MotionRepository

__all__ = ["Roster"]

_GONE_S = 60.0  # how long a number without a document is not asked for again
_MOST_GONE = 100_000
_AT_ONCE = 2000  # drivers; questions are answered between two such batches


class Roster:
    """Brings drivers into memory and takes them out."""

    def __init__(self, memory: ShardMemory, registry: DriverRegistry, motion: MotionRepository) -> None:
        self._memory, self._registry, self._motion = memory, registry, motion
        self._gone: dict[int, float] = {}
        self._changed: set[int] = set()

    def note_changed(self, number: int) -> None:
        """Remember that a driver's document changed, came or went."""
        self._gone.pop(number, None)
        self._changed.add(number)

    def note_tenant_changed(self, tenant: str, partition: int) -> None:
        """Remember that a tenant's settings changed, for its drivers of one partition: the message comes in each."""
        self._registry.forget_tenant(tenant)
        refs = self._memory.refs
        self._changed |= {n for n, ref in refs.items() if ref.partition == partition and ref.tenant == tenant}

    async def gather(
        self, numbers: NDArray[np.uint32], messages: Sequence[LogMessage | None], partitions: Collection[int]
    ) -> None:
        """Bring every driver of a round into memory: its document says who it is, its passive state where it was.

        Raises
        ------
        StoreUnavailable, pymongo.errors.PyMongoError
            If MongoDB does not answer; the round can be tried again.
        """
        if self._changed:
            await self.refresh()
        unknown = set(self._memory.unknown(numbers))
        named = (
            message.driver
            for message in messages
            if isinstance(message, DeliveryAssigned | DeliveryChanged | RoutePlanned)
        )
        unknown |= {number for number in named if number not in self._memory.refs}
        now = time.monotonic()
        unknown = {number for number in unknown if self._gone.get(number, 0.0) < now}
        if not unknown:
            return
        ordered = sorted(unknown)
        for start in range(0, len(ordered), _AT_ONCE):
            await self._admit(ordered[start : start + _AT_ONCE], partitions)
        DRIVERS_LIVE.set(self._memory.state.drivers.size)

    async def passivate(self, before_ms: int) -> None:
        """Put drivers aside that were last heard before `before_ms`. Stored first, in case a ping comes meanwhile."""
        if idle := self._memory.idle(before_ms):
            await self._motion.keep_passive(idle, layout_of(DRIVER))
            self._memory.passivate(idle)

    async def _admit(self, numbers: Sequence[int], partitions: Collection[int]) -> None:
        found = await self._registry.read(numbers)
        states = await self._motion.passive(list(found), DRIVER)
        # the partition may have gone while we asked
        self._memory.activate([ref for ref in found.values() if ref.partition in partitions], states)
        now = time.monotonic()
        for number in numbers:
            if number not in found:
                self._note_gone(number, now)

    async def refresh(self) -> None:
        """Read again the drivers that were noted as changed; those that are gone leave memory.

        Raises
        ------
        StoreUnavailable
            If MongoDB does not answer; they stay noted.
        """
        while self._changed:
            some = list(itertools.islice(self._changed, _AT_ONCE))
            known = [self._memory.refs[number] for number in some if number in self._memory.refs]
            found = await self._registry.read([ref.number for ref in known]) if known else {}
            for ref in known:
                if ref.number in found:
                    self._memory.rename(found[ref.number])
                else:
                    self._memory.forget(ref.number)
            self._changed.difference_update(some)

    def _note_gone(self, number: int, now: float) -> None:
        if len(self._gone) >= _MOST_GONE:
            self._gone.clear()
        self._gone[number] = now + _GONE_S
