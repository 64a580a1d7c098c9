"""Which drivers could take a delivery: where they are, what they have to do, and what fits into their vehicles."""

from collections.abc import Mapping
from typing import Protocol

from engine.dispatch.rules import Candidate
from models.documents.delivery import Delivery, Place
from models.documents.live import LiveDriver
from models.documents.vehicle import Capacity, Vehicle
from models.errors import Conflict
from models.geo import distance_m
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository, Load
from models.store.fleet import VehicleRepository
from models.store.offers import OfferRepository
from models.store.scope import Scope

__all__ = ["LiveDrivers", "candidates_for", "has_room"]

_MOST = 200  # of the nearest, so that those who can't are made up for
_PACE_MPS: Mapping[str, float] = {"bike": 4.5, "car": 8.0, "van": 7.5, "truck": 6.5}
"""How fast vehicles get on in town, stops at lights included, metres a second."""
_UNKNOWN_PACE_MPS = 7.5


class LiveDrivers(Protocol):
    """Knows where drivers are now."""

    async def all_nearest(self, tenant: str, latitude: float, longitude: float, limit: int) -> list[LiveDriver]:
        """Return a tenant's drivers, nearest first.

        Raises
        ------
        StoreUnavailable
            If some can't be seen at the moment.
        """


async def candidates_for(database: Database, live: LiveDrivers, scope: Scope, delivery: Delivery) -> list[Candidate]:
    """Return the drivers who are online, with what decides whom to ask.

    Raises
    ------
    Conflict
        If no place of the delivery is known as a point.
    StoreUnavailable
        If some drivers can't be seen at the moment.
    """
    latitude, longitude = _begin(delivery)
    nearby = await live.all_nearest(scope.tenant, latitude, longitude, _MOST)
    online = {one.id: one for one in nearby if one.online and not one.stale}
    loads = await DeliveryRepository(database).loads_of(scope, list(online))
    vehicles = await VehicleRepository(database).of_drivers(scope, list(online))
    asked = await OfferRepository(database).asked_among(scope, list(online))
    found = []
    for driver, seen in online.items():
        load, vehicle = loads.get(driver, Load()), vehicles.get(driver)
        found.append(
            Candidate(
                driver=driver,
                away_m=float(distance_m(seen.latitude, seen.longitude, latitude, longitude)),
                pace_mps=_pace_mps(vehicle),
                open_deliveries=load.count,
                has_room=vehicle is None or has_room(vehicle.capacity, load, delivery),
                is_asked=driver in asked,
            )
        )
    return found


def has_room(capacity: Capacity, load: Load, delivery: Delivery) -> bool:
    """Tell whether a delivery fits beside what a driver has; what nobody measured does not bind."""
    pairs = (
        (capacity.weight_kg, load.weight_kg + (delivery.weight_kg or 0)),
        (capacity.volume_m3, load.volume_m3 + (delivery.volume_m3 or 0)),
        (capacity.pieces, load.count + 1),
    )
    return all(limit is None or wanted <= limit for limit, wanted in pairs)


def _begin(delivery: Delivery) -> tuple[float, float]:
    """Return where a driver has to go first."""
    places: tuple[Place | None, ...] = (delivery.pickup, delivery.dropoff)
    for place in places:
        if place is not None and place.latitude is not None and place.longitude is not None:
            return place.latitude, place.longitude
    raise Conflict(f"no place of delivery {delivery.id} is known as a point yet")


def _pace_mps(vehicle: Vehicle | None) -> float:
    return _UNKNOWN_PACE_MPS if vehicle is None else _PACE_MPS[vehicle.profile]
