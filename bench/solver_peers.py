"""Other solvers on the same problems, each as its documentation starts it: what ours is measured against.

Each gets the same seconds and cores. PyVRP and OR-Tools search on one core, so that they run once for each core, with
different seeds or first solutions, and the best of those counts. VROOM is given as many threads as there are cores.
"""

import datetime
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

import numpy as np
import pyvrp

from engine.routing.problem import Problem, Solution, Visit
from engine.routing.search import Routes
from engine.routing.solvers.pyvrp import penalties_of
from engine.routing.solvers.pyvrp_model import PyvrpModel, uncovered
from engine.routing.verifier import verify

__all__ = ["PEERS", "Peer", "ask_peer", "lacks", "plan_of"]

Peer = Literal["pyvrp", "ortools", "vroom"]
PEERS: tuple[Peer, ...] = ("pyvrp", "ortools", "vroom")

_GRACE_S = 20.0  # that a peer may overrun before it counts as one that has no answer
_EXPLORATION = 5  # VROOM's most thorough


def plan_of(problem: Problem, routes: Routes | None) -> Solution | None:
    """Return routes as a solution if they are feasible and serve all that has to be served."""
    if routes is None:
        return None
    served = {visit.job for route in routes for visit in route}
    unserved = tuple(job for job in range(len(problem.jobs)) if job not in served)
    cost = verify(problem, Solution(routes, 0.0, unserved)).cost
    solution = Solution(routes, cost, unserved)
    return solution if verify(problem, solution).is_feasible else None


def lacks(peer: Peer, problem: Problem) -> list[str]:
    """Return what of a problem a peer's model has no words for."""
    if peer == "ortools":
        return []
    missing = uncovered(problem)
    if peer == "vroom":
        vehicles = problem.vehicles
        missing += ["longest duration"] if any(one.max_duration_s is not None for one in vehicles) else []
        missing += ["reloads"] if any(one.reload is not None for one in vehicles) else []
        missing += ["committed visits"] if any(one.pinned for one in vehicles) else []
        missing += ["penalties"] if any(job.penalty is not None for job in problem.jobs) else []
    return missing


def ask_peer(peer: Peer, problem: Problem, *, seconds: float, cores: int, seed: int) -> Solution | None:
    """Return the best feasible plan of a peer; None if it has none in time."""
    runs = 1 if peer == "vroom" else cores
    context = multiprocessing.get_context("forkserver")
    pipes: list[Connection] = []
    processes = []
    for run in range(runs):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (peer, problem, seconds, cores, seed + 1000 * run, theirs)
        processes.append(context.Process(target=_answer, args=arguments, daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    found = _heard(pipes, time.monotonic() + seconds * 1.5 + _GRACE_S)
    for process in processes:
        process.kill()
        process.join()
    plans = [plan for routes in found if (plan := plan_of(problem, routes)) is not None]
    return min(plans, key=lambda plan: plan.cost, default=None)


def _heard(pipes: Sequence[Connection], until: float) -> list[Routes | None]:
    left, found = list(pipes), []
    while left and (timeout := until - time.monotonic()) > 0:
        for pipe in wait(left, timeout):
            assert isinstance(pipe, Connection)  # noqa: S101 - as they were given
            left.remove(pipe)
            try:
                found.append(pipe.recv())
            except EOFError:
                found.append(None)
    return found


def _answer(peer: Peer, problem: Problem, seconds: float, cores: int, seed: int, pipe: Connection) -> None:
    solvers: dict[Peer, Callable[[Problem, float, int, int], Routes | None]] = {
        "pyvrp": _pyvrp,
        "ortools": _ortools,
        "vroom": _vroom,
    }
    pipe.send(solvers[peer](problem, seconds, cores, seed))


def _pyvrp(problem: Problem, seconds: float, cores: int, seed: int) -> Routes | None:
    begun = time.monotonic()
    model = PyvrpModel(problem)
    stop = pyvrp.stop.MaxRuntime(seconds - (time.monotonic() - begun))
    parameters = pyvrp.SolveParams(penalty=penalties_of(model))  # its own, but for the unit of costs
    result = pyvrp.solve(model.data, stop, seed=seed, collect_stats=False, display=False, params=parameters)
    return model.decode(result.best) if result.is_feasible() else None


def _ortools(problem: Problem, seconds: float, cores: int, seed: int) -> Routes | None:
    from engine.routing.solvers import or_tools

    found = or_tools.improve(problem, seconds, seed=seed // 1000, may_ruin=False)
    return None if found is None else found.routes


def _vroom(problem: Problem, seconds: float, cores: int, seed: int) -> Routes | None:
    import vroom  # the extra "peers"

    asked = vroom.Input()
    places = np.arange(problem.travel[0].size)
    for profile, travel in enumerate(problem.travel):
        asked.set_durations_matrix(str(profile), travel.seconds(places, places))
        asked.set_distances_matrix(str(profile), travel.metres(places, places))
    skills = {skill: number for number, skill in enumerate({s for job in problem.jobs for s in job.skills})}
    for number, vehicle in enumerate(problem.vehicles):
        costs = vroom.VehicleCosts(
            round(vehicle.fixed), per_hour=round(vehicle.per_second * 3600), per_km=round(vehicle.per_metre * 1000)
        )
        limits = {} if vehicle.max_distance_m is None else {"max_distance": vehicle.max_distance_m}
        limits |= {} if vehicle.max_stops is None else {"max_tasks": vehicle.max_stops}
        made = vroom.Vehicle(
            number,
            start=vehicle.start,
            end=vehicle.end,
            profile=str(vehicle.profile),
            capacity=list(vehicle.capacity),
            skills={skills[skill] for skill in vehicle.skills if skill in skills},
            time_window=vroom.TimeWindow(*vehicle.shift),
            costs=costs,
            **limits,
        )
        asked.add_vehicle(made)
    for number in range(len(problem.jobs)):
        asked.add_job(_vroom_job(vroom, problem, number, skills))
    timeout = datetime.timedelta(seconds=seconds)
    frame = asked.solve(exploration_level=_EXPLORATION, nb_threads=cores, timeout=timeout).routes
    routes: list[list[Visit]] = [[] for _ in problem.vehicles]
    for vehicle, kind, job in zip(frame["vehicle_id"], frame["type"], frame["id"], strict=True):
        if kind in ("job", "pickup", "delivery"):
            is_pickup = kind == "pickup" or (kind == "job" and problem.jobs[job].delivery is None)
            routes[vehicle].append(Visit(int(job), is_pickup))
    return tuple(tuple(route) for route in routes)


def _vroom_job(vroom: Any, problem: Problem, number: int, skills: dict[str, int]) -> Any:
    job, amount = problem.jobs[number], vroom.Amount(list(problem.jobs[number].load))
    needed = {skills[skill] for skill in job.skills}
    steps = [
        (stop.place, [vroom.TimeWindow(*window) for window in stop.windows] or [vroom.TimeWindow()], stop.service_s)
        for stop in (job.pickup, job.delivery)
        if stop is not None
    ]
    if len(steps) == 2:
        made = [
            vroom.ShipmentStep(number, place, default_service=service, time_windows=windows)
            for place, windows, service in steps
        ]
        return vroom.Shipment(*made, amount=amount, skills=needed)
    [(place, windows, service)] = steps
    side = {"pickup": amount} if job.pickup is not None else {"delivery": amount}
    return vroom.Job(number, place, default_service=service, skills=needed, time_windows=windows, **side)
