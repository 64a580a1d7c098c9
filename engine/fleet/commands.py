"""Changes of vehicles, depots and closures: stored with their event in one transaction."""

from typing import Literal

from models.documents.closure import Closure, ClosureShape
from models.documents.depot import Depot, DepotShape
from models.documents.document import now
from models.documents.event import Event
from models.documents.vehicle import Vehicle, VehicleShape
from models.errors import InvalidInput, check_version
from models.ids import new_id
from models.messages.commands import ClosuresChanged
from models.store.connections import Database
from models.store.drivers import DriverRepository
from models.store.fleet import ClosureRepository, DepotRepository, FleetT, VehicleRepository
from models.store.outbox import EVERYWHERE, Announcement, Routed
from models.store.scope import Scope

__all__ = ["ClosureCommands", "DepotCommands", "VehicleCommands"]

_Change = Literal["created", "changed", "deleted"]


class VehicleCommands:
    """What can be done to vehicles."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._vehicles = VehicleRepository(database)
        self._depots = DepotRepository(database)
        self._drivers = DriverRepository(database, partitions)

    async def create(self, scope: Scope, shape: VehicleShape) -> Vehicle:
        """Store a new vehicle.

        Raises
        ------
        InvalidInput
            If its driver or a depot does not exist in the tenant.
        Conflict
            If its plate or external id is taken in the tenant.
        """
        await self._check_links(scope, shape)
        vehicle = Vehicle(id=new_id("veh"), tenant=scope.tenant, **dict(shape))
        await self._vehicles.create(vehicle, _announced(scope, None, vehicle, "created"))
        return vehicle

    async def replace(self, scope: Scope, vehicle: str, shape: VehicleShape, version: int | None) -> Vehicle:
        """Replace what is said of a vehicle; raises as `create`, and NotFound or VersionConflict."""
        before = await self._vehicles.get(scope, vehicle)
        check_version(vehicle, version, before.version)
        await self._check_links(scope, shape)
        after = before.model_copy(update={**dict(shape), "version": before.version + 1})
        await self._vehicles.replace(after, before.version, _announced(scope, before, after, "changed"))
        return after

    async def delete(self, scope: Scope, vehicle: str, version: int | None) -> None:
        """Delete a vehicle.

        Raises
        ------
        NotFound
            If the tenant has no such vehicle.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._vehicles.get(scope, vehicle)
        check_version(vehicle, version, before.version)
        await self._vehicles.delete(before, _announced(scope, before, _next(before), "deleted"))

    async def _check_links(self, scope: Scope, shape: VehicleShape) -> None:
        named = {"startDepotId": shape.start_depot_id, "endDepotId": shape.end_depot_id}
        depots = await self._depots.get_many(scope, [depot for depot in named.values() if depot is not None])
        absent = [(f, f"there is no depot {depot}") for f, depot in named.items() if depot and depot not in depots]
        driver = shape.driver_id
        if driver is not None and driver not in await self._drivers.get_many(scope, [driver]):
            absent.append(("driverId", f"there is no driver {driver}"))
        if absent:
            raise InvalidInput(absent[0][1], absent)


class DepotCommands:
    """What can be done to depots."""

    def __init__(self, database: Database) -> None:
        self._depots = DepotRepository(database)

    async def create(self, scope: Scope, shape: DepotShape) -> Depot:
        """Store a new depot.

        Raises
        ------
        Conflict
            If its external id is taken in the tenant.
        """
        depot = Depot(id=new_id("dpt"), tenant=scope.tenant, **dict(shape))
        await self._depots.create(depot, _announced(scope, None, depot, "created"))
        return depot

    async def replace(self, scope: Scope, depot: str, shape: DepotShape, version: int | None) -> Depot:
        """Replace what is said of a depot; raises as `create`, and NotFound or VersionConflict."""
        before = await self._depots.get(scope, depot)
        check_version(depot, version, before.version)
        after = before.model_copy(update={**dict(shape), "version": before.version + 1})
        await self._depots.replace(after, before.version, _announced(scope, before, after, "changed"))
        return after

    async def delete(self, scope: Scope, depot: str, version: int | None) -> None:
        """Delete a depot.

        Raises
        ------
        NotFound
            If the tenant has no such depot.
        Conflict
            If a vehicle starts or ends there.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._depots.get(scope, depot)
        check_version(depot, version, before.version)
        await self._depots.delete(before, _announced(scope, before, _next(before), "deleted"))


class ClosureCommands:
    """What can be done to closures. Shards hear of every change."""

    def __init__(self, database: Database) -> None:
        self._closures = ClosureRepository(database)

    async def create(self, scope: Scope, shape: ClosureShape) -> Closure:
        """Store a new closure."""
        closure = Closure(id=new_id("clo"), tenant=scope.tenant, **dict(shape))
        await self._closures.create(closure, _announced(scope, None, closure, "created"))
        return closure

    async def replace(self, scope: Scope, closure: str, shape: ClosureShape, version: int | None) -> Closure:
        """Replace what is said of a closure; raises NotFound or VersionConflict."""
        before = await self._closures.get(scope, closure)
        check_version(closure, version, before.version)
        after = before.model_copy(update={**dict(shape), "version": before.version + 1})
        await self._closures.replace(after, before.version, _announced(scope, before, after, "changed"))
        return after

    async def delete(self, scope: Scope, closure: str, version: int | None) -> None:
        """Delete a closure: its streets are open again; raises NotFound or VersionConflict."""
        before = await self._closures.get(scope, closure)
        check_version(closure, version, before.version)
        await self._closures.delete(before, _announced(scope, before, _next(before), "deleted"))


def _next(thing: FleetT) -> FleetT:
    return thing.model_copy(update={"version": thing.version + 1})


def _announced(scope: Scope, before: FleetT | None, thing: FleetT, change: _Change) -> Announcement:
    noun = type(thing).__name__.lower()
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=f"{noun}.{change}",
        aggregate=thing.id,
        sequence=thing.version,
        actor=scope.actor,
        data={f"{noun}Id": thing.id, "name": thing.name, "version": thing.version},
    )
    routed = (Routed(EVERYWHERE, ClosuresChanged(event.id, scope.tenant)),) if isinstance(thing, Closure) else ()
    return Announcement(event, routed, before, None if change == "deleted" else thing)
