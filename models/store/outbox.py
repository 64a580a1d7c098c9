"""The outbox: events stored with the change that made them, until the relay has told everybody.

`events` is the lasting record; an `outbox` document is the errand, and MongoDB drops it some days after it is done.
"""

import functools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from bson.binary import Binary
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from models.documents.audit import audit_entry
from models.documents.document import Document, now
from models.documents.event import Event
from models.messages.commands import LogMessage, encode
from models.store.connections import Database
from models.store.personal import sealed
from models.store.transactions import PreparedWrite, Session

__all__ = ["EVERYWHERE", "Announcement", "Errand", "OutboxRepository", "Routed", "is_repeat"]

EVERYWHERE = -1
"""In place of a partition: the message goes to all of them."""

_DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class Routed:
    """A log message and the partition that it is for."""

    partition: int
    message: LogMessage


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event, what the shards have to be told about it, and the document that changed, for the audit log."""

    event: Event
    messages: tuple[Routed, ...] = ()
    before: Document | None = None
    """As it was; none if it is new."""
    after: Document | None = None
    """As it is now; none if it is gone."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What the relay has to do for one event."""

    id: str
    tenant: str
    event: bytes
    """The event for the wire (`Event.announced`), msgpack."""
    messages: tuple[tuple[int, bytes], ...]
    """Pairs of (partition or `EVERYWHERE`, encoded log message)."""


class OutboxRepository:
    """Errands of all tenants: the writers' side and the relay's side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Store events, their errands and what the audit log says, in the transaction of the change that they tell of.

        Raises
        ------
        pymongo.errors.BulkWriteError
            If an event of this id was stored before.
        """
        for name, documents in await self._documents(announcements):
            await self._database[name].insert_many(documents, session=session)

    async def prepared(self, announcements: Sequence[Announcement]) -> list[PreparedWrite]:
        """Return what `put` would write, for `in_one_go`."""
        return [
            functools.partial(_insert, self._database.blocking(name, *documents), documents)
            for name, documents in await self._documents(announcements)
        ]

    async def _documents(self, announcements: Sequence[Announcement]) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return what is to be inserted for announcements, by collection."""
        if not announcements:
            return []
        queued = now()
        documents = [
            ("events", [{**one.event.stored(), "queued": queued} for one in announcements]),
            ("outbox", [_stored(one) for one in announcements]),
        ]
        entries = [
            await sealed(self._database.vault, "audit", one.event.tenant, _entry(one))
            for one in announcements
            if one.before is not None or one.after is not None
        ]
        return [*documents, ("audit", entries)] if entries else documents

    async def waiting(self, limit: int) -> list[Errand]:
        """Return errands that nobody has done yet, oldest first."""
        found = await self._database.outbox.find({"waiting": True}).sort("_id", 1).limit(limit).to_list(None)
        return [_errand(fields) for fields in found]

    async def done(self, errands: Sequence[Errand]) -> None:
        """Mark errands as done."""
        await self._database.outbox.update_many(
            {"_id": {"$in": [errand.id for errand in errands]}}, {"$set": {"relayed": now()}, "$unset": {"waiting": ""}}
        )

    async def arrivals(self) -> AsyncIterator[None]:
        """Yield when errands have been put, as soon as MongoDB tells; also once at the start."""
        pipeline: list[dict[str, Any]] = [{"$match": {"operationType": "insert"}}, {"$project": {"_id": 1}}]
        async with self._database.outbox.watch(pipeline, max_await_time_ms=1000) as changes:
            yield None
            while changes.alive:
                if await changes.try_next() is not None:
                    yield None


def is_repeat(fault: BulkWriteError) -> bool:
    """Tell whether a write failed only because the same event was stored before."""
    return all(error["code"] == _DUPLICATE_KEY for error in fault.details["writeErrors"])


def _insert(collection: "Collection[Any]", documents: Sequence[dict[str, Any]], session: ClientSession) -> None:
    collection.insert_many(documents, session=session)


def _entry(announcement: Announcement) -> dict[str, Any]:
    return audit_entry(announcement.event, announcement.before, announcement.after).stored()


def _stored(announcement: Announcement) -> dict[str, Any]:
    event = announcement.event
    return {
        "_id": event.id,
        "tenant": event.tenant,
        "event": Binary(msgspec.msgpack.encode(event.announced())),
        "messages": [
            {"partition": routed.partition, "bytes": Binary(encode(routed.message))} for routed in announcement.messages
        ],
        "waiting": True,
    }


def _errand(fields: dict[str, Any]) -> Errand:
    messages = tuple((int(message["partition"]), bytes(message["bytes"])) for message in fields["messages"])
    return Errand(fields["_id"], fields["tenant"], bytes(fields["event"]), messages)
