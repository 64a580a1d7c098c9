"""Cutting a large plan into parts of neighbouring routes that can be improved by themselves, and putting it together.

Routes are neighbours when their jobs are, in space and in time. A part is grown from a route drawn by chance, so that
borders lie elsewhere in every round. Pairs and depots stay whole, since routes do.

Notes
-----
Route-based decomposition was the best of the ways compared by Santini, Schneider, Vidal and Vigo 2023: Decomposition
strategies for vehicle routing heuristics. INFORMS Journal on Computing 35(3). They cluster barycentres; counting
neighbours says the same of short routes, and more of long ones that cross. Time belongs into the distance (Kerscher and
Minner 2024, arXiv 2402.00041).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from engine.routing.embedding import embed
from engine.routing.kinds import kinds
from engine.routing.problem import RELOAD, Part, Problem, Visit
from engine.routing.search import Routes

__all__ = ["Chart", "halved", "neighbouring_parts"]

_TIME_WEIGHT = 0.5  # of a second, beside the metres that a vehicle drives in it
_TIME_SPREAD = 0.2  # most that times may be spread, of the spread of places
_TURN = math.pi / 3  # most that a cut is turned off the set's axis
_NEAREST = 12
_LARGEST = 500  # stops of a part that is large for the sake of its routes: of more, a search takes too few steps
_SPARE_SHARE = 0.15  # vehicles of each kind that a part may use beyond those it has, of its routes
_SPARE = 2


class Chart:
    """Where and when the jobs of a problem are, and which vehicles are alike: what stays while it is solved."""

    def __init__(self, problem: Problem) -> None:
        stops = [[stop for stop in (job.pickup, job.delivery) if stop is not None] for job in problem.jobs]
        places = np.unique([stop.place for each in stops for stop in each]).astype(np.int64)
        travel = problem.travel[problem.vehicles[0].profile]
        points = embed(travel, places)
        row_of = {place: row for row, place in enumerate(places.tolist())}
        where = np.array([points[[row_of[stop.place] for stop in each]].mean(axis=0) for each in stops])
        when = np.array([np.mean([_middle(stop.windows) for stop in each]) for each in stops])
        known = np.isfinite(when)
        when[~known] = when[known].mean() if known.any() else 0.0
        weight = _time_weight(where, when, _pace(problem, places))
        self.jobs: NDArray[np.float64] = np.column_stack([where, when * weight])
        """J × 4, in metres; the last column stands for time."""
        self.stops: NDArray[np.int64] = np.array([len(each) for each in stops], np.int64)
        """How many stops each job has."""
        self.kinds = kinds(problem)
        """Kind of every vehicle."""
        _, nearest = KDTree(self.jobs).query(self.jobs, min(_NEAREST + 1, len(self.jobs)))
        self.nearest: NDArray[np.intp] = nearest.reshape(len(self.jobs), -1)[:, 1:]
        """The jobs that lie closest to each, J × 12 or fewer."""


def neighbouring_parts(
    problem: Problem, chart: Chart, routes: Routes, size: int, rng: np.random.Generator, *, least_routes: int = 1
) -> list[Part]:
    """Return parts of about `size` stops that have no route in common and hold every job that is served or can be.

    Parameters
    ----------
    routes
        The plan to cut.
    size
        Stops of a part; a single route that is longer is a part.
    rng
        Decides where the borders lie this time.
    least_routes
        Fewest routes of a part, which is larger than `size` where routes are long, but not much larger than 500 stops.
    """
    used = [number for number, route in enumerate(routes) if any(visit.job != RELOAD for visit in route)]
    if not used:
        return []
    usual = sum(len(routes[number]) for number in used) / len(used)
    size = max(size, round(min(least_routes * usual, max(_LARGEST, 2 * usual))))
    vehicles = [[used[place] for place in group] for group in _grown(chart, [routes[n] for n in used], size, rng)]
    jobs = [
        sorted({visit.job for number in members for visit in routes[number] if visit.job != RELOAD})
        for members in vehicles
    ]
    _share_spare(chart, routes, vehicles, rng)
    _share_unserved(problem, chart, routes, vehicles, jobs)
    return [problem.part(sorted(held), members) for held, members in zip(jobs, vehicles, strict=True)]


def _grown(chart: Chart, routes: Sequence[Sequence[Visit]], size: int, rng: np.random.Generator) -> list[list[int]]:
    """Return groups of routes that meet often, each grown from one route; what would be a small rest joins the last."""
    affinity = _affinity(chart, routes)
    weights = np.array([len(route) for route in routes])
    parts = max(1, round(int(weights.sum()) / size))
    size = math.ceil(int(weights.sum()) / parts)
    free = np.ones(len(routes), bool)
    groups: list[list[int]] = []
    border = rng.random(len(routes))  # how much each route has to do with what is taken; at first nothing but chance
    while free.any():
        seed = int(np.argmax(np.where(free, border, -1.0)))
        group, pull, weight = [], np.zeros(len(routes)), 0
        following = seed
        while True:
            group.append(following)
            free[following] = False
            weight += int(weights[following])
            pull += affinity[following]
            if weight >= size or not free.any():
                break
            following = int(np.argmax(np.where(free, pull / np.sqrt(weights), -1.0)))
        border = border + pull
        groups.append(group)
    if len(groups) > 1 and weights[groups[-1]].sum() < size / 2:
        groups[-2] += groups.pop()
    return groups


def _affinity(chart: Chart, routes: Sequence[Sequence[Visit]]) -> NDArray[np.float64]:
    """Return how often the jobs of two routes are among each other's nearest, R × R."""
    jobs = [sorted({visit.job for visit in route if visit.job != RELOAD}) for route in routes]
    owner = np.full(len(chart.jobs), -1)
    for number, members in enumerate(jobs):
        owner[members] = number
    near = owner[chart.nearest]
    here = np.broadcast_to(owner[:, None], near.shape)
    both = (here >= 0) & (near >= 0) & (here != near)
    meetings = np.zeros((len(routes), len(routes)))
    np.add.at(meetings, (here[both], near[both]), 1.0)
    together: NDArray[np.float64] = meetings + meetings.T
    return together


