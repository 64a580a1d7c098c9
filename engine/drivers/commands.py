"""Changes of drivers: stored with their event in one transaction; the shard that has the driver reads it again."""

from collections.abc import Mapping
from typing import Any, Literal

from models.documents.document import now
from models.documents.driver import Driver
from models.documents.event import Event
from models.errors import check_version
from models.ids import new_id
from models.messages.commands import DriverChanged
from models.store.connections import Database
from models.store.drivers import DriverRepository
from models.store.outbox import Announcement, Routed
from models.store.scope import Scope

__all__ = ["DriverCommands"]


class DriverCommands:
    """What can be done to drivers that exist."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._drivers = DriverRepository(database, partitions)

    async def change(self, scope: Scope, driver: str, changes: Mapping[str, Any], version: int | None) -> Driver:
        """Change fields of a driver.

        Parameters
        ----------
        changes
            New values by field name.
        version
            The version that the caller has seen, if it matters.

        Raises
        ------
        NotFound
            If the tenant has no such driver.
        Conflict
            If the external id is taken.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, driver, version)
        after = before.model_copy(update={**changes, "version": before.version + 1})
        await self._drivers.replace(after, before.version, _announced(scope, after, "driver.changed", before, after))
        return after

    async def delete(self, scope: Scope, driver: str, version: int | None) -> None:
        """Delete a driver and its device keys. Its history stays as long as all history does.

        Raises
        ------
        NotFound
            If the tenant has no such driver.
        Conflict
            If it still has open deliveries.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, driver, version)
        last = before.model_copy(update={"version": before.version + 1})
        await self._drivers.delete(before, _announced(scope, last, "driver.deleted", before, None))

    async def _seen(self, scope: Scope, driver: str, version: int | None) -> Driver:
        found = await self._drivers.get(scope, driver)
        check_version(driver, version, found.version)
        return found


def _announced(
    scope: Scope,
    driver: Driver,
    kind: Literal["driver.changed", "driver.deleted"],
    before: Driver,
    after: Driver | None,
) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=driver.id,
        sequence=driver.version,
        actor=scope.actor,
        data={"driverId": driver.id, "number": driver.number, "name": driver.name, "version": driver.version},
    )
    message = DriverChanged(event=event.id, tenant=scope.tenant, driver=driver.number)
    return Announcement(event, (Routed(driver.partition, message),), before, after)
