"""Deliveries whose address is not on the map yet: found after they were stored, by a task each.

A follower of the feed puts a task for every delivery that was stored or changed without coordinates, so it is one way
for the form, the bulk request and the file. What can't be found says why, and waits for a better address.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import FINAL, Edit
from engine.geocoding.chain import Geocoding
from engine.providers.circuits import SharedCircuits
from engine.settings import Settings
from engine.tasks.worker import TaskKind
from models.documents.delivery import Delivery, GeocodeFault, Place
from models.documents.document import now
from models.documents.event import ENGINE, Event
from models.documents.task import Task
from models.errors import Conflict, NotFound, VersionConflict
from models.ids import derived_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session

__all__ = ["GEOCODE_TASK", "PlaceFinder", "PlaceFollower", "geocode_kind"]

GEOCODE_TASK = "geocode"
"""Kind of the task that looks for a delivery's address."""

_TOLD = frozenset({"delivery.created", "delivery.changed"})
_DELAYS_S = (2.0, 30.0, 300.0)
_AT_ONCE = 8
_TIMEOUT_S = 30.0


class PlaceFollower:
    """Puts a task for each delivery that is stored or changed without coordinates."""

    name = "geocoding"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 0.5

    def __init__(self, database: Database) -> None:
        self._tasks = TaskRepository(database)

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return what made or changed a delivery whose places are not all known, unless we did."""
        wanted = [one for one in events if one.type in _TOLD and one.data.get("located") is False]
        return [one for one in wanted if one.actor != ENGINE]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Put the tasks of some events."""
        await self._tasks.put([_task(one) for one in events], session)


class PlaceFinder:
    """Looks for the addresses of deliveries."""

    def __init__(self, database: Database, settings: Settings, geocoding: Geocoding) -> None:
        self._deliveries = DeliveryRepository(database)
        self._commands = DeliveryCommands(database, settings.log.partitions)
        self._geocoding = geocoding
        self._least = settings.geocoding.least_confidence

    async def handle(self, task: Task) -> None:
        """Do one task: find what is to be found, and edit the delivery unless somebody else did meanwhile.

        Raises
        ------
        VersionConflict
            If somebody else did: the task is tried again on what is true then.
        """
        scope = Scope(task.tenant, ENGINE)
        try:
            delivery = await self._deliveries.get(scope, task.payload["delivery"])
            if delivery.is_located or delivery.status in FINAL:
                return
            changes = await self._changes(scope, delivery)
            if changes:
                await self._commands.edit(scope, delivery.id, Edit(changes, now()), delivery.version)
        except VersionConflict:
            raise
        except (NotFound, Conflict):
            return  # it is gone, or final, or its parcel is picked up: nobody drives there any more

    async def _changes(self, scope: Scope, delivery: Delivery) -> dict[str, Any]:
        dropoff, fault = await self._located(scope, delivery.dropoff, None)
        pickup = delivery.pickup
        if pickup is not None:
            near = None if dropoff.latitude is None else (dropoff.latitude, dropoff.longitude or 0.0)
            pickup, at_pickup = await self._located(scope, pickup, near)
            fault = fault or at_pickup
        wanted = {"dropoff": dropoff, "pickup": pickup, "geocode_fault": fault}
        return {name: value for name, value in wanted.items() if value != getattr(delivery, name)}

    async def _located(
        self, scope: Scope, place: Place, near: tuple[float, float] | None
    ) -> tuple[Place, GeocodeFault | None]:
        """Return a place with its point, or as it was and why there is none."""
        if place.is_located or place.address is None:
            return place, None
        answer = await self._geocoding.find(scope, place.address, near)
        if answer is None:
            return place, "not_found"
        if answer.located.confidence < self._least:
            return place, "uncertain"
        found = dataclasses.asdict(answer.located)
        return place.model_copy(update={name: found[name] for name in ("latitude", "longitude")}), None


def geocode_kind(database: Database, settings: Settings, circuits: SharedCircuits | None = None) -> TaskKind:
    """Return how addresses of deliveries are looked for; one at a time where a provider sets the pace."""
    finder = PlaceFinder(database, settings, Geocoding(settings.geocoding, database, circuits))
    at_once = _AT_ONCE if settings.geocoding.url is None else 1
    return TaskKind(finder.handle, delays_s=_DELAYS_S, at_once=at_once, timeout_s=_TIMEOUT_S)


def _task(event: Event) -> Task:
    return Task(
        id=derived_id("tsk", event.time, GEOCODE_TASK, event.id),
        tenant=event.tenant,
        kind=GEOCODE_TASK,
        payload={"delivery": event.aggregate},
    )