def halved(
    members: NDArray[np.intp],
    centres: NDArray[np.float64],
    weights: NDArray[np.int64],
    parts: int,
    rng: np.random.Generator,
) -> list[NDArray[np.intp]]:
    """Return `parts` groups of neighbours with about the same weight each; fewer if there are fewer members."""
    if parts <= 1 or len(members) <= 1:
        return [members]
    along = _cut(centres[members], rng)
    members = members[np.argsort(along, kind="stable")]
    first = parts // 2
    reached = np.cumsum(weights[members])
    at = int(np.searchsorted(reached, reached[-1] * first / parts, side="left")) + 1
    at = min(max(1, at), len(members) - 1)
    return [
        *halved(members[:at], centres, weights, first, rng),
        *halved(members[at:], centres, weights, parts - first, rng),
    ]


def _cut(centres: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far along each point lies on the longest axis, turned by chance."""
    centred = centres - centres.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    turn = rng.uniform(-_TURN, _TURN)
    other = axes[min(1, len(axes) - 1)]
    along: NDArray[np.float64] = centred @ (math.cos(turn) * axes[0] + math.sin(turn) * other)
    return along


def _share_spare(chart: Chart, routes: Routes, vehicles: list[list[int]], rng: np.random.Generator) -> None:
    """Give every part some vehicles of each kind that are not in use."""
    spare: dict[int, list[int]] = {}
    for number, kind in enumerate(chart.kinds):
        if not any(visit.job != RELOAD for visit in routes[number]):
            spare.setdefault(kind, []).append(number)
    order = rng.permutation(len(vehicles)).tolist()
    for members in spare.values():
        left = list(reversed(members))
        shares = [_SPARE + math.ceil(_SPARE_SHARE * len(group)) for group in vehicles]
        for place, part in enumerate(order):
            share = min(shares[part], math.ceil(len(left) / (len(order) - place)))
            vehicles[part] += [left.pop() for _ in range(share)]


def _share_unserved(
    problem: Problem, chart: Chart, routes: Routes, vehicles: list[list[int]], jobs: list[list[int]]
) -> None:
    """Let a part near it, that has a vehicle for it, try a job that no route serves."""
    served = {visit.job for route in routes for visit in route}
    middles = np.array([chart.jobs[held].mean(axis=0) for held in jobs])
    for job in range(len(problem.jobs)):
        if job in served:
            continue
        nearest = np.argsort(((middles - chart.jobs[job]) ** 2).sum(axis=1), kind="stable").tolist()
        part = next((p for p in nearest if any(problem.may_serve(number, job) for number in vehicles[p])), None)
        if part is not None:
            jobs[part].append(job)


def _middle(windows: Sequence[tuple[int, int]]) -> float:
    """Return the middle of the time in which a stop can be made; not a number where it can be made at any."""
    return (windows[0][0] + windows[-1][1]) / 2 if windows else math.nan


def _time_weight(where: NDArray[np.float64], when: NDArray[np.float64], pace: float) -> float:
    """Return how many metres a second counts for: less where a day is long, so that places still tell jobs apart."""
    spread, wide = float(when.std()), float(np.sqrt(where.var(axis=0).sum()))
    return min(_TIME_WEIGHT * pace, _TIME_SPREAD * wide / spread) if spread > 0 else 0.0


def _pace(problem: Problem, places: NDArray[np.int64]) -> float:
    """Return metres a second, over a sample of legs."""
    travel = problem.travel[problem.vehicles[0].profile]
    seconds, metres = travel.legs(places, np.roll(places, len(places) // 2))
    return float(metres.sum() / max(1, seconds.sum()))
