"""From deliveries and vehicles to a routing problem, and from its solution to the stops of routes. Pure."""

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.routing.problem import Errand, Problem, Solution, Van
from engine.routing.schedule import ON_BOARD, Limits
from models.documents.delivery import Delivery, Place, Position, Priority
from models.documents.job import Unserved
from models.documents.route import Visit
from models.documents.vehicle import Vehicle
from models.eta.base_time import PACES, base_matrices

__all__ = ["Criterion", "Plan", "PlanConstraints", "Tour", "reason_of", "shift_of"]

Criterion = Literal["distance", "time", "fuel"]

NumberT = TypeVar("NumberT", int, float)
Matrices = NDArray[np.int64]

_DAY_S = 86_400
_ML_PER_KM: Mapping[str, float] = {"car": 65.0, "van": 90.0, "truck": 250.0, "bike": 1.0}
"""Fuel by profile, millilitres a kilometre: usual city figures; a bike's is a token, so that shorter is better."""
_PENALTY: Mapping[Priority, int] = {"low": 1, "normal": 3, "high": 10, "urgent": 30}
"""How much worse it is to leave out what is more urgent."""


@dataclass(frozen=True, slots=True)
class PlanConstraints:
    """Limits for all vehicles of a plan, beside their own; None does not bind."""

    max_route_time_s: float | None = None
    max_distance_m: float | None = None
    max_stops: int | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True)
class Tour:
    """A vehicle with where and when it can be used."""

    vehicle: Vehicle
    origin: Position | None
    destination: Position | None
    leaves: datetime.datetime
    back: datetime.datetime

    def limits(self, constraints: PlanConstraints) -> Limits:
        """Return what the vehicle can take under a plan's constraints."""
        vehicle = self.vehicle
        return Limits(
            weight_kg=_least(vehicle.capacity.weight_kg, constraints.weight_kg),
            volume_m3=vehicle.capacity.volume_m3,
            distance_m=_least(vehicle.max_distance_m, constraints.max_distance_m),
            duration_s=_least(vehicle.max_route_time_s, constraints.max_route_time_s),
            stops=_least(vehicle.max_stops, constraints.max_stops),
            shift_end=self.back,
        )


class Plan:
    """A routing problem and what its numbers stand for.

    Parameters
    ----------
    deliveries
        All of whose places are known as points.
    tours
        At least one.
    start
        The problem's zero.
    criteria
        What is made small; of several, each counts the same, in the units of the first.
    constraints
        Limits beside the vehicles' own.
    """

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        tours: Sequence[Tour],
        start: datetime.datetime,
        criteria: Sequence[Criterion],
        constraints: PlanConstraints,
    ) -> None:
        self.deliveries, self.tours, self.start = deliveries, tours, start
        self._places: list[tuple[float, float]] = []
        self._profiles = sorted({tour.vehicle.profile for tour in tours})
        vans = [self._van(tour, tour.limits(constraints)) for tour in tours]
        stops = [self._stops(delivery) for delivery in deliveries]
        at = np.array(self._places)
        matrices = [base_matrices(at[:, 0], at[:, 1], PACES[profile]) for profile in self._profiles]
        distance_m = np.stack([np.rint(distance) for distance, _ in matrices]).astype(np.int64)
        duration_s = np.stack([np.rint(duration) for _, duration in matrices]).astype(np.int64)
        cost = self._cost(criteria, distance_m, duration_s)
        # leaving one out costs more than any way there and back
        unit = int(cost.max()) * 4 + 1000
        errands = [self._errand(one, *stop, unit) for one, stop in zip(deliveries, stops, strict=True)]
        self.problem = Problem(errands, vans, distance_m, duration_s, cost)

    def visits(self, solution: Solution) -> list[tuple[Tour, list[Visit]]]:
        """Return the stops of each vehicle that is used."""
        return [
            (tour, [self._visit(number, is_pickup) for number, is_pickup in route])
            for tour, route in zip(self.tours, solution.routes, strict=True)
            if route
        ]

    def unserved(self, solution: Solution) -> list[Unserved]:
        """Return what no vehicle takes, each with the reason."""
        return [
            Unserved(delivery_id=self.deliveries[number].id, reason=reason_of(self.problem, number))
            for number in solution.unserved
        ]

    def _visit(self, number: int, is_pickup: bool) -> Visit:
        return Visit(delivery_id=self.deliveries[number].id, kind="pickup" if is_pickup else "dropoff")

    def _place(self, latitude: float, longitude: float) -> int:
        self._places.append((latitude, longitude))
        return len(self._places) - 1

    def _end(self, position: Position | None) -> int | None:
        return None if position is None else self._place(position.latitude, position.longitude)

    def _van(self, tour: Tour, limits: Limits) -> Van:
        return Van(
            profile=self._profiles.index(tour.vehicle.profile),
            start=self._end(tour.origin),
            end=self._end(tour.destination),
            leaves_s=self._seconds(tour.leaves),
            back_s=self._seconds(tour.back),
            weight_g=_scaled(limits.weight_kg, 1000),
            volume_l=_scaled(limits.volume_m3, 1000),
            max_distance_m=_scaled(limits.distance_m, 1),
            max_duration_s=_scaled(limits.duration_s, 1),
            max_stops=limits.stops,
        )

    def _stops(self, delivery: Delivery) -> tuple[int, int | None]:
        fetched = delivery.pickup if delivery.status not in ON_BOARD else None
        return self._known(delivery.dropoff), None if fetched is None else self._known(fetched)

    def _known(self, place: Place) -> int:
        assert place.latitude is not None and place.longitude is not None  # noqa: S101, PT018 - the caller's promise
        return self._place(place.latitude, place.longitude)

    def _errand(self, delivery: Delivery, dropoff: int, pickup: int | None, unit: int) -> Errand:
        window = delivery.time_window
        return Errand(
            dropoff=dropoff,
            pickup=pickup,
            opens_s=0 if window is None else max(0, self._seconds(window.start)),
            closes_s=14 * _DAY_S if window is None else self._seconds(window.end),
            service_s=delivery.service_time_s,
            weight_g=_scaled(delivery.weight_kg, 1000) or 0,
            volume_l=_scaled(delivery.volume_m3, 1000) or 0,
            penalty=unit * _PENALTY[delivery.priority],
        )

    def _cost(self, criteria: Sequence[Criterion], distance_m: Matrices, duration_s: Matrices) -> Matrices:
        per_km = np.array([_ML_PER_KM[profile] for profile in self._profiles])
        parts = {"distance": distance_m, "time": duration_s, "fuel": distance_m * per_km[:, None, None] / 1000}
        chosen = [parts[criterion] for criterion in dict.fromkeys(criteria)]
        scale = [chosen[0].mean() / max(part.mean(), 1e-9) for part in chosen]
        total = sum(part * factor for part, factor in zip(chosen, scale, strict=True)) / len(chosen)
        cost: Matrices = np.rint(total).astype(np.int64)
        return cost

    def _seconds(self, moment: datetime.datetime) -> int:
        return int((moment - self.start).total_seconds())


