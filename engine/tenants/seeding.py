"""Brings a sample company into an installation, by the commands that the API uses: with events, history and audit."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import cast

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Assign, Command, Move, Wanted
from engine.deliveries.orders import Order
from engine.fleet.commands import DepotCommands, VehicleCommands
from engine.tenants.sample import SampleCompany, SampleDelivery, SampleStep
from engine.users.commands import UserCommands
from models.documents.delivery import Delivery
from models.documents.driver import Driver
from models.documents.tenant import Tenant, TenantSettings
from models.documents.user import User
from models.documents.vehicle import Capacity, VehicleShape
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.drivers import DriverRepository, NewDriver
from models.store.geofences import GeofenceRepository
from models.store.scope import Scope

__all__ = ["Seeding"]

_BULK = 200
_AT_ONCE = 8
_SIGNED_IN_DRIVERS = 15


class Seeding:
    """Makes one company.

    Parameters
    ----------
    database
        Where.
    partitions
        Of the log.
    """

    def __init__(self, database: Database, partitions: int) -> None:
        self._accounts, self._fences = AccountRepository(database), GeofenceRepository(database)
        self._drivers, self._users = DriverRepository(database, partitions), UserCommands(database, partitions)
        self._depots, self._vehicles = DepotCommands(database), VehicleCommands(database, partitions)
        self._deliveries = DeliveryCommands(database, partitions)

    async def run(
        self, sample: SampleCompany, domain: str, password_hash: str, progress: Callable[[int, int], None]
    ) -> str:
        """Store the company, and return its admin's e-mail address.

        Parameters
        ----------
        domain
            Of everybody's e-mail address.
        password_hash
            Of everybody's password.
        progress
            Told how many deliveries are done, and of how many.

        Raises
        ------
        Conflict
            If there is a company under this domain.
        """
        tenant_id = new_id("ten")
        admin = _user(tenant_id, f"admin@{domain}", password_hash, "admin")
        settings = TenantSettings(time_zone="Europe/Lisbon", country="PT")
        await self._accounts.register(
            Tenant(id=tenant_id, tenant=tenant_id, name=sample.name, settings=settings), admin
        )
        scope = Scope(tenant_id, admin.id)
        drivers = await self._staff(scope, sample, domain, password_hash)
        done = itertools.count(1)
        for chunk in _chunks(sample.deliveries, _BULK):
            orders = [Order(_ordered(tenant_id, one)) for one in chunk]
            made = await self._deliveries.create(scope, orders)
            gate = asyncio.Semaphore(_AT_ONCE)

            async def live(delivery: Delivery, one: SampleDelivery, gate: asyncio.Semaphore = gate) -> None:
                async with gate:
                    steps = [_command(step, drivers[one.driver].id, admin.id) for step in one.steps]
                    await self._deliveries.run(scope, delivery.id, steps)
                progress(next(done), len(sample.deliveries))

            async with asyncio.TaskGroup() as group:
                for delivery, one in zip(made, chunk, strict=True):
                    group.create_task(live(delivery, one), name=f"seed-{one.reference}")
        return admin.email

    async def _staff(self, scope: Scope, sample: SampleCompany, domain: str, password_hash: str) -> list[Driver]:
        """Store depots, fences, drivers, vehicles and users; return the drivers in their order."""
        depots = [await self._depots.create(scope, shape) for shape in sample.depots]
        for fence in sample.fences:
            await self._fences.create(scope, fence)
        wanted = [NewDriver(name=one.name, external_id=one.external_id, phone=one.phone) for one in sample.drivers]
        drivers = await self._drivers.create_many(scope, wanted)
        for one, driver in zip(sample.drivers, drivers, strict=True):
            depot = depots[one.depot].id
            vehicle = VehicleShape(
                name=f"{'Bicicleta' if one.is_bike else 'Carrinha'} {one.external_id[-2:]}",
                plate=one.plate,
                profile="bike" if one.is_bike else "van",
                driver_id=driver.id,
                capacity=Capacity(weight_kg=30.0 if one.is_bike else 900.0),
                start_depot_id=depot,
                end_depot_id=depot,
            )
            await self._vehicles.create(scope, vehicle)
        for number, name in enumerate(sample.planners, 1):
            planner = _user(scope.tenant, f"planner{number}@{domain}", password_hash, "planner", name)
            await self._users.create(scope, planner)
        for number, driver in enumerate(drivers[:_SIGNED_IN_DRIVERS], 1):
            email = f"driver{number}@{domain}"
            user = _user(scope.tenant, email, password_hash, "driver", driver.name).model_copy(
                update={"driver": driver.id}
            )
            await self._users.create(scope, user)
        return drivers


def _user(tenant: str, email: str, password_hash: str, role: str, name: str | None = None) -> User:
    fields = {"id": new_id("usr"), "tenant": tenant, "email": email, "password_hash": password_hash, "role": role}
    return User.model_validate({**fields, "name": name})


def _ordered(tenant: str, one: SampleDelivery) -> Delivery:
    return Delivery(
        id=new_id("dlv"),
        tenant=tenant,
        reference=one.reference,
        pickup=one.pickup,
        dropoff=one.dropoff,
        customer=one.customer,
        weight_kg=one.weight_kg,
        priority=one.priority,
        time_window=one.time_window,
        service_time_s=180,
        notes=one.notes,
        created_at=one.created_at,
        updated_at=one.created_at,
    )


def _command(step: SampleStep, driver: str, actor: str) -> Command:
    if step.status == "assigned":
        return Assign(driver, step.at, actor)
    return Move(cast("Wanted", step.status), step.at, actor, step.notes, step.location)


def _chunks(deliveries: Sequence[SampleDelivery], size: int) -> list[Sequence[SampleDelivery]]:
    return [deliveries[at : at + size] for at in range(0, len(deliveries), size)]
