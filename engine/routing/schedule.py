"""What an order of stops comes to: when the vehicle is where, with what on board, and what that breaks.

Pure: travel times come in as ways, the clock as the route's start. Everything that stores or changes a route asks
here, so that a plan by hand and a plan by a solver are judged alike.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.routing.problem import Window, whole_window
from engine.routing.rests import Placed, Rest, place_rests
from engine.routing.timetable import Call
from engine.routing.ways import GREAT_CIRCLE, Ways
from models.documents.delivery import Delivery, Place, Position, Status
from models.documents.route import PlannedBreak, PlannedStop, Violation, Visit
from models.errors import InvalidInput
from models.eta.base_time import Leg

__all__ = ["ON_BOARD", "Limits", "Schedule", "check_order", "schedule", "spare_s"]

ON_BOARD = frozenset({Status.PICKED_UP, Status.IN_TRANSIT, Status.ARRIVED})
"""Statuses of a delivery whose parcel is in the vehicle already."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the vehicle can take; what is None does not bind."""

    weight_kg: float | None = None
    volume_m3: float | None = None
    distance_m: float | None = None
    duration_s: float | None = None
    stops: int | None = None
    shift_end: datetime.datetime | None = None
    rests: tuple[Rest, ...] = ()
    """Breaks to be taken, in the order of the clock."""
    day_begins: datetime.datetime | None = None
    """When the driver's day begins; a break may be taken from then on. None means not before leaving."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A plan in full."""

    stops: tuple[PlannedStop, ...]
    breaks: tuple[PlannedBreak, ...]
    end: datetime.datetime
    distance_m: float
    duration_s: float
    violations: tuple[Violation, ...]
    spare_break_s: tuple[float, ...] = ()
    """How much later each break could begin."""


@dataclass(slots=True)
class _Drive:
    """Where the vehicle is while the plan is gone through."""

    ways: Ways
    profile: str
    leaves: datetime.datetime
    moment: datetime.datetime
    at: tuple[float, float] | None
    weight_kg: float
    volume_m3: float
    rests: Mapping[int, Sequence[Placed]] = field(default_factory=dict)
    """Breaks by the number of the stop that follows."""
    distance_m: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    breaks: list[PlannedBreak] = field(default_factory=list)
    spare_break_s: list[float] = field(default_factory=list)

    def violates(self, kind: str, stop: int | None, excess: float, detail: str) -> None:
        """Note a violation."""
        found = {"kind": kind, "stop": stop, "excess": round(excess, 1), "detail": detail}
        self.violations.append(Violation.model_validate(found))

    def go_to(self, place: tuple[float, float], number: int) -> Leg:
        """Drive to a place, with the breaks before that stop, and return the leg."""
        leg = Leg(0.0, 0.0) if self.at is None else self.ways.leg(self.profile, self.at, place)
        self.at = place
        self.distance_m += leg.distance_m
        arrival, clock = self.moment + datetime.timedelta(seconds=leg.duration_s), self.moment
        for rest, _, begins in self.rests.get(number, ()):
            length = datetime.timedelta(seconds=rest.length_s)
            if begins + length <= self.leaves:  # before leaving
                self.breaks.append(PlannedBreak(before=number, start=begins, end=begins + length))
                continue
            clock = max(clock, begins)  # until then one drives
            self.spare_break_s.append((rest.closes - clock).total_seconds())
            self.breaks.append(PlannedBreak(before=number, start=clock, end=clock + length))
            clock += length
            arrival += length
        self.moment = max(arrival, clock)
        return leg


def check_order(visits: Sequence[Visit], deliveries: Mapping[str, Delivery], path: str = "") -> None:
    """Refuse visits that no vehicle can make in this order; `path` leads to the fields of their route.

    Raises
    ------
    InvalidInput
        If a delivery is unknown, has no such place or no coordinates, comes twice, comes without its drop-off, or is
        dropped off before its pickup; with the paths of the visits at fault.
    """
    faults: list[tuple[str, str]] = []
    seen: dict[tuple[str, str], int] = {}
    for number, visit in enumerate(visits):
        delivery = deliveries.get(visit.delivery_id)
        if fault := _fault(visit, delivery, seen):
            faults.append((f"{path}stops.{number}", fault))
        seen.setdefault((visit.delivery_id, visit.kind), number)
    for (delivery_id, kind), number in seen.items():
        if kind == "pickup" and (delivery_id, "dropoff") not in seen:
            faults.append((f"{path}stops.{number}", f"{delivery_id} is picked up and never dropped off"))
    if faults:
        raise InvalidInput(f"{faults[0][0]}: {faults[0][1]}", faults)


