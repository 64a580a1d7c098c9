"""What shards find out: events, trips and visits. Ids come from the log, so writing twice changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from models.documents.document import now
from models.messages.records import Layout, layout_name, relaid
from models.store.connections import Database
from models.store.paging import PageRequest
from models.store.scope import Scope

__all__ = ["MotionPage", "MotionRepository"]

_DUPLICATE_KEY = 11000
_MOST = 5000  # trips or visits that are read at once


@dataclass(frozen=True, slots=True)
class MotionPage:
    """Some of a driver's trips and visits, by time."""

    trips: Sequence[dict[str, Any]]
    visits: Sequence[dict[str, Any]]
    place: str | None
    """Place of the last one, if more follow: when it began, epoch ms, and `t` or `v` for trip or visit."""


class MotionRepository:
    """The collections `events`, `trips` and `visits`, and `passive` driver states."""

    def __init__(self, database: Database) -> None:
        self._events: Any = database["events"]
        self._trips: Any = database["trips"]
        self._visits: Any = database["visits"]
        self._passive: Any = database["passive"]

    async def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Store events; those that are there already stay as they are."""
        if not events:
            return
        queued = now()
        try:
            await self._events.insert_many([{**event, "queued": queued} for event in events], ordered=False)
        except BulkWriteError as fault:
            if any(error["code"] != _DUPLICATE_KEY for error in fault.details["writeErrors"]):
                raise

    async def save_trips(self, trips: Sequence[dict[str, Any]]) -> None:
        """Store finished trips, each in place of one with its id."""
        if trips:
            writes = [ReplaceOne({"_id": trip["_id"]}, trip, upsert=True) for trip in trips]
            await self._trips.bulk_write(writes, ordered=False)

    async def save_visits(self, visits: Sequence[dict[str, Any]]) -> None:
        """Store visits; what a visit's departure does not know of its arrival stays."""
        if visits:
            writes = [UpdateOne({"_id": visit["_id"]}, {"$set": visit}, upsert=True) for visit in visits]
            await self._visits.bulk_write(writes, ordered=True)

    async def page(self, scope: Scope, driver: str, from_ms: int, to_ms: int, page: PageRequest) -> MotionPage:
        """Return one page of a driver's trips and visits that began in `[from_ms, to_ms]`, both in one order of time.

        A driver has one trip and one visit that began at an instant, so when it began and which it is make an order.
        """
        begun = int(page.after[:-1]) if page.after is not None else from_ms
        most = page.limit + 2  # one more than wanted, and the one that the page before ended with
        places = [
            (record["from"], kind, record)
            for kind, collection in (("t", self._trips), ("v", self._visits))
            for record in await self._between(collection, scope, driver, max(from_ms, begun), to_ms, most)
        ]
        if page.after is not None:
            places = [place for place in places if place[:2] > (begun, page.after[-1])]
        places.sort(key=lambda place: place[:2])
        shown, more = places[: page.limit], len(places) > page.limit
        return MotionPage(
            [record for _, kind, record in shown if kind == "t"],
            [record for _, kind, record in shown if kind == "v"],
            f"{shown[-1][0]}{shown[-1][1]}" if more else None,
        )

    async def trips(self, scope: Scope, driver: str, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
        """Return a driver's trips that began in `[from_ms, to_ms]`, by time."""
        return await self._between(self._trips, scope, driver, from_ms, to_ms, _MOST)

    async def visits(self, scope: Scope, driver: str, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
        """Return a driver's visits that began in `[from_ms, to_ms]`, by time."""
        return await self._between(self._visits, scope, driver, from_ms, to_ms, _MOST)

    async def replace_from(
        self, scope: Scope, driver: str, from_ms: int, trips: Sequence[dict[str, Any]], visits: Sequence[dict[str, Any]]
    ) -> None:
        """Make these the driver's trips and visits that began at `from_ms` or later."""
        for collection, records in ((self._trips, trips), (self._visits, visits)):
            kept = [record["_id"] for record in records]
            writes = [ReplaceOne({"_id": record["_id"]}, record, upsert=True) for record in records]
            if writes:
                await collection.bulk_write(writes, ordered=False)
            await collection.delete_many(
                {"tenant": scope.tenant, "driver": driver, "from": {"$gte": from_ms}, "_id": {"$nin": kept}}
            )

    async def keep_passive(self, states: Mapping[int, bytes], layout: Layout) -> None:
        """Keep the states of drivers that leave memory, records of this layout."""
        if not states:
            return
        name = layout_name(layout)
        # the layout first, so that no state is there without it
        await self._passive.update_one({"_id": name}, {"$setOnInsert": {"fields": layout}}, upsert=True)
        writes = [
            ReplaceOne({"_id": number}, {"_id": number, "b": state, "layout": name}, upsert=True)
            for number, state in states.items()
        ]
        await self._passive.bulk_write(writes, ordered=False)

    async def passive(self, numbers: Sequence[int], dtype: np.dtype[np.void]) -> dict[int, bytes]:
        """Return the kept states of those drivers that have one, as records of this type."""
        found = await self._passive.find({"_id": {"$in": list(numbers)}}).to_list(None)
        names = {fields["layout"] for fields in found}
        written = await self._passive.find({"_id": {"$in": list(names)}}).to_list(None) if names else []
        layouts = {one["_id"]: one["fields"] for one in written}
        return {fields["_id"]: relaid(bytes(fields["b"]), layouts[fields["layout"]], dtype) for fields in found}

    async def _between(
        self, collection: Any, scope: Scope, driver: str, from_ms: int, to_ms: int, most: int
    ) -> list[dict[str, Any]]:
        query = {"tenant": scope.tenant, "driver": driver, "from": {"$gte": from_ms, "$lte": to_ms}}
        found: list[dict[str, Any]] = await collection.find(query).sort("from", 1).limit(most).to_list(None)
        return found
