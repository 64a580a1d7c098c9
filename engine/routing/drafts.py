"""Drafts of routes: what a planner or a solver says of one, and the route that it makes, with times and violations."""

import datetime
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from engine.deliveries.lifecycle import FINAL
from engine.fleet.closures import closed_to
from engine.routing.planning import Plan, PlanConstraints, Tour, constraints_of, places_of, shift_of
from engine.routing.rests import rests_of
from engine.routing.schedule import Limits, Schedule, check_order, schedule, spare_s
from engine.routing.ways import Ways
from engine.travel.chain import Travel
from models.documents.delivery import CLOSED, Delivery, Position
from models.documents.document import now
from models.documents.route import PlanLimits, Route, Visit
from models.documents.vehicle import Vehicle, VehicleProfile
from models.errors import Conflict, InvalidInput
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.fleet import DepotRepository, VehicleRepository
from models.store.scope import Scope

__all__ = ["RouteDraft", "RouteDrawer", "draft_of", "planned_draft", "unplannable"]


@dataclass(frozen=True, slots=True)
class RouteDraft:
    """What a planner, or a solver, says of a route."""

    visits: Sequence[Visit]
    start: datetime.datetime
    name: str | None = None
    driver: str | None = None
    vehicle: str | None = None
    origin: Position | None = None
    destination: Position | None = None
    locked: bool = False
    job: str | None = None
    limits: PlanLimits = field(default_factory=PlanLimits)
    ways: Ways | None = None
    """How long it is from place to place; None asks for it."""
    day_begins: datetime.datetime | None = None
    """From when on the driver may take breaks; None means not before leaving."""


class RouteDrawer:
    """Looks up what drafts name, and draws the routes that they make. Stores nothing."""

    def __init__(self, database: Database, partitions: int, travel: Travel) -> None:
        self._database = database
        self._travel = travel
        self._deliveries = DeliveryRepository(database)
        self._drivers = DriverRepository(database, partitions)
        self._vehicles = VehicleRepository(database)
        self._depots = DepotRepository(database)
        self._accounts = AccountRepository(database)

    async def draw(self, scope: Scope, drafts: Mapping[str, RouteDraft], paths: Sequence[str]) -> list[Route]:
        """Return the routes that drafts make, by the id of each; they may take deliveries from one another.

        Parameters
        ----------
        drafts
            By the id of the route.
        paths
            For each draft the path of its fields, for what is wrong with it.

        Raises
        ------
        InvalidInput
            If a delivery, driver or vehicle does not exist, no vehicle can make the visits in this order, or two
            drafts have one delivery.
        Conflict
            If a delivery is on a route that is not among the drafts, or final.
        """
        visits = [visit for draft in drafts.values() for visit in draft.visits]
        deliveries = await self._deliveries.get_many(scope, [visit.delivery_id for visit in visits])
        _check_once(drafts, paths)
        named = [one.driver for one in drafts.values() if one.driver is not None]
        drivers = await self._drivers.get_many(scope, named)
        vehicles = await self._vehicles.get_many(scope, [one.vehicle for one in drafts.values() if one.vehicle])
        routes = []
        for (identifier, draft), path in zip(drafts.items(), paths, strict=True):
            check_order(draft.visits, deliveries, path)
            _check_free(deliveries, draft.visits, identifier, drafts.keys())
            if draft.driver is not None and draft.driver not in drivers:
                raise InvalidInput(f"there is no driver {draft.driver}", [(f"{path}driverId", "unknown")])
            if draft.vehicle is not None and draft.vehicle not in vehicles:
                raise InvalidInput(f"there is no vehicle {draft.vehicle}", [(f"{path}vehicleId", "unknown")])
            tour = None
            if draft.vehicle is not None:
                [tour] = await self.tours(scope, [vehicles[draft.vehicle]], draft.day_begins or draft.start)
            ways = draft.ways or await self._ways(scope, draft, deliveries, tour)
            routes.append(_route(scope, draft, identifier, deliveries, tour, ways))
        return routes

    async def _ways(
        self, scope: Scope, draft: RouteDraft, deliveries: Mapping[str, Delivery], tour: Tour | None
    ) -> Ways:
        named = [deliveries[visit.delivery_id] for visit in draft.visits]
        places = places_of(named, [] if tour is None else [tour])
        places += [(end.latitude, end.longitude) for end in (draft.origin, draft.destination) if end is not None]
        barriers = await closed_to(self._database, scope)
        return await self._travel.ways({_profile(tour)}, places, draft.start, barriers)

    async def check_driver(self, scope: Scope, driver: str) -> None:
        """Refuse a driver that the tenant does not have.

        Raises
        ------
        InvalidInput
            With the path `driverId`.
        """
        if driver not in await self._drivers.get_many(scope, [driver]):
            raise InvalidInput(f"there is no driver {driver}", [("driverId", "unknown")])

    async def tours(self, scope: Scope, vehicles: Sequence[Vehicle], start: datetime.datetime) -> list[Tour]:
        """Return vehicles with where and when they can be used in a plan that begins at `start`."""
        return await self.tours_at(scope, [(vehicle, start) for vehicle in vehicles])

    async def tours_at(self, scope: Scope, days: Sequence[tuple[Vehicle, datetime.datetime]]) -> list[Tour]:
        """Return vehicles with where and when they can be used, each on a day of its own."""
        zone = ZoneInfo((await self._accounts.tenant(scope)).settings.time_zone)
        named = {depot for one, _ in days for depot in (one.start_depot_id, one.end_depot_id) if depot is not None}
        depots = await self._depots.get_many(scope, sorted(named))
        places = {
            identifier: Position.model_validate({"latitude": depot.place.latitude, "longitude": depot.place.longitude})
            for identifier, depot in depots.items()
        }
        made = []
        for vehicle, start in days:
            leaves, back = shift_of(vehicle, start, zone)
            ends = places.get(vehicle.start_depot_id or ""), places.get(vehicle.end_depot_id or "")
            made.append(Tour(vehicle, *ends, leaves, back, rests_of(vehicle, leaves, back, zone)))
        return made


