"""A problem that PyVRP's model covers, in place of one that it does not: its plans are tried, since all are checked.

Fuel by load is paid for by the metre as if vehicles were half full. Breaks are taken off the end of the shift and the
longest day, so that there is time for them somewhere. The longest route is not looked at. What the plan then breaks,
or costs, the verifier says of the problem itself.
"""

import dataclasses

from engine.routing.problem import Problem, Vehicle
from engine.routing.solvers.pyvrp_model import uncovered

__all__ = ["relaxed"]

_FULL = 0.5  # share of the room that is used on the way, on average


def relaxed(problem: Problem) -> Problem | None:
    """Return a problem like this one that PyVRP can search; None if what it lacks can't be left out."""
    amounts = problem.loads()
    total = int(amounts[:, 0].sum()) if amounts.shape[1] else 0
    vehicles = [_relaxed(vehicle, total) for vehicle in problem.vehicles]
    easier = dataclasses.replace(problem, vehicles=vehicles, balance=0.0)
    return None if uncovered(easier) else easier


def _relaxed(vehicle: Vehicle, total: int) -> Vehicle:
    resting = sum(rest.length_s for rest in vehicle.breaks)
    load = _FULL * min(vehicle.capacity[0] if vehicle.capacity else total, total)
    longest = vehicle.max_duration_s
    return dataclasses.replace(
        vehicle,
        breaks=(),
        shift=(vehicle.shift[0], max(vehicle.shift[0], vehicle.shift[1] - resting)),
        max_duration_s=None if longest is None else max(0, longest - resting),
        per_metre=vehicle.per_metre + load * vehicle.per_metre_load,
        per_metre_load=0.0,
    )