def schedule(
    visits: Sequence[Visit],
    deliveries: Mapping[str, Delivery],
    start: datetime.datetime,
    *,
    origin: Position | None = None,
    destination: Position | None = None,
    profile: str = "van",
    limits: Limits | None = None,
    ways: Ways = GREAT_CIRCLE,
) -> Schedule:
    """Return the plan that visits in this order make; they have passed `check_order`.

    Parameters
    ----------
    visits
        Stops in order.
    deliveries
        By id; what is not picked up on the way is on board from the start.
    start
        When the vehicle leaves.
    origin, destination
        Where it starts and ends; none means at the first and the last stop.
    profile
        Kind of vehicle, a key of `PACES`.
    limits
        What the vehicle can take.
    ways
        How long it is from place to place.
    """
    limits = limits or Limits()
    picked = {visit.delivery_id for visit in visits if visit.kind == "pickup"}
    aboard = [deliveries[visit.delivery_id] for visit in visits if visit.delivery_id not in picked]
    drive = _Drive(
        ways=ways,
        profile=profile,
        leaves=start,
        moment=start,
        at=None if origin is None else (origin.latitude, origin.longitude),
        weight_kg=sum(delivery.weight_kg or 0.0 for delivery in aboard),
        volume_m3=sum(delivery.volume_m3 or 0.0 for delivery in aboard),
    )
    if limits.rests:
        _place_rests(drive, visits, deliveries, start, limits, destination)
    _check_load(drive, None, limits)
    stops = tuple(
        _stopped(drive, number, visit, deliveries[visit.delivery_id], limits) for number, visit in enumerate(visits)
    )
    if destination is not None:
        drive.go_to((destination.latitude, destination.longitude), len(stops))
    _check_whole(drive, start, len(stops), limits)
    duration_s = (drive.moment - start).total_seconds()
    return Schedule(
        stops,
        tuple(drive.breaks),
        drive.moment,
        drive.distance_m,
        duration_s,
        tuple(drive.violations),
        tuple(drive.spare_break_s),
    )


def spare_s(plan: Schedule, deliveries: Mapping[str, Delivery]) -> float:
    """Return how much later the vehicle may leave, seconds, so that it waits less and is late nowhere.

    Notes
    -----
    The forward time slack of Savelsbergh (1992): what one waits on the way swallows a later start.
    """
    waited_s, slack_s = 0.0, float("inf")
    for stop in plan.stops:
        waited_s += stop.wait_s
        window = deliveries[stop.delivery_id].time_window
        if stop.kind == "dropoff" and window is not None:
            begun = stop.arrival + datetime.timedelta(seconds=stop.wait_s)
            slack_s = min(slack_s, waited_s + (window.end - begun).total_seconds())
    return max(0.0, min(slack_s, waited_s, *plan.spare_break_s))


def place_of(delivery: Delivery, kind: Literal["pickup", "dropoff"]) -> Place | None:
    """Return where a delivery is fetched or brought."""
    return delivery.pickup if kind == "pickup" else delivery.dropoff


def _place_rests(
    drive: _Drive,
    visits: Sequence[Visit],
    deliveries: Mapping[str, Delivery],
    start: datetime.datetime,
    limits: Limits,
    destination: Position | None,
) -> None:
    """Choose where on the way breaks are taken, and note those that find no place."""
    calls, at = [], drive.at
    for visit in visits:
        delivery = deliveries[visit.delivery_id]
        place = _point(delivery, visit.kind)
        windows: tuple[Window, ...] = ()
        if visit.kind == "dropoff" and (window := delivery.time_window) is not None:
            windows = (whole_window(window.start, window.end, start),)
        service_s = delivery.service_time_s if visit.kind == "dropoff" else 0
        calls.append(Call(_whole_s(drive, at, place), windows, service_s))
        at = place
    home_s = 0 if destination is None else _whole_s(drive, at, (destination.latitude, destination.longitude))
    placed, missing = place_rests(limits.rests, calls, home_s, start, limits.day_begins or start)
    if missing:
        drive.violates("break", None, missing, "the driver's break finds no place within its hours")
    drive.rests = {number: [one for one in placed if one.before == number] for number in range(len(calls) + 1)}


