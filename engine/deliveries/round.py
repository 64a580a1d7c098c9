"""What a driver has to do today, in the order of doing it.

Pure. The stops of a planned route come as planned. What is not in it follows: whom the driver stands before first, then
what has to be there soonest, then what is more urgent, then what lies nearest.
"""

import datetime
import math
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from models.documents.delivery import Delivery, Place, Position, Status
from models.documents.route import Visit
from models.geo import distance_m

__all__ = ["StopAhead", "end_of_day", "round_of", "stop_ahead"]

_PRIORITIES = ("urgent", "high", "normal", "low")
_BEFORE_PICKUP = frozenset({Status.ASSIGNED, Status.ACCEPTED})


@dataclass(frozen=True, slots=True)
class StopAhead:
    """Where the driver has to go for a delivery."""

    delivery: Delivery
    kind: Literal["pickup", "dropoff"]
    place: Place


def stop_ahead(delivery: Delivery) -> StopAhead:
    """Return the next stop of an open delivery."""
    if delivery.pickup is not None and delivery.status in _BEFORE_PICKUP:
        return StopAhead(delivery, "pickup", delivery.pickup)
    return StopAhead(delivery, "dropoff", delivery.dropoff)


def end_of_day(at: datetime.datetime, zone: str) -> datetime.datetime:
    """Return when the day that `at` belongs to ends by the clocks of a time zone."""
    local = at.astimezone(zoneinfo.ZoneInfo(zone))
    return datetime.datetime.combine(local.date() + datetime.timedelta(days=1), datetime.time(), local.tzinfo)


def round_of(
    deliveries: Sequence[Delivery], here: Position | None, until: datetime.datetime, plan: Sequence[Visit] = ()
) -> list[StopAhead]:
    """Return a driver's stops in the order of making them: all of a plan, and the next one of what is in none.

    Parameters
    ----------
    deliveries
        Open ones of one driver.
    here
        Where the driver is; None leaves what is equally urgent in the order of making.
    until
        What may not be brought before then is left for another day.
    plan
        The stops of the driver's route, those that were made already included.
    """
    ordered = _planned(deliveries, plan)
    known = {stop.delivery.id for stop in ordered}
    here = (_position(ordered[-1].place) if ordered else None) or here
    rest = [one for one in deliveries if one.id not in known]
    today = [one for one in rest if one.time_window is None or one.time_window.start < until]
    for _, equals in groupby(sorted(today, key=lambda one: (*_urgency(one), one.id)), key=_urgency):
        waiting = list(equals)
        while waiting:
            nearest = min(waiting, key=lambda one: _away_m(here, one))  # the first made of those equally far
            waiting.remove(nearest)
            ordered.append(stop_ahead(nearest))
            here = _position(ordered[-1].place) or here
    return ordered


def _planned(deliveries: Sequence[Delivery], plan: Sequence[Visit]) -> list[StopAhead]:
    """Return the stops of a plan that are still to be made."""
    by_id = {one.id: one for one in deliveries}
    ordered: list[StopAhead] = []
    for visit in plan:
        delivery = by_id.get(visit.delivery_id)
        if delivery is None:
            continue
        if visit.kind == "dropoff":
            ordered.append(StopAhead(delivery, "dropoff", delivery.dropoff))
        elif delivery.pickup is not None and delivery.status in _BEFORE_PICKUP:
            ordered.append(StopAhead(delivery, "pickup", delivery.pickup))
    return ordered


def _urgency(delivery: Delivery) -> tuple[bool, float, int]:
    due = delivery.time_window.end.timestamp() if delivery.time_window else math.inf
    return delivery.status is not Status.ARRIVED, due, _PRIORITIES.index(delivery.priority)


def _away_m(here: Position | None, delivery: Delivery) -> float:
    there = _position(stop_ahead(delivery).place)
    if here is None or there is None:
        return math.inf
    return float(distance_m(here.latitude, here.longitude, there.latitude, there.longitude))


def _position(place: Place) -> Position | None:
    if place.latitude is None or place.longitude is None:
        return None
    return Position(latitude=place.latitude, longitude=place.longitude)
