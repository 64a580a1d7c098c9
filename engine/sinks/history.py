"""History: every fix that was no repeat, as chunks of packed records in MongoDB.

A chunk holds one driver's fixes of one *slot* of log time and one hour of fix time. Slots follow from the log's own
clock: a shard that replays after a crash cuts the same chunks under the same `_id` and overwrites what it had written;
what is left of a repeat is dropped by ping identity when a track is read.
"""

import asyncio
import datetime
import math
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import numpy as np
from bson import Binary
from numpy.typing import NDArray

from engine.motion.late import dedupe
from models.messages.fixes import FIX, STORED, Outcome
from models.messages.records import join_records, take_records
from models.store.connections import Database
from models.store.history import HOUR_MS, HistoryRepository

__all__ = ["HistoryBuffer", "SealedSlot", "Waiting", "cut_chunks", "read_track", "to_stored"]

_CHUNK_ID = struct.Struct(">IIIQ")  # driver number, slot, hour of fix time, first log position
_HOUR_BITS = 24
_POSITION_BITS = 20
_GOLDEN = 0.6180339887  # spreads any number of partitions evenly over a slot's length


def to_stored(
    fixes: NDArray[np.void],
    received: NDArray[np.int64],
    positions: NDArray[np.uint64],
    outcomes: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
) -> NDArray[np.void]:
    """Return a batch as history keeps it: a `STORED` record of each fix."""
    stored = np.zeros(len(fixes), STORED)
    # a STORED begins with its FIX: whole records move as bytes, many times faster than field by field
    stored.view(np.uint8).reshape(-1, STORED.itemsize)[:, : FIX.itemsize] = (
        np.ascontiguousarray(fixes).view(np.uint8).reshape(-1, FIX.itemsize)
    )
    stored["received"], stored["position"] = received, positions
    stored["outcome"], stored["reason"] = outcomes, reasons
    return stored


@dataclass(frozen=True, slots=True, eq=False)
class SealedSlot:
    """A slot of one partition that is over: no further entry of the log can belong to it."""

    partition: int
    slot: int
    stored: NDArray[np.void]
    upto: int
    """Log position up to which history is complete once this slot and those before it are written."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """What history does not hold yet of a driver."""

    stored: NDArray[np.void]
    """`STORED` records, in log order."""
    since_written_s: float
    """How long ago history last took something of the driver's partition over; infinite if never."""


@dataclass(slots=True)
class _PartitionBuffer:
    phase_ms: int
    slot: int = -1
    parts: list[NDArray[np.void]] = field(default_factory=list)
    sealed: list[SealedSlot] = field(default_factory=list)
    processed: int = 0
    durable: int = 0
    written_at: float = -math.inf
    """`time.monotonic()` of the last release."""


class HistoryBuffer:
    """Fixes that are not in history yet, by partition and slot.

    The slots of different partitions end at different moments, so that writing is a stream instead of a pulse.

    Parameters
    ----------
    slot_ms
        Log time of a slot, milliseconds.
    """

    def __init__(self, slot_ms: int) -> None:
        self._slot_ms = slot_ms
        self._partitions: dict[int, _PartitionBuffer] = {}
        self._unwritten: list[SealedSlot] = []
        self.size = 0
        """Fixes that wait, those of slots being written included."""

    def open(self, partition: int, offset: int, pending: NDArray[np.void]) -> None:
        """Begin a partition at a log position, with what its snapshot says that history did not hold."""
        phase_ms = int(partition * _GOLDEN % 1 * self._slot_ms)
        durable = int(pending["position"][0]) - 1 if pending.size else offset
        self._partitions[partition] = _PartitionBuffer(phase_ms, processed=offset, durable=durable)
        self.add(partition, pending)

    def add(self, partition: int, stored: NDArray[np.void]) -> None:
        """Take `STORED` records of a partition, in log order; a slot is sealed when a later one begins."""
        buffer = self._partitions[partition]
        self.size += stored.size
        while stored.size:
            slot = self._slot_of(buffer, int(stored["received"][0]))
            if slot != buffer.slot:
                self._seal(partition, buffer, self._end_of(buffer, buffer.slot))
                buffer.slot = slot
            count = stored.size
            if self._slot_of(buffer, int(stored["received"][-1])) != slot:
                end_ms = (slot + 1) * self._slot_ms - buffer.phase_ms
                count = int(np.searchsorted(stored["received"], end_ms))
            buffer.parts.append(stored[:count])
            stored = stored[count:]

    def read_to(self, partition: int, position: int, clock_ms: int | None = None) -> None:
        """Note that the log has been read to a position and, if `clock_ms` is given, to its end at that time."""
        buffer = self._partitions[partition]
        buffer.processed = max(buffer.processed, position)
        if clock_ms is not None and self._slot_of(buffer, clock_ms) > buffer.slot:
            self._seal(partition, buffer, buffer.processed)
        if not buffer.parts and not buffer.sealed:
            buffer.durable = buffer.processed

    def durable(self, partition: int) -> int:
        """Return the log position up to which history holds everything of a partition."""
        return self._partitions[partition].durable

    @property
    def has_sealed(self) -> bool:
        """Tell whether slots are to be written."""
        return bool(self._unwritten)

    def take_sealed(self) -> list[SealedSlot]:
        """Take the slots that are to be written now; they stay readable here until `release`."""
        taken, self._unwritten = self._unwritten, []
        return taken

    def release(self, slots: Iterable[SealedSlot]) -> None:
        """Forget slots that history holds now, and let their partitions' durable positions rise."""
        for slot in slots:
            buffer = self._partitions.get(slot.partition)
            if buffer is None or slot not in buffer.sealed:
                continue  # another shard owns the partition by now and writes the slot again
            buffer.sealed.remove(slot)
            buffer.written_at = time.monotonic()
            self.size -= slot.stored.size
            if not buffer.sealed:
                buffer.durable = max(buffer.durable, slot.upto if buffer.parts else buffer.processed)

    def of_partition(self, partition: int) -> NDArray[np.void]:
        """Return all that waits of a partition, in log order."""
        buffer = self._partitions[partition]
        return join_records([*(slot.stored for slot in buffer.sealed), *buffer.parts], STORED)

    def of_driver(self, partition: int, number: int) -> Waiting:
        """Return what waits of a driver."""
        if partition not in self._partitions:
            return Waiting(np.empty(0, STORED), math.inf)
        waiting = self.of_partition(partition)
        since_s = time.monotonic() - self._partitions[partition].written_at
        return Waiting(take_records(waiting, waiting["driver"] == number), since_s)

    def drop(self, partition: int) -> None:
        """Forget a partition: another shard owns it now."""
        buffer = self._partitions.pop(partition, None)
        if buffer is not None:
            self.size -= sum(part.size for part in buffer.parts) + sum(slot.stored.size for slot in buffer.sealed)
            self._unwritten = [slot for slot in self._unwritten if slot.partition != partition]

    def _slot_of(self, buffer: _PartitionBuffer, at_ms: int) -> int:
        return (at_ms + buffer.phase_ms) // self._slot_ms

    def _end_of(self, buffer: _PartitionBuffer, slot: int) -> int:
        """Return the last log position that can belong to a slot."""
        return (((slot + 1) * self._slot_ms - buffer.phase_ms) << _POSITION_BITS) - 1

    def _seal(self, partition: int, buffer: _PartitionBuffer, upto: int) -> None:
        if buffer.parts:
            slot = SealedSlot(partition, buffer.slot, join_records(buffer.parts, STORED), upto)
            buffer.parts = []
            buffer.sealed.append(slot)
            self._unwritten.append(slot)


