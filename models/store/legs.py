"""Legs that drivers have driven to their end: what models of travel times are trained on."""

import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pymongo import ReplaceOne

from models.documents.document import now
from models.store.connections import Database

__all__ = ["LegRepository"]

_BATCH = 5_000


class LegRepository:
    """The collection `eta_legs`. Ids come from what happened: writing twice changes nothing but when it was stored."""

    def __init__(self, database: Database) -> None:
        self._legs: Any = database["eta_legs"]

    async def save(self, legs: Sequence[dict[str, Any]]) -> None:
        """Store driven legs, each in place of one with its id."""
        if legs:
            stored = now()
            writes = [ReplaceOne({"_id": leg["_id"]}, {**leg, "stored": stored}, upsert=True) for leg in legs]
            await self._legs.bulk_write(writes, ordered=False)

    async def tenants(self) -> list[str]:
        """Return the companies that have driven legs."""
        return sorted(await self._legs.distinct("tenant"))

    async def count(self, tenant: str, since: datetime.datetime, until: datetime.datetime) -> int:
        """Return how many legs of a company were stored in `[since, until)`."""
        found: int = await self._legs.count_documents({"tenant": tenant, "stored": {"$gte": since, "$lt": until}})
        return found

    async def stored(
        self, tenant: str, since: datetime.datetime, until: datetime.datetime
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the legs of a company that were stored in `[since, until)`, in that order, some thousand at a time.

        Legs that were stored at one instant are never in two batches.
        """
        query = {"tenant": tenant, "stored": {"$gte": since, "$lt": until}}
        batch: list[dict[str, Any]] = []
        async for leg in self._legs.find(query).sort([("stored", 1), ("_id", 1)]):
            if len(batch) >= _BATCH and leg["stored"] > batch[-1]["stored"]:
                yield batch
                batch = []
            batch.append(leg)
        if batch:
            yield batch
