"""Sign-ins in MongoDB: refresh tokens that are good once.

A token comes before there is a scope, so `renew` and `end` take none: the digest is the proof.
"""

import datetime
from collections.abc import Sequence
from typing import Any

from models.documents.sign_in import SignIn
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.transactions import Session, in_transaction

__all__ = ["SignInRepository"]


class SignInRepository:
    """The collection `sign_ins`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sign_ins: Any = database["sign_ins"]
        self._outbox = OutboxRepository(database)

    async def create(self, sign_in: SignIn, announcements: Sequence[Announcement]) -> None:
        """Store a new sign-in and its events."""

        async def insert(session: Session) -> None:
            await self._sign_ins.insert_one(sign_in.stored(), session=session)
            await self._outbox.put(session, announcements)

        await in_transaction(self._database, insert)

    async def note(self, announcement: Announcement) -> None:
        """Store the event of a try that has failed."""
        await in_transaction(self._database, lambda session: self._outbox.put(session, [announcement]))

    async def renew(self, identifier: str, digest: str, new_digest: str, now: datetime.datetime) -> SignIn | None:
        """Exchange the newest token of a sign-in for another, once however many try at the same time.

        Returns None if the token is not the newest. One that was good before is in two hands then: the sign-in ends.
        """
        query = {"_id": identifier, "digest": digest, "expiresAt": {"$gt": now}}
        found = await self._sign_ins.find_one_and_update(query, {"$set": {"digest": new_digest}})
        if found is None:
            await self._sign_ins.delete_one({"_id": identifier})
            return None
        return SignIn.restored(found)

    async def end(self, identifier: str, digest: str) -> None:
        """End a sign-in; a token that is not its newest ends nothing."""
        await self._sign_ins.delete_one({"_id": identifier, "digest": digest})
