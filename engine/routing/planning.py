"""From deliveries and vehicles to a routing problem, and from its solution to the stops of routes. Pure."""

import dataclasses
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from engine.routing import problem as model
from engine.routing.explain import explain
from engine.routing.objectives import FUEL, Criterion, Rates, rates_of
from engine.routing.problem import Problem, Solution
from engine.routing.rests import Rest
from engine.routing.schedule import ON_BOARD, Limits
from engine.routing.travel import DenseTravel
from engine.routing.verifier import check_route
from engine.routing.ways import GREAT_CIRCLE, Ways
from models.documents.delivery import Delivery, Place, Position, Priority
from models.documents.job import Unserved
from models.documents.route import PlanLimits, Visit
from models.documents.vehicle import Vehicle

__all__ = [
    "Criterion",
    "Plan",
    "PlanConstraints",
    "PlanTerms",
    "Tour",
    "Wish",
    "constraints_of",
    "places_of",
    "shift_of",
]

NumberT = TypeVar("NumberT", int, float)

_PENALTY: Mapping[Priority, int] = {"low": 1, "normal": 3, "high": 10, "urgent": 30}
"""How much worse it is to leave out what is more urgent."""

_GRAMS, _MILLILITRES = 1000, 1_000_000  # in a kilogram and a cubic metre
_NOTHING = 1e-4  # of a unit: what a float may be off


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
    rests: tuple[Rest, ...] = ()
    """Breaks of its driver that are still to be taken."""

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
            rests=self.rests,
            day_begins=self.leaves,
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What holds for one delivery in one plan, beside what it says itself."""

    priority: Priority | None = None
    """Instead of its own."""
    is_mandatory: bool = False
    """Whether no plan at all is better than one without it."""
    allowed: frozenset[str] | None = None
    """Vehicles that may take it; None means all."""
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What holds in one plan, beside what deliveries and vehicles say."""

    wishes: Mapping[str, Wish] = field(default_factory=dict)
    """By delivery."""
    relations: Sequence[tuple[type[model.SameVehicle] | type[model.InOrder], Sequence[str]]] = ()
    """Deliveries that belong together."""
    balance: float = 0.0
    """Cost of a second of the longest route, in the objective's units."""


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
    weights
        What is made small, and how much each counts; in the units of the first.
    constraints
        Limits beside the vehicles' own.
    terms
        What else holds.
    ways
        How long it is from place to place.
    """

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        tours: Sequence[Tour],
        start: datetime.datetime,
        weights: Mapping[Criterion, float],
        constraints: PlanConstraints,
        terms: "PlanTerms | None" = None,
        ways: Ways = GREAT_CIRCLE,
    ) -> None:
        self.ways = ways
        self.deliveries, self.tours, self.start = deliveries, tours, start
        self._places: list[tuple[float, float]] = []
        self._profiles = sorted({tour.vehicle.profile for tour in tours})
        ends = [(self._end(tour.origin), self._end(tour.destination)) for tour in tours]
        stops = [self._stops(delivery) for delivery in deliveries]
        travel = self._travel()
        rates = self._rates(weights, travel)
        loads = [_load(delivery) for delivery in deliveries]
        whole = tuple(map(sum, zip(*loads, strict=True)))
        vehicles = [
            self._vehicle(tour, end, tour.limits(constraints), rates[tour.vehicle.profile], whole)
            for tour, end in zip(tours, ends, strict=True)
        ]
        unit = _dearest(vehicles, travel, whole[0])
        terms = terms or PlanTerms()
        numbers = {tour.vehicle.id: number for number, tour in enumerate(tours)}
        jobs = [
            _on_terms(self._job(*one, unit), terms.wishes.get(one[0].id), numbers, unit)
            for one in zip(deliveries, stops, loads, strict=True)
        ]
        places = {delivery.id: number for number, delivery in enumerate(deliveries)}
        relations = [kind(tuple(places[one] for one in together)) for kind, together in terms.relations]
        self.problem = Problem(jobs, vehicles, travel, relations, terms.balance)

    def visits(self, solution: Solution) -> list[tuple[Tour, list[Visit]]]:
        """Return the stops of each vehicle that is used."""
        return [
            (tour, [self._visit(number, is_pickup) for number, is_pickup in route])
            for tour, route in zip(self.tours, solution.routes, strict=True)
            if route
        ]

    def departures(self, solution: Solution) -> list[datetime.datetime]:
        """Return when each vehicle that is used leaves if its day is to be as short as can be."""
        checks = [check_route(self.problem, number, route) for number, route in enumerate(solution.routes) if route]
        begun = [check.times.start_s for check in checks if check.times is not None]
        return [self.start + datetime.timedelta(seconds=start_s) for start_s in begun]

    def unserved(self, solution: Solution) -> list[Unserved]:
        """Return what no vehicle takes, each with the reason."""
        return [
            Unserved(delivery_id=self.deliveries[number].id, reason=reason.detail)
            for number, reason in explain(self.problem, solution).items()
        ]

    def _visit(self, number: int, is_pickup: bool) -> Visit:
        return Visit(delivery_id=self.deliveries[number].id, kind="pickup" if is_pickup else "dropoff")

    def _place(self, latitude: float, longitude: float) -> int:
        self._places.append((latitude, longitude))
        return len(self._places) - 1

    def _end(self, position: Position | None) -> int | None:
        return None if position is None else self._place(position.latitude, position.longitude)

    def _travel(self) -> list[DenseTravel]:
        at = np.array(self._places)
        matrices = [self.ways.matrices(profile, at) for profile in self._profiles]
        return [
            # up, so that what keeps a limit here keeps it in fractions of seconds and metres as well
            DenseTravel(np.ceil(duration).astype(np.int32), np.ceil(distance).astype(np.int32))
            for distance, duration in matrices
        ]

    def _rates(self, weights: Mapping[Criterion, float], travel: Sequence[DenseTravel]) -> dict[str, Rates]:
        """Return what each kind of vehicle costs."""
        metres = [float(one.distances.mean()) for one in travel]
        typical: dict[Criterion, float] = {
            "distance": sum(metres) / len(metres),
            "time": float(np.mean([one.durations.mean() for one in travel])),
            "fuel": float(
                np.mean([m * FUEL[profile].empty_ml_per_km for m, profile in zip(metres, self._profiles, strict=True)])
            )
            / 1000,
        }
        return {profile: rates_of(weights, profile, typical) for profile in self._profiles}

    def _vehicle(
        self, tour: Tour, ends: tuple[int | None, int | None], limits: Limits, rates: Rates, whole: tuple[int, ...]
    ) -> model.Vehicle:
        room = (_most(limits.weight_kg, _GRAMS), _most(limits.volume_m3, _MILLILITRES), tour.vehicle.capacity.pieces)
        return model.Vehicle(
            id=tour.vehicle.id,
            profile=self._profiles.index(tour.vehicle.profile),
            start=ends[0],
            end=ends[1],
            capacity=tuple(most if one is None else one for one, most in zip(room, whole, strict=True)),
            shift=model.whole_window(tour.leaves, tour.back, self.start),
            skills=frozenset(tour.vehicle.skills),
            breaks=tuple(rest.as_break(self.start) for rest in tour.rests),
            max_distance_m=_most(limits.distance_m),
            max_duration_s=_most(limits.duration_s),
            max_stops=limits.stops,
            per_metre=rates.per_metre,
            per_second=rates.per_second,
            per_metre_load=rates.per_metre_gram,
        )

    def _stops(self, delivery: Delivery) -> tuple[int, int | None]:
        fetched = delivery.pickup if delivery.status not in ON_BOARD else None
        return self._known(delivery.dropoff), None if fetched is None else self._known(fetched)

    def _known(self, place: Place) -> int:
        assert place.latitude is not None and place.longitude is not None  # noqa: S101, PT018 - the caller's promise
        return self._place(place.latitude, place.longitude)

    def _job(self, delivery: Delivery, stops: tuple[int, int | None], load: tuple[int, ...], unit: float) -> model.Job:
        dropoff, pickup = stops
        window = delivery.time_window
        windows = () if window is None else (model.whole_window(window.start, window.end, self.start),)
        return model.Job(
            id=delivery.id,
            pickup=None if pickup is None else model.Stop(pickup),
            delivery=model.Stop(dropoff, windows, delivery.service_time_s),
            load=load,
            penalty=unit * _PENALTY[delivery.priority],
            skills=frozenset(delivery.skills),
        )


def _on_terms(job: model.Job, wish: Wish | None, vehicles: Mapping[str, int], unit: float) -> model.Job:
    """Return a job with what holds for it in this plan."""
    if wish is None:
        return job
    penalty = job.penalty if wish.priority is None else unit * _PENALTY[wish.priority]
    named = None if wish.allowed is None else frozenset(vehicles[one] for one in wish.allowed)
    return dataclasses.replace(
        job,
        penalty=None if wish.is_mandatory else penalty,
        allowed=named,
        forbidden=frozenset(vehicles[one] for one in wish.forbidden),
    )


def constraints_of(limits: PlanLimits) -> PlanConstraints:
    """Return limits as plans are checked against."""
    return PlanConstraints(limits.max_route_time, limits.max_distance, limits.max_stops, limits.vehicle_capacity)


def places_of(deliveries: Iterable[Delivery], tours: Iterable[Tour]) -> list[tuple[float, float]]:
    """Return all places between which a plan may lead (latitude, longitude)."""
    stops = [
        (place.latitude, place.longitude)
        for one in deliveries
        for place in (one.pickup, one.dropoff)
        if place is not None and place.latitude is not None and place.longitude is not None
    ]
    ends = [end for tour in tours for end in (tour.origin, tour.destination) if end is not None]
    return [*stops, *((end.latitude, end.longitude) for end in ends)]


def shift_of(vehicle: Vehicle, start: datetime.datetime, zone: ZoneInfo) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when a vehicle may leave and has to be back, for a plan that begins at `start`.

    That is the shift of `start`'s day, unless the one of the night before still lasts.
    """
    if vehicle.shift is None:
        return start, start + datetime.timedelta(days=1)
    day = start.astimezone(zone).date()
    _, night_ends = vehicle.shift.on(day - datetime.timedelta(days=1), zone)
    if start < night_ends:
        return start, night_ends
    begins, ends = vehicle.shift.on(day, zone)
    return max(start, begins), max(start, ends)


def _dearest(vehicles: Sequence[model.Vehicle], travel: Sequence[DenseTravel], load: int) -> float:
    """Return more than any way there and back can cost, waiting included: what leaving something out costs at least."""
    return max(
        4 * int(travel[one.profile].distances.max()) * (one.per_metre + one.per_metre_load * load)
        + (4 * int(travel[one.profile].durations.max()) + one.shift[1] - one.shift[0]) * one.per_second
        + 1000
        for one in vehicles
    )


def _load(delivery: Delivery) -> tuple[int, int, int]:
    """Return grams, millilitres and pieces, rounded up, so that what fits here fits in fractions of them as well."""
    grams, millilitres = (delivery.weight_kg or 0.0) * _GRAMS, (delivery.volume_m3 or 0.0) * _MILLILITRES
    return (math.ceil(grams - _NOTHING), math.ceil(millilitres - _NOTHING), delivery.pieces or 0)


def _most(limit: float | None, factor: int = 1) -> int | None:
    """Return a limit in whole units, rounded down."""
    return None if limit is None else math.floor(limit * factor + _NOTHING)


def _least(one: NumberT | None, other: NumberT | None) -> NumberT | None:
    known = [limit for limit in (one, other) if limit is not None]
    return min(known) if known else None