def cut_chunks(
    slot: SealedSlot, tenant_of: Callable[[int], str | None], at: datetime.datetime | None = None
) -> list[dict[str, Any]]:
    """Cut a sealed slot into chunk documents.

    Parameters
    ----------
    slot
        Its records are in log order.
    tenant_of
        Tenant of a driver number.
    at
        Time from which the chunks' expiry counts; the present by default.
    """
    keys = slot.stored["driver"].astype(np.int64) << _HOUR_BITS | slot.stored["time"] // HOUR_MS
    order = np.argsort(keys, kind="stable")
    keys, stored = keys[order], take_records(slot.stored, order)
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    first_ms, last_ms = np.minimum.reduceat(stored["time"], starts), np.maximum.reduceat(stored["time"], starts)
    ends = [*starts[1:].tolist(), stored.size]
    data, width = stored.tobytes(), STORED.itemsize
    at = at or datetime.datetime.now(tz=UTC)
    columns = zip(
        starts.tolist(),
        ends,
        keys[starts].tolist(),
        stored["position"][starts].tolist(),
        first_ms.tolist(),
        last_ms.tolist(),
        strict=True,
    )
    chunks = []
    for start, end, key, position, earliest, latest in columns:
        number, hour = key >> _HOUR_BITS, key & ((1 << _HOUR_BITS) - 1)
        chunks.append(
            {
                "_id": Binary(_CHUNK_ID.pack(number, slot.slot & 0xFFFFFFFF, hour, position)),
                "t": tenant_of(number),
                "d": number,
                "from": earliest,
                "to": latest,
                "at": at,
                "n": end - start,
                "b": data[start * width : end * width],
            }
        )
    return chunks


async def read_track(
    database: Database,
    number: int,
    from_ms: int,
    to_ms: int,
    ask: Callable[[], Awaitable[Waiting | None]] | None = None,
) -> NDArray[np.void]:
    """Return a driver's fixes of `[from_ms, to_ms]` in order of fix time, each ping once.

    Parameters
    ----------
    ask
        Asks the driver's shard for what history does not hold yet; it says None if it is away. History is read
        meanwhile. What the shard released in that time could be in neither answer: then history is read again.
    """
    history = HistoryRepository(database)
    began = time.monotonic()
    blocks, waiting = await asyncio.gather(history.blocks(number, from_ms, to_ms), ask() if ask else _nobody())
    pending = np.empty(0, STORED) if waiting is None else waiting.stored
    if waiting is not None and waiting.since_written_s <= time.monotonic() - began:
        blocks = await history.blocks(number, from_ms, to_ms)
    stored = join_records([np.frombuffer(b"".join(blocks), STORED), pending], STORED)
    inside = (stored["time"] >= from_ms) & (stored["time"] <= to_ms) & (stored["outcome"] != Outcome.DUPLICATE)
    return dedupe(take_records(stored, inside))


async def _nobody() -> None:
    """Answer for a shard that is not asked."""
