"""Reading the ingest log: all partitions of a shard in one round trip, and their blocks as one array.

A turn asks, in this order, for the server's clock, the entries and the epochs. The clock comes first: whatever entry
has an earlier millisecond was there when the entries were read. The epochs come last: what was read before a newer
owner took over is seen to be fenced before it is applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from models.messages.fixes import FIX
from models.messages.log import EVENT_FIELD, FIXES_FIELD, entry_id, stream_key
from models.messages.records import take_records

__all__ = ["Block", "Entry", "FixBatch", "LogReader", "Turn", "assemble", "split_rounds"]

POSITION_BITS = 20
_ANSWER_GRACE_S = 15.0  # a server that is busy with its append-only file may answer late; a dead one closes the socket


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a partition's log."""

    position: int
    data: bytes
    is_fixes: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What one round trip brought."""

    clock_ms: int
    """The server's clock from before the read, epoch milliseconds."""
    entries: Mapping[int, Sequence[Entry]]
    """New entries of each partition, in log order; a partition without any is absent."""
    epochs: Mapping[int, int]
    """Current epoch of every partition, read after the entries."""
    more: frozenset[int]
    """Partitions of which the log holds more than was read."""


@dataclass(frozen=True, slots=True)
class Block:
    """Fixes of one partition inside a batch: the half-open range of its rows."""

    partition: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class FixBatch:
    """The fixes of several partitions as one array, each with the place and time of its entry."""

    fixes: NDArray[np.void]
    """`FIX` records; those of one partition are neighbours and in log order."""
    positions: NDArray[np.uint64]
    received: NDArray[np.int64]
    blocks: tuple[Block, ...]

    def where(self, kept: NDArray[np.bool_]) -> "FixBatch":
        """Return the batch without the fixes that are not `kept`."""
        before = np.concatenate([[0], np.cumsum(kept)])
        blocks = tuple(
            Block(block.partition, int(before[block.start]), int(before[block.stop])) for block in self.blocks
        )
        return FixBatch(take_records(self.fixes, kept), self.positions[kept], self.received[kept], blocks)


class LogReader:
    """One connection that reads the streams of a shard's partitions."""

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis = redis
        self._epochs_key = f"{prefix}:epochs"
        self._prefix = prefix
        self._connection: Any = None

    async def read(self, offsets: Mapping[int, int], *, count: int, block_ms: int) -> Turn:
        """Read what follows the given positions, waiting up to `block_ms` when there is nothing.

        Raises
        ------
        redis.exceptions.RedisError
            If the server is away; the next call connects again.
        """
        connection = await self._connected()
        names = [stream_key(self._prefix, partition) for partition in offsets]
        ids = [entry_id(position) for position in offsets.values()]
        read = ("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *names, *ids)
        commands = [("TIME",), read, ("HGETALL", self._epochs_key)]
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            limit_s = block_ms / 1000 + _ANSWER_GRACE_S
            replies = [await _answer(connection, limit_s) for _ in commands]
        except BaseException:
            # an answer that nobody waits for would be taken for the next command's
            await self.close()
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return _turn(dict(zip((name.encode() for name in names), offsets, strict=True)), replies, count)

    async def close(self) -> None:
        """Close the connection; the next read opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _connected(self) -> Any:
        if self._connection is None:
            pool: Any = self._redis.connection_pool
            connection = pool.make_connection()
            await connection.connect()
            self._connection = connection
        return self._connection


async def _answer(connection: Any, limit_s: float) -> Any:
    try:
        return await connection.read_response(timeout=limit_s)
    except ResponseError as error:
        return error  # the other answers of the pipeline must still be taken off the wire


def _turn(partitions: Mapping[bytes, int], replies: Sequence[Any], count: int) -> Turn:
    seconds, microseconds = replies[0]
    entries: dict[int, list[Entry]] = {}
    more = set()
    for name, raw in replies[1] or ():
        partition = partitions[name]
        entries[partition] = [_entry(item) for item in raw]
        if len(raw) >= count:
            more.add(partition)
    flat = replies[2]
    epochs = {int(flat[i]): int(flat[i + 1]) for i in range(0, len(flat), 2)}
    return Turn(int(seconds) * 1000 + int(microseconds) // 1000, entries, epochs, frozenset(more))


def _entry(item: Sequence[Any]) -> Entry:
    milliseconds, _, counter = item[0].partition(b"-")
    fields = item[1]
    position = int(milliseconds) << POSITION_BITS | int(counter)
    if len(fields) != 2 or fields[0] not in (FIXES_FIELD, EVENT_FIELD):
        return Entry(position, b"", is_fixes=True)  # not ours: passed over, and the offset moves on
    return Entry(position, fields[1], is_fixes=fields[0] == FIXES_FIELD)


def split_rounds(
    entries: Mapping[int, Sequence[Entry]],
) -> list[tuple[dict[int, list[Entry]], list[tuple[int, Entry]]]]:
    """Split a turn so that every event message keeps its place among the fixes of its partition.

    Returns
    -------
    list
        Rounds of (fix entries by partition, event messages that follow them). Nearly always one round without messages.
    """
    if all(entry.is_fixes for items in entries.values() for entry in items):
        return [({partition: list(items) for partition, items in entries.items()}, [])]
    rounds: list[tuple[dict[int, list[Entry]], list[tuple[int, Entry]]]] = []
    for partition, items in entries.items():
        depth = 0
        for entry in items:
            if depth == len(rounds):
                rounds.append(({}, []))
            if entry.is_fixes:
                rounds[depth][0].setdefault(partition, []).append(entry)
            else:
                rounds[depth][1].append((partition, entry))
                depth += 1
    return rounds


def assemble(entries: Mapping[int, Sequence[Entry]]) -> FixBatch:
    """Join the fix entries of all partitions into one array; an entry that holds no whole fixes is left out."""
    data: list[bytes] = []
    positions: list[int] = []
    counts: list[int] = []
    blocks: list[Block] = []
    total = 0
    for partition, items in entries.items():
        start = total
        for entry in items:
            count, rest = divmod(len(entry.data), FIX.itemsize)
            if rest == 0 and count:
                data.append(entry.data)
                positions.append(entry.position)
                counts.append(count)
                total += count
        if total > start:
            blocks.append(Block(partition, start, total))
    fixes = np.frombuffer(b"".join(data), FIX)
    each = np.repeat(np.array(positions, np.uint64), counts)
    received = (each >> np.uint64(POSITION_BITS)).astype(np.int64)
    return FixBatch(fixes, each, received, tuple(blocks))
