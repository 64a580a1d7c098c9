"""A vehicle's committed first visits as one stop, for solvers that know no committed visits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.routing.problem import Problem, Vehicle
from engine.routing.verifier import check_route

__all__ = ["Prefix", "prefix_of"]


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a vehicle has done when it has made its committed visits."""

    place: int
    """Where it is then."""
    opens_s: int
    closes_s: int
    """First and last moment of leaving that keeps all windows without needless waiting."""
    lasts_s: int
    """From leaving to the end of the last committed service."""
    metres: int
    kept: NDArray[np.int64]
    """Goods that stay on board to the route's end, per dimension."""
    peak: NDArray[np.int64]
    """Most that the committed visits themselves have on board, per dimension."""


def prefix_of(problem: Problem, number: int) -> Prefix | None:
    """Return the committed visits of a vehicle as one stop; None if it has none."""
    vehicle = problem.vehicles[number]
    if not vehicle.pinned:
        return None
    stops = [stop for visit in vehicle.pinned if (stop := problem.stop(visit)) is not None]
    places = [stops[0].place if vehicle.start is None else vehicle.start, *(stop.place for stop in stops)]
    at = np.array(places, np.int64)
    seconds, metres = problem.travel[vehicle.profile].legs(at[:-1], at[1:])
    if vehicle.start is None:
        seconds, metres = seconds.copy(), metres.copy()
        seconds[0] = metres[0] = 0
    times = check_route(problem, number, vehicle.pinned).times
    lasts_s, opens_s, closes_s = 0, *vehicle.shift
    for position, (stop, leg_s) in enumerate(zip(stops, seconds.tolist(), strict=True)):
        lasts_s += leg_s
        begins = 0 if times is None else times.begins[position]
        for opens, closes in stop.windows:
            if opens <= begins <= closes:
                opens_s, closes_s = max(opens_s, opens - lasts_s), min(closes_s, closes - lasts_s)
        lasts_s += stop.service_s
    lasts_s += max(0, opens_s - closes_s)
    kept, peak = _loads(problem, vehicle)
    return Prefix(places[-1], min(opens_s, closes_s), closes_s, lasts_s, int(metres.sum()), kept, peak)


def _loads(problem: Problem, vehicle: Vehicle) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what stays on board to the end, and the most that is on board of what the visits themselves move."""
    amounts = problem.loads()
    kept = np.zeros(amounts.shape[1], np.int64)
    load = kept.copy()
    for visit in vehicle.pinned:
        if not visit.pickup and problem.jobs[visit.job].pickup is None:
            load = load + amounts[visit.job]
    peak = load.copy()
    for visit in vehicle.pinned:
        load = load + amounts[visit.job] * (1 if visit.pickup else -1)
        peak = np.maximum(peak, load)
        if visit.pickup and problem.jobs[visit.job].delivery is None:
            kept = kept + amounts[visit.job]
    return kept, peak
