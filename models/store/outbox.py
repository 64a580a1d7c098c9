"""The outbox: events stored in the transaction of the change that made them, with what has to be told of them.

An event is its own errand: it waits, and carries the messages to the shards, until it has been told and numbered
(`models.store.event_queue`).
"""

import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.binary import Binary
from pymongo.errors import BulkWriteError, DuplicateKeyError

from models.documents.audit import audit_entry
from models.documents.document import Document, now
from models.documents.event import Event
from models.messages.commands import LogMessage, encode
from models.store.connections import Database
from models.store.personal import sealed
from models.store.together import Inserts
from models.store.transactions import Session

__all__ = ["EVERYWHERE", "Announcement", "OutboxRepository", "Routed", "is_repeat"]

EVERYWHERE = -1
"""In place of a partition: the message goes to all of them."""

_DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class Routed:
    """A log message and the partition that it is for."""

    partition: int
    message: LogMessage


@dataclass(frozen=True)
class Announcement:
    """An event, what the shards have to be told about it, and the document that changed, for the audit log."""

    event: Event
    messages: tuple[Routed, ...] = ()
    before: Document | None = None
    """As it was; none if it is new."""
    after: Document | None = None
    """As it is now; none if it is gone."""

    @functools.cached_property
    def was(self) -> Mapping[str, Any]:
        """Return `before` as MongoDB keeps it, in clear; empty if there was none. Not to be modified."""
        return {} if self.before is None else self.before.stored()

    @functools.cached_property
    def becomes(self) -> Mapping[str, Any]:
        """Return `after` likewise."""
        return {} if self.after is None else self.after.stored()


class OutboxRepository:
    """Events of all tenants, on their writers' side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, session: Session, announcements: Sequence[Announcement]) -> None:
        """Store events, their messages and what the audit log says, in the transaction of the change that they tell of.

        Raises
        ------
        pymongo.errors.BulkWriteError, pymongo.errors.DuplicateKeyError
            If an event of this id was stored before.
        """
        for name, documents in await self._documents(announcements):
            await self._database[name].insert_many(documents, session=session)

    async def prepared(self, announcements: Sequence[Announcement]) -> list[Inserts]:
        """Return what `put` would write, for a change that is prepared (`models.store.together`)."""
        return [
            (self._database.blocking(name, *documents), documents)
            for name, documents in await self._documents(announcements)
        ]

    async def _documents(self, announcements: Sequence[Announcement]) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return what is to be inserted for announcements, by collection."""
        if not announcements:
            return []
        queued = now()
        documents = [
            ("events", [_stored(one, queued) for one in announcements]),
        ]
        entries = [
            await sealed(self._database.vault, "audit", one.event.tenant, _entry(one))
            for one in announcements
            if one.before is not None or one.after is not None
        ]
        return [*documents, ("audit", entries)] if entries else documents


def is_repeat(fault: BulkWriteError | DuplicateKeyError) -> bool:
    """Tell whether a write failed only because the same event was stored before."""
    if isinstance(fault, DuplicateKeyError):
        return True
    return all(error["code"] == _DUPLICATE_KEY for error in fault.details["writeErrors"])


def _entry(announcement: Announcement) -> dict[str, Any]:
    return audit_entry(announcement.event, announcement.was, announcement.becomes)


def _stored(announcement: Announcement, queued: datetime.datetime) -> dict[str, Any]:
    messages = [{"partition": one.partition, "bytes": Binary(encode(one.message))} for one in announcement.messages]
    return {**announcement.event.stored(), "queued": queued, "messages": messages}