def draft_of(route: Route) -> RouteDraft:
    """Return the draft that makes a route as it is."""
    return RouteDraft(
        visits=[Visit(delivery_id=one.delivery_id, kind=one.kind, locked=one.locked) for one in route.stops],
        start=route.start,
        name=route.name,
        driver=route.driver,
        vehicle=route.vehicle,
        origin=route.origin,
        destination=route.destination,
        locked=route.locked,
        job=route.job,
        limits=route.constraints,
        day_begins=route.day_begins,
    )


def planned_draft(
    plan: Plan,
    tour: Tour,
    visits: Sequence[Visit],
    shortest: datetime.datetime,
    limits: PlanLimits,
    job: str,
) -> RouteDraft:
    """Return the draft of a route as a solver has planned it.

    Its vehicle leaves early, but so late that it waits no longer than it has to; it leaves at `shortest`, with which
    its day is shortest, where only that keeps all limits: then a break before leaving is none of the route's time.
    """
    known = {delivery.id: delivery for delivery in plan.deliveries}

    def leaving(start: datetime.datetime, limits: Limits) -> Schedule:
        return schedule(
            visits,
            known,
            start,
            origin=tour.origin,
            destination=tour.destination,
            profile=tour.vehicle.profile,
            limits=limits,
            ways=plan.ways,
        )

    start = tour.leaves + datetime.timedelta(seconds=spare_s(leaving(tour.leaves, Limits(rests=tour.rests)), known))
    if leaving(start, tour.limits(constraints_of(limits))).violations:
        start = shortest
    return RouteDraft(
        visits=visits,
        start=start,
        driver=tour.vehicle.driver_id,
        vehicle=tour.vehicle.id,
        job=job,
        limits=limits,
        ways=plan.ways,
        day_begins=tour.leaves,
    )


def unplannable(delivery: Delivery | None, identifier: str) -> str | None:
    """Return why a delivery can't be put on a route; None if it can."""
    if delivery is None:
        return f"there is no delivery {identifier}"
    if not delivery.is_located:
        return f"{identifier} has an address without coordinates"
    if delivery.route is not None:
        return f"{identifier} is on route {delivery.route} already"
    if delivery.status in CLOSED:
        return f"{identifier} is {delivery.status}"
    return None


def _profile(tour: Tour | None) -> VehicleProfile:
    return "van" if tour is None else tour.vehicle.profile


def _route(
    scope: Scope,
    draft: RouteDraft,
    identifier: str,
    deliveries: Mapping[str, Delivery],
    tour: Tour | None,
    ways: Ways,
) -> Route:
    origin = draft.origin or (tour.origin if tour else None)
    destination = draft.destination or (tour.destination if tour else None)
    constraints = constraints_of(draft.limits)
    plan = schedule(
        draft.visits,
        deliveries,
        draft.start,
        origin=origin,
        destination=destination,
        profile=_profile(tour),
        limits=tour.limits(constraints) if tour else _plain(constraints),
        ways=ways,
    )
    return Route(
        id=identifier,
        tenant=scope.tenant,
        name=draft.name,
        driver=draft.driver,
        vehicle=draft.vehicle,
        start=draft.start,
        origin=origin,
        destination=destination,
        end=plan.end,
        stops=plan.stops,
        breaks=plan.breaks,
        distance_m=round(plan.distance_m, 1),
        duration_s=round(plan.duration_s, 1),
        cost=_cost(tour, plan.distance_m, plan.duration_s),
        violations=plan.violations,
        constraints=draft.limits,
        locked=draft.locked,
        job=draft.job,
        updated_at=now(),
    )


def _cost(tour: Tour | None, distance_m: float, duration_s: float) -> float:
    """Return what a day of the vehicle costs by its own rates."""
    if tour is None:
        return 0.0
    rates = tour.vehicle.cost
    return round(rates.fixed + rates.per_km * distance_m / 1000 + rates.per_hour * duration_s / 3600, 2)


def _plain(constraints: PlanConstraints) -> Limits:
    return Limits(
        weight_kg=constraints.weight_kg,
        distance_m=constraints.max_distance_m,
        duration_s=constraints.max_route_time_s,
        stops=constraints.max_stops,
    )


def _check_once(drafts: Mapping[str, RouteDraft], paths: Sequence[str]) -> None:
    """Refuse two routes with one delivery."""
    taken: dict[str, str] = {}
    for (identifier, draft), path in zip(drafts.items(), paths, strict=True):
        for place, visit in enumerate(draft.visits):
            if taken.setdefault(visit.delivery_id, identifier) != identifier:
                fault = f"{visit.delivery_id} is on another route here as well"
                raise InvalidInput(fault, [(f"{path}stops.{place}", fault)])


def _check_free(deliveries: Mapping[str, Delivery], visits: Sequence[Visit], route: str, among: Set[str]) -> None:
    for visit in visits:
        delivery = deliveries[visit.delivery_id]
        if delivery.route is not None and delivery.route not in among:
            raise Conflict(f"{delivery.id} is on route {delivery.route} already")
        if delivery.status in FINAL and delivery.route != route:
            raise Conflict(f"{delivery.id} is {delivery.status}, so no route can take it")
