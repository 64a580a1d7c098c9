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
    """The collection `eta_legs`. Ids come from what happened: writing twice changes nothing but when it was stored.

    Whose positions were erased is in `eta_forgotten`: what was exported before is to lose their legs too.
    """

    def __init__(self, database: Database) -> None:
        self._legs: Any = database["eta_legs"]
        self._forgotten: Any = database["eta_forgotten"]

    async def forget(self, tenant: str, driver: str) -> None:
        """Delete the legs that a driver has driven, and remember it for the data sets that hold them."""
        told = {"_id": f"{tenant}/{driver}", "tenant": tenant, "driver": driver, "at": now()}
        await self._forgotten.replace_one({"_id": told["_id"]}, told, upsert=True)
        await self._legs.delete_many({"tenant": tenant, "driver": driver})

    async def forgotten(self, tenant: str) -> dict[str, datetime.datetime]:
        """Return whose legs are to be in no data set of a company, and when each of the drivers was erased."""
        return {told["driver"]: told["at"] async for told in self._forgotten.find({"tenant": tenant})}

    async def save(self, legs: Sequence[dict[str, Any]]) -> None:
        """Store driven legs, each in place of one with its id."""
        if legs:
            stored = now()
            writes = [ReplaceOne({"_id": leg["_id"]}, {**leg, "stored": stored}, upsert=True) for leg in legs]
            await self._legs.bulk_write(writes, ordered=False)

    async def tenants(self) -> list[str]:
        """Return the companies that have driven legs, or had."""
        return sorted({*await self._legs.distinct("tenant"), *await self._forgotten.distinct("tenant")})

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
