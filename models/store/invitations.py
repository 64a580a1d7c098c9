"""Invitations in MongoDB. The digest of the token is the proof of who accepts, who has no scope yet."""

import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from models.documents.invitation import Invitation
from models.documents.task import Task
from models.documents.user import User
from models.errors import Conflict, NotAuthenticated, NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction

__all__ = ["InvitationRepository"]


class InvitationRepository:
    """The open invitations of tenants; MongoDB drops those that have expired."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._invitations: Any = database["invitations"]
        self._outbox = OutboxRepository(database)
        self._tasks = TaskRepository(database)

    async def create(self, invitation: Invitation, announcement: Announcement, mail: Task) -> None:
        """Store an invitation, its event and the task of its mail.

        Raises
        ------
        Conflict
            If this address is invited already, or is a user's.
        """
        expired = {
            "tenant": invitation.tenant,
            "email": invitation.email,
            "expiresAt": {"$lte": invitation.created_at},
        }

        async def insert(session: Session) -> None:
            if await self._database.users.find_one({"email": invitation.email}, {"_id": 1}, session=session):
                raise Conflict("this e-mail address is registered already")
            await self._invitations.delete_many(expired, session=session)
            await self._invitations.insert_one(invitation.stored(), session=session)
            await self._tasks.put([mail], session)
            await self._outbox.put(session, [announcement])

        try:
            await in_transaction(self._database, insert)
        except DuplicateKeyError as fault:
            raise Conflict("this e-mail address is invited already; withdraw that invitation first") from fault

    async def page(self, scope: Scope, page: PageRequest) -> Page[Invitation]:
        """Return one page of the tenant's invitations, newest first."""
        return await read_page(self._invitations, Invitation, {"tenant": scope.tenant}, page, newest_first=True)

    async def get(self, scope: Scope, identifier: str) -> Invitation:
        """Return one invitation.

        Raises
        ------
        NotFound
            If the tenant has no such invitation.
        """
        found = await self._invitations.find_one({"_id": identifier, "tenant": scope.tenant})
        if found is None:
            raise NotFound("invitation", identifier)
        return Invitation.restored(found)

    async def delete(self, invitation: Invitation, announcement: Announcement) -> None:
        """Withdraw an invitation.

        Raises
        ------
        NotFound
            If it is gone.
        """

        async def remove(session: Session) -> None:
            query = {"_id": invitation.id, "tenant": invitation.tenant}
            gone = await self._invitations.delete_one(query, session=session)
            if gone.deleted_count == 0:
                raise NotFound("invitation", invitation.id)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, remove)

    async def open(self, identifier: str, digest: str, now: datetime.datetime) -> Invitation | None:
        """Return the invitation that a token stands for, if it is still good."""
        query = {"_id": identifier, "digest": digest, "expiresAt": {"$gt": now}}
        found = await self._invitations.find_one(query)
        return None if found is None else Invitation.restored(found)

    async def accept(self, invitation: Invitation, user: User, announcements: list[Announcement]) -> None:
        """Turn an invitation into a user, once however many try at the same time.

        Raises
        ------
        NotAuthenticated
            If it was accepted or withdrawn meanwhile.
        Conflict
            If the address was registered meanwhile.
        """

        async def turn(session: Session) -> None:
            gone = await self._invitations.delete_one(
                {"_id": invitation.id, "digest": invitation.digest}, session=session
            )
            if gone.deleted_count == 0:
                raise NotAuthenticated("the invitation is not valid any more")
            await self._database.users.insert_one(user.stored(), session=session)
            await self._outbox.put(session, announcements)

        try:
            await in_transaction(self._database, turn)
        except DuplicateKeyError as fault:
            raise Conflict("this e-mail address is registered already") from fault
