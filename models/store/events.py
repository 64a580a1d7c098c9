"""Events of all kinds, and the feed: the order in which they were stored, as consumers and customers read it.

Ids can't give that order: the id of a motion event is made of the time of a fix, which may lie far back. So events are
stored with the instant of storing, `queued`, and a single sequencer turns that into `number`, a transaction a batch
(`models.store.event_queue`): whoever has seen number n has seen everything before it.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from models.documents.event import Event
from models.errors import NotFound
from models.store.connections import Database
from models.store.event_queue import COUNTER
from models.store.scope import Scope

__all__ = ["EventRepository"]


class EventRepository:
    """The collection `events`, read in the order of the feed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """Return the number given last, 0 if there is none."""
        counter = await self._database.counters.find_one({"_id": COUNTER})
        return int(counter["value"]) if counter else 0

    async def queued_since(self) -> datetime.datetime | None:
        """Return since when the oldest event without a number waits for one; None if none does."""
        queue = {"queued": {"$type": "date"}}
        found = await self._database.events.find_one(queue, {"queued": 1}, sort=[("queued", 1), ("sequence", 1)])
        return None if found is None else found["queued"]

    async def following(self, number: int, limit: int) -> list[Event]:
        """Return what comes after a number in the feed, of all tenants."""
        return await self._read({"number": {"$gt": number}}, limit)

    async def after(
        self, scope: Scope, number: int, limit: int, types: Sequence[str] = (), aggregate: str | None = None
    ) -> list[Event]:
        """Return what comes after a number in the tenant's feed.

        Parameters
        ----------
        scope
            Whose feed.
        number
            The last one seen; 0 begins at the first event that is kept.
        limit
            Most events.
        types
            Types that are wanted, such as `delivery.assigned`, or all of a kind, `delivery.*`; none wants all.
        aggregate
            What they happened to, if only that matters.
        """
        query: dict[str, Any] = {"tenant": scope.tenant, "number": {"$gt": number}}
        if aggregate is not None:
            query["aggregate"] = aggregate
        if types:
            query["$or"] = [_of_type(wanted) for wanted in types]
        return await self._read(query, limit)

    async def get(self, scope: Scope, event: str) -> Event:
        """Return one event.

        Raises
        ------
        NotFound
            If the tenant has no such event.
        """
        found = await self._database.events.find_one({"_id": event, "tenant": scope.tenant})
        if found is None:
            raise NotFound("event", event)
        return Event.restored(found)

    async def of_ids(self, scope: Scope, events: Sequence[str]) -> dict[str, Event]:
        """Return those of some events that the tenant has, by id."""
        found = await self._database.events.find({"_id": {"$in": list(events)}, "tenant": scope.tenant}).to_list(None)
        return {fields["_id"]: Event.restored(fields) for fields in found}

    async def place_before(self, scope: Scope, moment: datetime.datetime) -> int:
        """Return the place in the feed after which everything is that happened to the tenant from a moment on."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"tenant": scope.tenant, "time": {"$gte": moment}, "number": {"$gt": 0}}},
            {"$group": {"_id": None, "first": {"$min": "$number"}}},
        ]
        async for found in self._database.events.aggregate(pipeline):
            return int(found["first"]) - 1
        return await self.newest()

    async def _read(self, query: dict[str, Any], limit: int) -> list[Event]:
        found = await self._database.events.find(query).sort("number", 1).limit(limit).to_list(None)
        return [Event.restored(fields) for fields in found]


def _of_type(wanted: str) -> dict[str, Any]:
    if not wanted.endswith(".*"):
        return {"type": wanted}
    kind = wanted.removesuffix("*")
    return {"type": {"$gte": kind, "$lt": kind[:-1] + "/"}}  # the slash is the character after the dot
