"""Users in MongoDB. Every change is stored with its event in one transaction, and a tenant always keeps an admin."""

from collections.abc import Awaitable, Callable

from pymongo.errors import DuplicateKeyError

from models.documents.user import User, UserRole
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import delete_at, replace_at

__all__ = ["UserRepository"]


class UserRepository:
    """The users of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox = OutboxRepository(database)

    async def page(self, scope: Scope, page: PageRequest, role: UserRole | None) -> Page[User]:
        """Return one page of the tenant's users, oldest first, of one role where asked."""
        query: dict[str, str] = {"tenant": scope.tenant}
        if role is not None:
            query["role"] = role
        return await read_page(self._database.users, User, query, page, newest_first=False)

    async def get(self, scope: Scope, user: str) -> User:
        """Return one user.

        Raises
        ------
        NotFound
            If the tenant has no such user.
        """
        found = await self._database.users.find_one({"_id": user, "tenant": scope.tenant})
        if found is None:
            raise NotFound("user", user)
        return User.restored(found)

    async def create(self, user: User, announcement: Announcement) -> None:
        """Store a new user and its event.

        Raises
        ------
        Conflict
            If somebody has this e-mail address.
        """

        async def insert(session: Session) -> None:
            await self._database.users.insert_one(user.stored(), session=session)
            await self._outbox.put(session, [announcement])

        await self._with_free_address(insert)

    async def replace(self, user: User, expected: int, announcement: Announcement) -> None:
        """Store a changed user and its event, if it still is at version `expected`.

        Raises
        ------
        Conflict
            If the e-mail address is taken, or the tenant would be left without an admin.
        VersionConflict
            If somebody was faster.
        """

        async def swap(session: Session) -> None:
            await replace_at(self._database.users, user, expected, session)
            await self._keep_an_admin(user.tenant, session)
            await self._outbox.put(session, [announcement])

        await self._with_free_address(swap)

    async def delete(self, user: User, announcement: Announcement) -> None:
        """Delete a user with its sign-ins, with the event of it.

        Raises
        ------
        Conflict
            If the tenant would be left without an admin.
        VersionConflict
            If somebody has changed or deleted it meanwhile.
        """

        async def remove(session: Session) -> None:
            await delete_at(self._database.users, user, session)
            await self._keep_an_admin(user.tenant, session)
            await self._database.sign_ins.delete_many({"tenant": user.tenant, "user": user.id}, session=session)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, remove)

    async def _keep_an_admin(self, tenant: str, session: Session) -> None:
        # two admins who demote each other at the same moment both touch the tenant, so that one has to look again
        await self._database.tenants.update_one({"_id": tenant}, {"$inc": {"usersChanged": 1}}, session=session)
        query = {"tenant": tenant, "role": "admin"}
        if await self._database.users.find_one(query, {"_id": 1}, session=session) is None:
            raise Conflict("a company keeps at least one admin")

    async def _with_free_address(self, work: Callable[[Session], Awaitable[None]]) -> None:
        try:
            await in_transaction(self._database, work)
        except DuplicateKeyError as fault:
            raise Conflict("this e-mail address is registered already") from fault
