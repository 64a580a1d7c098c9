"""Tenants and their users in MongoDB.

Signing in happens before there is a scope, so the look-up by e-mail takes none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from models.documents.event import Event
from models.documents.tenant import Tenant
from models.documents.user import User
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.store.connections import Database
from models.store.indexes import ensure_tenant_indexes
from models.store.outbox import Announcement, OutboxRepository
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import replace_at

__all__ = ["AccountRepository"]


class AccountRepository:
    """Tenants and users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox = OutboxRepository(database)

    async def register(self, tenant: Tenant, user: User) -> None:
        """Store a new tenant with its first user, both or none.

        Raises
        ------
        Conflict
            If somebody has signed up with this e-mail address.
        """

        async def insert(session: Session) -> None:
            await self._database.users.insert_one(user.stored(), session=session)
            await self._database.tenants.insert_one(tenant.stored(), session=session)
            await self._outbox.put(session, [_registered(tenant, user)])

        await ensure_tenant_indexes(self._database, tenant.id)  # a transaction can't make collections everywhere
        try:
            await in_transaction(self._database, insert)
        except DuplicateKeyError as fault:
            raise Conflict("this e-mail address is registered already") from fault

    async def user_by_email(self, email: str) -> User | None:
        """Return the user who signs in with `email`."""
        found = await self._database.users.find_one({"email": email.lower()})
        return None if found is None else User.restored(found)

    async def user(self, scope: Scope) -> User:
        """Return the user who acts in `scope`.

        Raises
        ------
        NotFound
            If the actor is no user, or is gone.
        """
        found = await self._database.users.find_one({"_id": scope.actor, "tenant": scope.tenant})
        if found is None:
            raise NotFound("user", scope.actor)
        return User.restored(found)

    async def tenant(self, scope: Scope) -> Tenant:
        """Return the tenant of `scope`, with every change that was answered before this call.

        Raises
        ------
        NotFound
            If it is gone.
        """

        async def read() -> Mapping[str, Any]:
            found: Mapping[str, Any] | None = await self._database.tenants.find_one({"_id": scope.tenant})
            if found is None:
                raise NotFound("tenant", scope.tenant)
            return found

        return await self._database.read("tenant", scope.tenant, "itself", read, Tenant.restored)

    async def request_budgets(self, tenants: Sequence[str]) -> Mapping[str, int | None]:
        """Return the requests a second that tenants have chosen, for the counting of all that ask."""
        query = {"_id": {"$in": list(tenants)}}
        found = await self._database.tenants.find(query, {"settings.requestsPerSecond": 1}).to_list(None)
        return {fields["_id"]: fields.get("settings", {}).get("requestsPerSecond") for fields in found}

    async def replace_tenant(self, tenant: Tenant, expected: int, announcement: Announcement) -> None:
        """Store a changed tenant and its event, if it still is at version `expected`.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """

        async def swap(session: Session) -> None:
            await replace_at(self._database.tenants, tenant, expected, session)
            await self._outbox.put(session, [announcement])

        await self._database.write("tenant", tenant.id, in_transaction(self._database, swap))


def _registered(tenant: Tenant, user: User) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=tenant.id,
        time=tenant.created_at,
        type="tenant.registered",
        aggregate=tenant.id,
        sequence=tenant.version,
        actor=user.id,
        data={"name": tenant.name, "userId": user.id, "version": tenant.version},
    )
    return Announcement(event, after=tenant)
