"""What a new order of stops changes, and for whom. Pure."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.routing.schedule import Schedule
from engine.routing.underway import Ahead, plan_of
from models.documents.delivery import Delivery
from models.documents.proposal import BreakChange, ProposedRoute, StopChange
from models.documents.route import PlannedStop, Violation, Visit

__all__ = ["Added", "added_by", "proposed_route"]

_NOTICEABLE_S = 60.0
"""Nobody is told that a stop moves by less."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Added:
    """What several routes add together."""

    distance_m: float
    duration_s: float
    cost: float


def added_by(routes: Sequence[ProposedRoute]) -> Added:
    """Return what changes of routes add together."""
    return Added(
        round(sum(one.distance_m for one in routes), 1),
        round(sum(one.duration_s for one in routes), 1),
        round(sum(one.cost for one in routes), 2),
    )


def proposed_route(
    ahead: Ahead, visits: Sequence[Visit], deliveries: Mapping[str, Delivery], origins: Mapping[str, str]
) -> ProposedRoute:
    """Return what becomes of a route with another order of the stops ahead.

    Parameters
    ----------
    ahead
        The route as it is.
    visits
        The new order.
    deliveries
        By id.
    origins
        The route that each delivery is on so far.
    """
    before, after = plan_of(ahead, ahead.so_far, deliveries), plan_of(ahead, visits, deliveries)
    distance_m = after.distance_m - before.distance_m
    duration_s = after.duration_s - before.duration_s
    rates = ahead.tour.vehicle.cost
    return ProposedRoute(
        route_id=ahead.route.id,
        version=ahead.route.version,
        driver_id=ahead.route.driver,
        vehicle_id=ahead.route.vehicle,
        ahead=ahead.so_far,
        visits=tuple(visits),
        begin=ahead.tour.origin,
        stops=after.stops,
        breaks=after.breaks,
        end=after.end,
        changes=tuple(_stop_changes(before, after, origins, ahead.route.id)),
        break_changes=tuple(_break_changes(before, after)),
        distance_m=round(distance_m, 1),
        duration_s=round(duration_s, 1),
        cost=round(rates.per_km * distance_m / 1000 + rates.per_hour * duration_s / 3600, 2),
        broken=tuple(_broken(before, after)),
        mended=tuple(_broken(after, before)),
    )


def _break_changes(before: Schedule, after: Schedule) -> Iterator[BreakChange]:
    """Yield the breaks that begin at another time; both plans take them in the same order."""
    for was, will in itertools.zip_longest(before.breaks, after.breaks):
        if was is None or will is None:
            yield BreakChange(expected=was and was.start, start=will and will.start)
        elif abs(shift_s := (will.start - was.start).total_seconds()) >= _NOTICEABLE_S:
            yield BreakChange(expected=was.start, start=will.start, shift_s=shift_s)


def _stop_changes(before: Schedule, after: Schedule, origins: Mapping[str, str], route: str) -> list[StopChange]:
    was = {_key(stop): stop for stop in before.stops}
    will = {_key(stop): stop for stop in after.stops}
    passed = _reordered([key for key in was if key in will], [key for key in will if key in was])
    changes = []
    for key, stop in will.items():
        if (kind := _kind_of(key, was, stop, passed, origins)) is None:
            continue
        earlier = was.get(key)
        expected = None if earlier is None else earlier.arrival
        shift_s = None if expected is None else (stop.arrival - expected).total_seconds()
        origin = origins.get(stop.delivery_id)
        changes.append(
            StopChange(
                delivery_id=stop.delivery_id,
                kind=stop.kind,
                change=kind,
                from_route_id=origin if kind == "moved" and origin != route else None,
                expected=expected,
                arrival=stop.arrival,
                shift_s=shift_s,
            )
        )
    changes += [
        StopChange(delivery_id=stop.delivery_id, kind=stop.kind, change="removed", expected=stop.arrival)
        for key, stop in was.items()
        if key not in will
    ]
    return changes


def _kind_of(
    key: Key, was: Mapping[Key, PlannedStop], stop: PlannedStop, passed: set[Key], origins: Mapping[str, str]
) -> Literal["new", "moved", "reordered", "shifted"] | None:
    if key not in was:
        return "moved" if stop.delivery_id in origins else "new"
    if key in passed:
        return "reordered"
    is_noticed = abs((stop.arrival - was[key].arrival).total_seconds()) >= _NOTICEABLE_S
    return "shifted" if is_noticed else None


def _reordered(was: Sequence[Key], will: Sequence[Key]) -> set[Key]:
    """Return the fewest stops that have to be taken out so that the rest is in the same order as before."""
    place = {key: number for number, key in enumerate(was)}
    rising: list[list[int]] = [[]]  # for each number the longest rising sequence that ends with it
    for number in (place[key] for key in will):
        fitting = [one for one in rising if not one or one[-1] < number]
        rising.append([*_longest(fitting), number])
    kept = set(_longest(rising))
    return {key for key, number in place.items() if number not in kept}


def _longest(sequences: Sequence[list[int]]) -> list[int]:
    return max(sequences, key=lambda one: len(one))


def _broken(before: Schedule, after: Schedule) -> list[Violation]:
    """Return what a plan breaks that another did not, or breaks by more."""
    had = {_about(before, one): one.excess for one in before.violations}
    return [one for one in after.violations if one.excess > had.get(_about(after, one), 0.0) + _NOTICEABLE_S / 60]


def _about(plan: Schedule, violation: Violation) -> tuple[str, Key | None]:
    return violation.kind, None if violation.stop is None else _key(plan.stops[violation.stop])


def _key(stop: PlannedStop) -> Key:
    return stop.delivery_id, stop.kind
