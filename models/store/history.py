"""Chunks of history in MongoDB: written over under the same id, found by driver and time."""

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

from models.store.connections import Database
from models.store.replays import put_all

__all__ = ["HOUR_MS", "HistoryRepository"]

HOUR_MS = 3_600_000
"""Fix time that a chunk spans at most, and never across a full hour."""

_DOCUMENTS_A_WRITE = 400  # one is encoded in 3 ms, in which its process does nothing else
_WRITES_AT_ONCE = 2


class HistoryRepository:
    """The collection `history`. Drivers are known by number, which belongs to one tenant for good."""

    def __init__(self, database: Database) -> None:
        self._history: Any = database["history"]

    async def write(self, chunks: Sequence[dict[str, Any]]) -> None:
        """Store chunks; one that is there already is replaced, because a replay writes the same again."""
        turns = asyncio.Semaphore(_WRITES_AT_ONCE)

        async def write_some(some: Sequence[dict[str, Any]]) -> None:
            async with turns:
                await put_all(self._history, some)

        async with asyncio.TaskGroup() as group:
            for start in range(0, len(chunks), _DOCUMENTS_A_WRITE):
                group.create_task(write_some(chunks[start : start + _DOCUMENTS_A_WRITE]), name="history-write")

    async def blocks(self, number: int, from_ms: int, to_ms: int) -> list[bytes]:
        """Return the packed fixes of a driver's chunks that touch `[from_ms, to_ms]`."""
        # the end of the last hour bounds the walk along the index; without it every later chunk would be looked at
        hour_end = to_ms // HOUR_MS * HOUR_MS + HOUR_MS
        query = {"d": number, "to": {"$gte": from_ms, "$lt": hour_end}, "from": {"$lte": to_ms}}
        found = await self._history.find(query, {"_id": 0, "b": 1}, batch_size=5000).to_list(None)
        return [fields["b"] for fields in found]

    async def count(self, since: datetime.datetime, until: datetime.datetime) -> int:
        """Return how many chunks came between two instants."""
        return int(await self._history.count_documents({"at": {"$gte": since, "$lt": until}}))

    async def stored_between(self, since: datetime.datetime, until: datetime.datetime, one_in: int = 1) -> list[bytes]:
        """Return the packed fixes of chunks that came between two instants, of one driver in so many."""
        query: dict[str, Any] = {"at": {"$gte": since, "$lt": until}}
        if one_in > 1:
            query["d"] = {"$mod": [one_in, 0]}
        found = self._history.find(query, {"_id": 0, "b": 1}, batch_size=5000)
        return [fields["b"] async for fields in found]