def _whole_s(drive: _Drive, at: tuple[float, float] | None, place: tuple[float, float]) -> int:
    return 0 if at is None else math.ceil(drive.ways.leg(drive.profile, at, place).duration_s)


def _point(delivery: Delivery, kind: Literal["pickup", "dropoff"]) -> tuple[float, float]:
    place = place_of(delivery, kind)
    assert place is not None and place.latitude is not None and place.longitude is not None  # noqa: S101, PT018 - checked
    return place.latitude, place.longitude


def _fault(visit: Visit, delivery: Delivery | None, seen: Mapping[tuple[str, str], int]) -> str | None:
    if delivery is None:
        return f"there is no delivery {visit.delivery_id}"
    if (visit.delivery_id, visit.kind) in seen:
        return f"{visit.delivery_id} has this stop twice"
    place = place_of(delivery, visit.kind)
    if place is None:
        return f"{visit.delivery_id} has no pickup"
    if not place.is_located:
        return f"the {visit.kind} of {visit.delivery_id} has no coordinates"
    if visit.kind == "pickup" and delivery.status in ON_BOARD:
        return f"{visit.delivery_id} is on board already"
    if visit.kind == "pickup" and (visit.delivery_id, "dropoff") in seen:
        return f"{visit.delivery_id} is dropped off before it is picked up"
    return None


def _stopped(drive: _Drive, number: int, visit: Visit, delivery: Delivery, limits: Limits) -> PlannedStop:
    place = _point(delivery, visit.kind)
    leg = drive.go_to(place, number)
    arrival, wait_s = drive.moment, 0.0
    if visit.kind == "dropoff":
        wait_s = _keep_window(drive, number, delivery)
        drive.moment += datetime.timedelta(seconds=delivery.service_time_s)
    sign = 1 if visit.kind == "pickup" else -1
    drive.weight_kg += sign * (delivery.weight_kg or 0.0)
    drive.volume_m3 += sign * (delivery.volume_m3 or 0.0)
    if visit.kind == "pickup":
        _check_load(drive, number, limits)
    return PlannedStop(
        delivery_id=visit.delivery_id,
        kind=visit.kind,
        locked=visit.locked,
        latitude=place[0],
        longitude=place[1],
        arrival=arrival,
        departure=drive.moment,
        wait_s=wait_s,
        leg_distance_m=round(leg.distance_m, 1),
        leg_duration_s=round(leg.duration_s, 1),
        load_kg=round(drive.weight_kg, 3),
    )


def _keep_window(drive: _Drive, number: int, delivery: Delivery) -> float:
    """Wait for the window to open, or note how late one is; return the seconds waited."""
    window = delivery.time_window
    if window is None:
        return 0.0
    late_s = (drive.moment - window.end).total_seconds()
    if late_s > 0:
        drive.violates("late", number, late_s, f"{delivery.id} is reached after its time window")
    wait_s = max(0.0, (window.start - drive.moment).total_seconds())
    drive.moment += datetime.timedelta(seconds=wait_s)
    return wait_s


def _check_load(drive: _Drive, number: int | None, limits: Limits) -> None:
    if limits.weight_kg is not None and drive.weight_kg > limits.weight_kg + 1e-6:
        drive.violates("overweight", number, drive.weight_kg - limits.weight_kg, "more weight than the vehicle takes")
    if limits.volume_m3 is not None and drive.volume_m3 > limits.volume_m3 + 1e-9:
        drive.violates("overfull", number, drive.volume_m3 - limits.volume_m3, "more volume than the vehicle takes")


def _check_whole(drive: _Drive, start: datetime.datetime, stops: int, limits: Limits) -> None:
    if limits.distance_m is not None and drive.distance_m > limits.distance_m:
        drive.violates("too_far", None, drive.distance_m - limits.distance_m, "longer than the vehicle's longest way")
    duration_s = (drive.moment - start).total_seconds()
    if limits.duration_s is not None and duration_s > limits.duration_s:
        drive.violates("too_long", None, duration_s - limits.duration_s, "takes longer than a route may")
    if limits.stops is not None and stops > limits.stops:
        drive.violates("too_many_stops", None, stops - limits.stops, "more stops than the vehicle makes")
    if limits.shift_end is not None and drive.moment > limits.shift_end:
        excess_s = (drive.moment - limits.shift_end).total_seconds()
        drive.violates("shift", None, excess_s, "ends after the vehicle's shift")
