"""Passwords and their resets in MongoDB. The digest of a token is the proof of who comes, who has no scope yet."""

import datetime
from typing import Any

from models.documents.password_reset import PasswordReset
from models.documents.task import Task
from models.documents.user import User
from models.errors import NotAuthenticated
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction
from models.store.versions import replace_at

__all__ = ["PasswordRepository"]


class PasswordRepository:
    """New passwords, and one reset a user at most; MongoDB drops those that have expired."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._resets: Any = database["password_resets"]
        self._outbox = OutboxRepository(database)
        self._tasks = TaskRepository(database)

    async def offer(self, reset: PasswordReset, mail: Task) -> None:
        """Store a reset in place of those of before, with the task of its mail."""

        async def insert(session: Session) -> None:
            await self._resets.delete_many({"tenant": reset.tenant, "user": reset.user}, session=session)
            await self._resets.insert_one(reset.stored(), session=session)
            await self._tasks.put([mail], session)

        await in_transaction(self._database, insert)

    async def open(self, identifier: str, digest: str, now: datetime.datetime) -> PasswordReset | None:
        """Return the reset that a token stands for, if it is still good."""
        query = {"_id": identifier, "digest": digest, "expiresAt": {"$gt": now}}
        found = await self._resets.find_one(query)
        return None if found is None else PasswordReset.restored(found)

    async def replace(
        self, user: User, expected: int, announcement: Announcement, reset: PasswordReset | None = None
    ) -> None:
        """Store a user with a new password, end its sign-ins and void its resets; the one that is used, once.

        Raises
        ------
        NotAuthenticated
            If the reset was used meanwhile.
        VersionConflict
            If the user was changed meanwhile.
        """
        of_user = {"tenant": user.tenant, "user": user.id}

        async def swap(session: Session) -> None:
            if reset is not None:
                gone = await self._resets.delete_one({"_id": reset.id, "digest": reset.digest}, session=session)
                if gone.deleted_count == 0:
                    raise NotAuthenticated("the link is not valid any more")
            await replace_at(self._database.users, user, expected, session)
            await self._resets.delete_many(of_user, session=session)
            await self._database.sign_ins.delete_many(of_user, session=session)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, swap)
