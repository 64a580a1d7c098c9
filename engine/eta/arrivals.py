"""When a delivery will be there: what its driver's shard says, else base times from where the driver was last seen."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from engine.client import Engine
from engine.routing.schedule import place_of
from models.documents.delivery import CLOSED, Delivery, Status
from models.documents.document import now
from models.documents.live import LiveDriver
from models.documents.route import Route
from models.errors import Conflict, NotFound
from models.eta.base_time import PACES
from models.eta.cold_start import Eta, Factor, Promise, StopAhead, estimate_arrival
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.fleet import VehicleRepository
from models.store.routes import RouteRepository
from models.store.scope import Scope

__all__ = ["ArrivalEstimates", "eta_of"]

_FETCHED = frozenset({Status.PICKED_UP, Status.IN_TRANSIT, Status.ARRIVED})


class ArrivalEstimates:
    """Answers for one delivery at a time."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._deliveries, self._routes = DeliveryRepository(database), RouteRepository(database)
        self._vehicles = VehicleRepository(database)

    async def of(self, scope: Scope, delivery: Delivery) -> Eta:
        """Return when a delivery will be at its drop-off.

        Raises
        ------
        Conflict
            If nobody is on the way with it, its place is not known as a point, or its driver has sent no position.
        """
        if delivery.driver is None or delivery.status in CLOSED:
            raise Conflict(f"nobody is on the way with delivery {delivery.id}: it is {delivery.status}")
        if not delivery.dropoff.is_located:
            raise Conflict(f"the drop-off of delivery {delivery.id} has no coordinates yet")
        if (said := await self._said(scope, delivery.driver, delivery.id)) is not None:
            return said
        live = await self._live(scope, delivery.driver)
        route = await self._routes.get(scope, delivery.route) if delivery.route is not None else None
        ahead = await self._ahead(scope, delivery, route)
        profile = await self._profile(scope, route)
        return estimate_arrival((live.latitude, live.longitude), now(), ahead, PACES[profile])

    async def _said(self, scope: Scope, driver: str, delivery: str) -> Eta | None:
        """Return what the shard says; None while it is away or has not come to it yet."""
        ref = await self._engine.find(scope.tenant, driver)
        answer = await self._engine.shards.ask_owner(ref.partition, "eta", ref.number, delivery)
        return None if answer is None else eta_of(answer)

    async def _live(self, scope: Scope, driver: str) -> LiveDriver:
        try:
            return await self._engine.driver(scope.tenant, driver).live()
        except NotFound as fault:
            raise Conflict(f"driver {driver} has sent no position yet") from fault

    async def _profile(self, scope: Scope, route: Route | None) -> str:
        if route is None or route.vehicle is None:
            return "van"
        found = await self._vehicles.get_many(scope, [route.vehicle])
        return found[route.vehicle].profile if route.vehicle in found else "van"

    async def _ahead(self, scope: Scope, delivery: Delivery, route: Route | None) -> list[StopAhead]:
        """Return what the driver does up to this drop-off: by the route's plan, else its own pickup alone."""
        if route is None:
            kinds = ("dropoff",) if delivery.status in _FETCHED else ("pickup", "dropoff")
            return _stops([(delivery, kind) for kind in kinds])
        known = await self._deliveries.get_many(scope, route.deliveries)
        visits = [(stop.delivery_id, stop.kind) for stop in route.stops]
        upto = visits[: visits.index((delivery.id, "dropoff")) + 1] if (delivery.id, "dropoff") in visits else []
        open_ones = [
            (known[identifier], kind)
            for identifier, kind in upto
            if identifier in known and _is_open(known[identifier], kind)
        ]
        return _stops(open_ones) or _stops([(delivery, "dropoff")])


def eta_of(answer: Mapping[str, Any]) -> Eta:
    """Return a shard's answer as an estimate."""
    promise = None
    if answer["promised"] is not None:
        earliest, middle, latest = map(_instant, answer["promise"])
        promise = Promise(_instant(answer["promised"]), middle, earliest, latest)
    return Eta(
        time=_instant(answer["estimated"]),
        earliest=_instant(answer["earliest"]),
        latest=_instant(answer["latest"]),
        confidence=answer["confidence"],
        factors=tuple(Factor(name, minutes) for name, minutes in answer["factors"]),
        updated=_instant(answer["updated"]),
        model=answer["model"],
        base=answer["base"],
        traffic=None if answer["traffic"] is None else _instant(answer["traffic"]),
        promise=promise,
        late_risk=answer["lateRisk"],
    )


def _instant(ms: int) -> datetime.datetime:
    """Return an instant of epoch milliseconds."""
    return datetime.datetime.fromtimestamp(ms / 1000, tz=datetime.UTC)


def _is_open(delivery: Delivery, kind: str) -> bool:
    return delivery.status not in CLOSED and not (kind == "pickup" and delivery.status in _FETCHED)


def _stops(visits: Sequence[tuple[Delivery, str]]) -> list[StopAhead]:
    found = []
    for delivery, kind in visits:
        place = place_of(delivery, "pickup" if kind == "pickup" else "dropoff")
        if place is None or place.latitude is None or place.longitude is None:
            continue
        is_dropoff = kind == "dropoff"
        opens = delivery.time_window.start if delivery.time_window is not None and is_dropoff else None
        service_s = delivery.service_time_s if is_dropoff else 0
        found.append(StopAhead(place.latitude, place.longitude, service_s, opens))
    return found
