"""Events on their way from the transaction that stored them to everybody: the outbox of the engine.

A stored event waits (`queued`) with the messages that shards have to get (`messages`) until the sequencer has told of
it and gives it its `number` in the feed; both fields go with that one write. What could not be told, because Redis was
away, gets its number all the same and is `late` until it is told.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from models.documents.event import Event
from models.store.connections import Database
from models.store.transactions import in_one_go

__all__ = ["COUNTER", "EventQueue", "Numbered", "QueuedEvent"]

COUNTER = "feed"
"""Id of the counter whose value is the number given last."""

_WAITING = {"queued": {"$type": "date"}}
_IN_ORDER = [("queued", 1), ("sequence", 1)]


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event and what has to be told of it."""

    event: Event
    messages: tuple[tuple[int, bytes], ...] | None
    """Pairs of (partition or `models.store.outbox.EVERYWHERE`, encoded log message); none where the shard that made
    the event has told of it."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A batch of events that has its numbers."""

    first: int
    """The number of the first."""
    events: Sequence[Event] | None
    """In the order of their numbers, without a gap; none if another sequencer was faster with some of them."""


class EventQueue:
    """The side of `events` that the one sequencer of an installation works on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events: Any = database["events"]

    async def waiting(self, limit: int) -> list[QueuedEvent]:
        """Return events without a number, in the order of their storing."""
        found = await self._events.find(_WAITING).sort(_IN_ORDER).limit(limit).to_list(None)
        return [_queued(fields) for fields in found]

    async def number(self, batch: Sequence[QueuedEvent], *, told: bool) -> Numbered:
        """Give events the next numbers, in their order.

        Two that number at once would not harm each other, because the counter lets one of the transactions through
        and the other finds nothing left; a gap in the numbers is all that remains of it.

        Parameters
        ----------
        batch
            Events as they waited; at least one.
        told
            Whether everybody has been told of them.
        """
        identifiers = [one.event.id for one in batch]
        counters = self._database.blocking("counters")
        events = self._database.blocking("events")
        first = matched = 0

        def give(session: ClientSession) -> None:
            nonlocal first, matched
            counter: Any = counters.find_one_and_update(
                {"_id": COUNTER},
                {"$inc": {"value": len(batch)}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            first = counter["value"] - len(batch) + 1
            query = {"_id": {"$in": identifiers}, **_WAITING}
            matched = events.update_many(
                query, _numbering(identifiers, first, told=told), session=session
            ).matched_count

        await in_one_go(self._database, give)
        if matched < len(batch):
            return Numbered(first, None)
        numbered = [one.event.model_copy(update={"number": first + place}) for place, one in enumerate(batch)]
        return Numbered(first, numbered)

    async def late(self, limit: int) -> list[QueuedEvent]:
        """Return events that have a number and of which not everybody has been told, oldest first."""
        found = await self._events.find({"late": True}).sort("number", 1).limit(limit).to_list(None)
        return [_queued(fields) for fields in found]

    async def told(self, batch: Sequence[QueuedEvent]) -> None:
        """Note that everybody has been told of late events."""
        query = {"_id": {"$in": [one.event.id for one in batch]}}
        await self._events.update_many(query, {"$unset": {"late": "", "messages": ""}})

    async def await_arrival(self, within_s: float) -> None:
        """Return when an event waits, as soon as MongoDB tells of it, and after some seconds in any case."""
        until = time.monotonic() + within_s
        async with await self._database.client.start_session() as session:
            if await self._events.find_one(_WAITING, {"_id": 1}, session=session) is not None:
                return
            since = session.operation_time  # nothing falls between the look and the stream
        pipeline: list[dict[str, Any]] = [{"$match": {"operationType": "insert"}}, {"$project": {"_id": 1}}]
        changes = self._events.watch(pipeline, max_await_time_ms=1000, start_at_operation_time=since)
        async with changes:
            while changes.alive and await changes.try_next() is None and time.monotonic() < until:
                pass


def _numbering(identifiers: Sequence[str], first: int, *, told: bool) -> list[dict[str, Any]]:
    """Return an update by pipeline that gives each event the number of its place: one statement for the whole batch."""
    number = {"$add": [first, {"$indexOfArray": [{"$literal": list(identifiers)}, "$_id"]}]}
    if told:
        return [{"$set": {"number": number}}, {"$unset": ["queued", "messages"]}]
    is_owed = {"$ne": [{"$type": "$messages"}, "missing"]}
    late = {"$cond": [is_owed, True, "$$REMOVE"]}
    return [{"$set": {"number": number, "late": late}}, {"$unset": ["queued"]}]


def _queued(fields: Mapping[str, Any]) -> QueuedEvent:
    found = fields.get("messages")
    messages = None if found is None else tuple((int(one["partition"]), bytes(one["bytes"])) for one in found)
    return QueuedEvent(Event.restored(fields), messages)
