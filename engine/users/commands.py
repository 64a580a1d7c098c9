"""Changes of users: stored with their event in one transaction. Passwords come in hashed."""

from collections.abc import Mapping
from typing import Any, Literal

from models.documents.document import now
from models.documents.event import Event
from models.documents.user import User, UserRole
from models.errors import InvalidInput, check_version
from models.ids import new_id
from models.store.connections import Database
from models.store.drivers import DriverRepository
from models.store.outbox import Announcement
from models.store.scope import Scope
from models.store.users import UserRepository

__all__ = ["UserCommands"]


class UserCommands:
    """What can be done to users."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._users = UserRepository(database)
        self._drivers = DriverRepository(database, partitions)

    async def create(self, scope: Scope, user: User) -> User:
        """Store a new user.

        Raises
        ------
        InvalidInput
            If it is of role `driver` without a driver of the tenant, or of another role with one.
        Conflict
            If somebody has this e-mail address.
        """
        await self._check_driver(scope, user)
        await self._users.create(user, _announced(scope, user, "user.created", None, user))
        return user

    async def change(self, scope: Scope, user: str, changes: Mapping[str, Any], version: int | None) -> User:
        """Change fields of a user; raises as `create`, and VersionConflict or NotFound."""
        return await self._replace(scope, user, changes, version, "user.changed")

    async def set_role(self, scope: Scope, user: str, role: UserRole, driver: str | None, version: int | None) -> User:
        """Give a user another role; raises as `change`, and Conflict if no admin would be left."""
        return await self._replace(scope, user, {"role": role, "driver": driver}, version, "user.role_changed")

    async def delete(self, scope: Scope, user: str, version: int | None) -> None:
        """Delete a user, who is signed out everywhere.

        Raises
        ------
        NotFound
            If the tenant has no such user.
        Conflict
            If no admin would be left.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, user, version)
        last = before.model_copy(update={"version": before.version + 1})
        await self._users.delete(before, _announced(scope, last, "user.deleted", before, None))

    async def _replace(
        self, scope: Scope, user: str, changes: Mapping[str, Any], version: int | None, kind: "_Kind"
    ) -> User:
        before = await self._seen(scope, user, version)
        after = before.model_copy(update={**changes, "version": before.version + 1})
        await self._check_driver(scope, after)
        await self._users.replace(after, before.version, _announced(scope, after, kind, before, after))
        return after

    async def _seen(self, scope: Scope, user: str, version: int | None) -> User:
        found = await self._users.get(scope, user)
        check_version(user, version, found.version)
        return found

    async def _check_driver(self, scope: Scope, user: User) -> None:
        if (user.role == "driver") != (user.driver is not None):
            raise InvalidInput("driverId belongs to the role driver, and it needs one", [("driverId", "see role")])
        if user.driver is not None and user.driver not in await self._drivers.get_many(scope, [user.driver]):
            raise InvalidInput(f"there is no driver {user.driver}", [("driverId", "unknown")])


_Kind = Literal["user.created", "user.changed", "user.role_changed", "user.deleted"]


def _announced(scope: Scope, user: User, kind: _Kind, before: User | None, after: User | None) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=user.id,
        sequence=user.version,
        actor=scope.actor,
        data={"userId": user.id, "role": user.role, "driverId": user.driver, "version": user.version},
    )
    return Announcement(event, (), before, after)
