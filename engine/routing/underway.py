"""Routes on the road: what is done of them, where their vehicles begin now, and the problem that they make. Pure."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from engine.routing.planning import Plan, PlanConstraints, Tour, constraints_of
from engine.routing.problem import Job
from engine.routing.problem import Visit as Entry
from engine.routing.reoptimize import UnderWay
from engine.routing.schedule import ON_BOARD, Schedule, schedule
from engine.routing.ways import GREAT_CIRCLE, Ways
from models.documents.delivery import CLOSED, Delivery, Position, Status
from models.documents.live import LiveDriver
from models.documents.route import PlannedBreak, PlannedStop, Route, RouteStatus, Visit

__all__ = ["Ahead", "Situation", "ahead_of", "plan_of", "situation_of"]

NumberT = TypeVar("NumberT", int, float)

_FRESH_S = 2 * 3600.0
"""Age at which a position says nothing any more about where a vehicle is."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is still to be made of a route, and from where and when."""

    route: Route
    tour: Tour
    """The vehicle with what is left of its day: it begins where it is, as soon as it can."""
    done: tuple[PlannedStop, ...]
    rested: tuple[PlannedBreak, ...]
    """Breaks of its driver that are over, or under way: the vehicle goes on after them."""
    so_far: tuple[Visit, ...]
    """What it still has in its plan, stops included that need not be made any more."""
    visits: tuple[Visit, ...]
    fixed: int
    """How many of the visits stay first: the next stop of a vehicle on the road, and all up to a locked one."""
    ways: Ways = GREAT_CIRCLE
    """How long it is from place to place."""

    @property
    def is_dispatched(self) -> bool:
        """Tell whether a driver has it."""
        return self.route.status is RouteStatus.DISPATCHED


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """Routes on the road as a problem, and what its numbers stand for."""

    now: UnderWay
    plan: Plan
    routes: Sequence[Ahead]
    """One per vehicle of the problem."""

    def visits_of(self, route: Sequence[Entry]) -> tuple[Visit, ...]:
        """Return what visits of the problem stand for."""
        locked = {(one.delivery_id, one.kind): one.locked for ahead in self.routes for one in ahead.visits}
        made = []
        for job, is_pickup in route:
            delivery = self.plan.deliveries[job].id
            kind: Literal["pickup", "dropoff"] = "pickup" if is_pickup else "dropoff"
            made.append(Visit(delivery_id=delivery, kind=kind, locked=locked.get((delivery, kind), False)))
        return tuple(made)


def ahead_of(
    route: Route,
    tour: Tour,
    deliveries: Mapping[str, Delivery],
    live: LiveDriver | None,
    now: datetime.datetime,
    *,
    cancelled: frozenset[str] = frozenset(),
    delay_s: int = 0,
) -> Ahead:
    """Return what is ahead of a route.

    Parameters
    ----------
    route, tour
        The route, and its vehicle with the whole of its day.
    deliveries
        Those of the route, by id.
    live
        Where its driver is, if that is known.
    now
        The present moment.
    cancelled
        Deliveries that need not be made any more.
    delay_s
        How much later than it could the vehicle goes on.
    """
    done = tuple(stop for stop in route.stops if _is_done(stop, deliveries.get(stop.delivery_id)))
    made = {(stop.delivery_id, stop.kind) for stop in done}
    so_far = tuple(
        Visit(delivery_id=stop.delivery_id, kind=stop.kind, locked=stop.locked)
        for stop in route.stops
        if (stop.delivery_id, stop.kind) not in made and stop.delivery_id in deliveries
    )
    visits = tuple(
        visit
        for visit in so_far
        if visit.delivery_id not in cancelled and _is_ours(route, deliveries[visit.delivery_id])
    )
    is_driving = route.status is RouteStatus.DISPATCHED and (bool(done) or route.start <= now or _moves(live))
    begin = _begin(route, done, live, now) if is_driving else route.origin
    rested = _rested(route, len(route.stops) - len(visits), now if is_driving else route.start)
    free = max([now if is_driving else max(now, route.start), *(one.end for one in rested)])
    leaves = free + datetime.timedelta(seconds=delay_s)
    locked = max((place + 1 for place, visit in enumerate(visits) if visit.locked), default=0)
    return Ahead(
        route=route,
        tour=_what_is_left(route, tour, done, len(rested), begin, leaves),
        done=done,
        rested=rested,
        so_far=so_far,
        visits=visits,
        fixed=min(len(visits), max(locked, int(is_driving))),
    )


