"""Whether history holds what was acknowledged: every ping counted by its identity, in the chunks as they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.messages.fixes import STORED, Outcome
from models.store.connections import Database

__all__ = ["HistoryCount", "count_history", "missing", "sequences_before"]


@dataclass(frozen=True, slots=True)
class HistoryCount:
    """What history holds of some drivers."""

    sequences: Mapping[int, NDArray[np.int64]]
    """Driver number → the distinct sequence numbers of its pings, rising."""
    stored: int
    """Records, repeats included."""

    @property
    def distinct(self) -> int:
        """Return how many different pings there are."""
        return sum(sequences.size for sequences in self.sequences.values())

    @property
    def repeats(self) -> int:
        """Return how many records repeat another."""
        return self.stored - self.distinct


async def count_history(database: Database, numbers: Sequence[int]) -> HistoryCount:
    """Read all chunks of some drivers and count their pings."""
    found: dict[int, NDArray[np.int64]] = {}
    parts: list[NDArray[np.int64]] = []
    current, stored = -1, 0

    def settle() -> None:
        if parts:
            found[current] = np.unique(np.concatenate(parts))
            parts.clear()

    query = {"d": {"$gte": min(numbers), "$lte": max(numbers)}}
    chunks = database["history"].find(query, {"_id": 0, "d": 1, "b": 1}).sort([("d", 1), ("to", 1)])
    async for chunk in chunks:
        if chunk["d"] != current:
            settle()
            current = chunk["d"]
        records = np.frombuffer(chunk["b"], STORED)
        records = records[records["outcome"] != Outcome.DUPLICATE]
        stored += records.size
        parts.append(records["seq"].copy())
    settle()
    return HistoryCount(found, stored)


def sequences_before(frame: int, drivers: int, batch: int) -> NDArray[np.int64]:
    """Return how many pings of each driver of a connection lie in its frames before `frame`; they count from 1."""
    members = np.arange(drivers)
    return (frame * batch - members + drivers - 1) // drivers


def missing(count: HistoryCount, number: int, after: int, upto: int) -> int:
    """Return how many of a driver's pings `after + 1` to `upto` history lacks."""
    sequences = count.sequences.get(number, np.empty(0, np.int64))
    low, high = np.searchsorted(sequences, (after, upto), side="right")
    return upto - after - int(high - low)
