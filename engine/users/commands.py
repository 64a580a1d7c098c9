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

__all__ = ["UserCommands", "UserEvent", "check_driver", "user_event"]

UserEvent = Literal[
    "user.created",
    "user.changed",
    "user.role_changed",
    "user.password_changed",
    "user.password_reset",
    "user.deleted",
]
"""What can happen to a user."""


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
        await check_driver(self._drivers, scope, user.role, user.driver)
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
        self, scope: Scope, user: str, changes: Mapping[str, Any], version: int | None, kind: UserEvent
    ) -> User:
        before = await self._seen(scope, user, version)
        after = before.model_copy(update={**changes, "version": before.version + 1})
        await check_driver(self._drivers, scope, after.role, after.driver)
        await self._users.replace(after, before.version, _announced(scope, after, kind, before, after))
        return after

    async def _seen(self, scope: Scope, user: str, version: int | None) -> User:
        found = await self._users.get(scope, user)
        check_version(user, version, found.version)
        return found


async def check_driver(drivers: DriverRepository, scope: Scope, role: UserRole, driver: str | None) -> None:
    """Refuse a user of role `driver` who is no driver of the tenant, and one of another role who is one.

    Raises
    ------
    InvalidInput
        With the field at fault.
    """
    if (role == "driver") != (driver is not None):
        raise InvalidInput("driverId belongs to the role driver, and it needs one", [("driverId", "see role")])
    if driver is not None and driver not in await drivers.get_many(scope, [driver]):
        raise InvalidInput(f"there is no driver {driver}", [("driverId", "unknown")])


def user_event(scope: Scope, user: User, kind: UserEvent) -> Event:
    """Return the event that tells of a user as it is now."""
    return Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=user.id,
        sequence=user.version,
        actor=scope.actor,
        data={"userId": user.id, "role": user.role, "driverId": user.driver, "version": user.version},
    )


def _announced(scope: Scope, user: User, kind: UserEvent, before: User | None, after: User | None) -> Announcement:
    return Announcement(user_event(scope, user, kind), (), before, after)