def shift_of(vehicle: Vehicle, start: datetime.datetime, zone: ZoneInfo) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when a vehicle may leave and has to be back, for a plan that begins at `start`."""
    if vehicle.shift is None:
        return start, start + datetime.timedelta(days=1)
    day = start.astimezone(zone).date()
    begins, ends = (
        datetime.datetime.combine(day, datetime.time.fromisoformat(clock), zone)
        for clock in (vehicle.shift.start, vehicle.shift.end)
    )
    if vehicle.shift.end <= vehicle.shift.start:
        ends += datetime.timedelta(days=1)
    return max(start, begins), max(start, ends)


def reason_of(problem: Problem, number: int) -> str:
    """Return why no van takes an errand: what rules out every van, or that the fleet has no room left."""
    errand = problem.errands[number]
    if all(van.weight_g is not None and errand.weight_g > van.weight_g for van in problem.vans):
        return "too heavy for every vehicle"
    if all(van.volume_l is not None and errand.volume_l > van.volume_l for van in problem.vans):
        return "too large for every vehicle"
    if all(_soonest(problem, van, errand) > errand.closes_s for van in problem.vans):
        return "no vehicle can be there before its time window closes"
    if all(_soonest_back(problem, van, errand) > van.back_s for van in problem.vans):
        return "no vehicle would be back before its shift ends"
    return "the vehicles have no time or room left within their limits"


def _soonest(problem: Problem, van: Van, errand: Errand) -> int:
    """Return when a van that does nothing else is at the drop-off, seconds after zero."""
    way = problem.duration_s[van.profile]
    stops = [stop for stop in (van.start, errand.pickup, errand.dropoff) if stop is not None]
    return van.leaves_s + sum(int(way[one, other]) for one, other in itertools.pairwise(stops))


def _soonest_back(problem: Problem, van: Van, errand: Errand) -> int:
    home_s = 0 if van.end is None else int(problem.duration_s[van.profile][errand.dropoff, van.end])
    return max(_soonest(problem, van, errand), errand.opens_s) + errand.service_s + home_s


def _scaled(amount: float | None, factor: int) -> int | None:
    return None if amount is None else round(amount * factor)


def _least(one: NumberT | None, other: NumberT | None) -> NumberT | None:
    known = [limit for limit in (one, other) if limit is not None]
    return min(known) if known else None
