"""Names and shapes of the ingest log: which stream a partition is, and how an entry's place becomes a number."""

import hashlib
from typing import NewType

__all__ = ["EVENT_FIELD", "FIXES_FIELD", "PartitionId", "entry_id", "entry_position", "partition_of", "stream_key"]

PartitionId = NewType("PartitionId", int)

FIXES_FIELD = b"f"
"""Entry field holding `FIX` records, those of one commit for one partition."""
EVENT_FIELD = b"e"
"""Entry field holding one msgpack `models.messages.commands` message."""

_COUNTER_BITS = 20


def partition_of(tenant: str, driver: str, partitions: int) -> PartitionId:
    """Return the fixed partition of a driver: the same on every machine and in every release."""
    digest = hashlib.blake2b(f"{tenant}/{driver}".encode(), digest_size=8).digest()
    return PartitionId(int.from_bytes(digest, "little") % partitions)


def stream_key(prefix: str, partition: int) -> str:
    """Return the Redis key of a partition's stream."""
    return f"{prefix}:log:{partition}"


def entry_position(entry: bytes | str) -> int:
    """Return a stream entry id (`milliseconds-counter`) as one integer that sorts alike."""
    text = entry.decode() if isinstance(entry, bytes) else entry
    milliseconds, counter = text.split("-")
    return int(milliseconds) << _COUNTER_BITS | int(counter)


def entry_id(position: int) -> str:
    """Return the stream entry id of a position."""
    return f"{position >> _COUNTER_BITS}-{position & ((1 << _COUNTER_BITS) - 1)}"