def situation_of(
    routes: Sequence[Ahead],
    deliveries: Mapping[str, Delivery],
    insert: Sequence[str],
    now: datetime.datetime,
    *,
    broken: frozenset[str] = frozenset(),
    quiet_stops: int = 0,
) -> Situation:
    """Return routes on the road as a problem whose objective is seconds.

    Parameters
    ----------
    routes
        At least one.
    deliveries
        By id: those of the routes, and those to be taken up.
    insert
        Which those are.
    now
        The problem's zero.
    broken
        Routes whose vehicles go no further.
    quiet_stops
        Routes on the road with so few stops ahead, or fewer, are left as they are.
    """
    named = [visit.delivery_id for ahead in routes for visit in ahead.visits]
    wanted = [deliveries[identifier] for identifier in dict.fromkeys([*named, *insert])]
    plan = Plan(wanted, [ahead.tour for ahead in routes], now, {"time": 1.0}, PlanConstraints(), ways=routes[0].ways)
    number = {delivery.id: place for place, delivery in enumerate(wanted)}
    orders = tuple(
        tuple(Entry(number[visit.delivery_id], visit.kind == "pickup") for visit in ahead.visits) for ahead in routes
    )
    where = {entry.job: vehicle for vehicle, order in enumerate(orders) for entry in order}
    fetched = {entry.job for order in orders for entry in order if entry.pickup}
    dispatched = frozenset(vehicle for vehicle, ahead in enumerate(routes) if ahead.is_dispatched)
    jobs = [
        _as_carried(job, where.get(place), place in fetched, wanted[place], dispatched)
        for place, job in enumerate(plan.problem.jobs)
    ]
    under_way = UnderWay(
        problem=dataclasses.replace(plan.problem, jobs=jobs),
        routes=orders,
        fixed=tuple(ahead.fixed for ahead in routes),
        closed=frozenset(vehicle for vehicle, ahead in enumerate(routes) if _is_closed(ahead, quiet_stops)),
        broken=frozenset(vehicle for vehicle, ahead in enumerate(routes) if ahead.route.id in broken),
    )
    return Situation(under_way, plan, routes)


def plan_of(ahead: Ahead, visits: Sequence[Visit], deliveries: Mapping[str, Delivery]) -> Schedule:
    """Return when the rest of a route would be made in some order, and what that breaks."""
    tour = ahead.tour
    return schedule(
        visits,
        deliveries,
        tour.leaves,
        origin=tour.origin,
        destination=tour.destination,
        profile=tour.vehicle.profile,
        limits=tour.limits(PlanConstraints()),
        ways=ahead.ways,
    )


def _as_carried(job: Job, vehicle: int | None, is_fetched: bool, delivery: Delivery, dispatched: frozenset[int]) -> Job:
    """Return a job with what follows from where its goods are, and from who has it."""
    if vehicle is None:
        return job
    if not is_fetched and (delivery.status in ON_BOARD or job.pickup is not None):
        return dataclasses.replace(job, pickup=None, on_board=vehicle)
    if vehicle in dispatched:  # a driver has been told: only another driver can take it over
        return dataclasses.replace(job, allowed=dispatched)
    return job


def _is_closed(ahead: Ahead, quiet_stops: int) -> bool:
    return ahead.route.locked or (ahead.is_dispatched and len(ahead.visits) <= quiet_stops)


def _is_done(stop: PlannedStop, delivery: Delivery | None) -> bool:
    if delivery is None or delivery.status is Status.CANCELLED:
        return False
    return delivery.status in CLOSED or (stop.kind == "pickup" and delivery.status in ON_BOARD)


def _is_ours(route: Route, delivery: Delivery) -> bool:
    return delivery.route == route.id and delivery.status not in CLOSED


def _moves(live: LiveDriver | None) -> bool:
    return live is not None and live.online and live.motion == "moving"


def _begin(
    route: Route, done: Sequence[PlannedStop], live: LiveDriver | None, now: datetime.datetime
) -> Position | None:
    """Return where a vehicle on the road is: where it was seen, at the last stop that it made, or where it began."""
    if live is not None and now.timestamp() - live.time / 1000 < _FRESH_S:
        return Position(latitude=live.latitude, longitude=live.longitude)
    if done:
        return Position(latitude=done[-1].latitude, longitude=done[-1].longitude)
    return route.origin


def _what_is_left(
    route: Route,
    tour: Tour,
    done: Sequence[PlannedStop],
    rested: int,
    begin: Position | None,
    leaves: datetime.datetime,
) -> Tour:
    """Return a vehicle with what is left of its day and its limits."""
    vehicle, limits = tour.vehicle, tour.limits(constraints_of(route.constraints))
    driven_m = sum(stop.leg_distance_m for stop in done)
    gone_s = max(0.0, (leaves - route.start).total_seconds())
    fields = {
        "capacity": vehicle.capacity.model_copy(update={"weight_kg": limits.weight_kg, "volume_m3": limits.volume_m3}),
        "max_distance_m": _less(limits.distance_m, driven_m),
        "max_route_time_s": _less(limits.duration_s, gone_s),
        "max_stops": _less(limits.stops, len(done)),
    }
    rests = [
        dataclasses.replace(rest, opens=max(rest.opens, leaves), closes=max(rest.closes, leaves))
        for number, rest in enumerate(tour.rests)  # they are taken in their order
        if number >= rested and (rest.closes >= leaves or number < len(route.breaks))
    ]
    return Tour(vehicle.model_copy(update=fields), begin, route.destination, leaves, tour.back, tuple(rests))


def _rested(route: Route, made: int, moment: datetime.datetime) -> tuple[PlannedBreak, ...]:
    """Return the breaks that had begun by a moment, if so many stops are behind: nobody rests ahead of a plan."""
    return tuple(one for one in route.breaks if one.before <= made and one.start < moment)


def _less(limit: NumberT | None, used: NumberT) -> NumberT | None:
    return None if limit is None else max(limit - used, type(limit)(0))
