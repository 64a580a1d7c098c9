"""Routes under way, planned anew around what has happened: an urgent order, a delay, a breakdown, a stop less.

Pure. Nothing is planned from scratch: what is new goes to its cheapest place, and single stops of the routes that are
touched move where that saves more than it disturbs. The first visits of a route that are fixed stay first, goods on
board stay with their vehicle, and a vehicle that is closed stays as it is. Breaks stay with their driver, and nothing
is taken up for which one would have to be given up.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.routing.driving import Fleet, drive
from engine.routing.insertion import insert_best, relocate
from engine.routing.problem import Break, Job, Problem, Stop, Vehicle, Visit
from engine.routing.travel import DenseTravel

__all__ = ["Replanned", "Stability", "UnderWay", "reoptimise", "warm_up"]

Whole = NDArray[np.int64]
Route = tuple[Visit, ...]

_UNBOUND = 2**40
_NEIGHBOURS = 5
"""Routes that may help out each route that is touched."""


@dataclass(frozen=True, slots=True)
class Stability:
    """What it is worth to leave people alone, in units of the objective; the objective of live plans is seconds."""

    late: float = 20.0
    """Of a second after a time window or a shift's end: 20 seconds of driving."""
    shift: float = 0.02
    """Of a second that somebody is visited earlier or later than expected."""
    move: float = 120.0
    """Of a delivery that changes its vehicle."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Routes as they are now, without what is done."""

    problem: Problem
    """Vehicles begin where and when they are free to drive; goods on board have no pickup any more."""
    routes: tuple[Route, ...]
    """One per vehicle, without reloads."""
    fixed: tuple[int, ...]
    """How many visits of each route stay first."""
    closed: frozenset[int] = frozenset()
    """Vehicles whose routes stay as they are."""
    broken: frozenset[int] = frozenset()
    """Vehicles that go no further: others take over what they don't have on board."""

    @property
    def waiting(self) -> list[int]:
        """Return the jobs that are on no route."""
        taken = {visit.job for route in self.routes for visit in route}
        return [number for number in range(len(self.problem.jobs)) if number not in taken]


@dataclass(frozen=True, slots=True)
class Replanned:
    """Routes planned anew."""

    routes: tuple[Route, ...]
    cost_before: float
    """Of the routes as they were, late seconds included; what waited is not in it."""
    cost: float
    """With what waited taken up; broken promises and disturbances are counted at their worth."""
    unserved: tuple[int, ...]
    """Jobs that no vehicle can take without breaking one of its limits."""
    changed: tuple[int, ...] = field(default=())
    """Vehicles whose order of visits is another one."""


def reoptimise(now: UnderWay, stability: Stability | None = None, *, tries: int = 400) -> Replanned:
    """Return routes that take up what waits, and what broken vehicles can't do.

    Parameters
    ----------
    now
        The routes under way.
    stability
        What it is worth to leave people alone.
    tries
        Stops that may be looked at for a better place, once all are on a route.
    """
    stability = stability or Stability()
    fleet = _columns(now, stability)
    orders = [_nodes(route) for route in now.routes]
    before = _expect(fleet, now, orders)
    waiting = [*now.waiting, *_strand(now, orders)]
    touched, unserved = _take_up(fleet, now, orders, waiting)
    touched |= {number for number, late in enumerate(_is_late(fleet, orders)) if late} - now.closed - now.broken
    among = _neighbourhood(fleet, orders, touched, set(range(len(orders))) - now.closed - now.broken)
    routes = _improved(fleet, now, orders, among, tries)
    after = sum(drive(fleet, number, order)[0] for number, order in enumerate(routes) if number not in now.broken)
    visits = tuple(tuple(Visit(int(node) // 2, node % 2 == 0) for node in order) for order in routes)
    changed = tuple(number for number, route in enumerate(visits) if route != now.routes[number])
    return Replanned(visits, before, after, tuple(unserved), changed)


def warm_up() -> None:
    """Compile what plans anew, or read it from disk, so that nobody in a hurry waits for it."""
    stop = Stop(0)
    jobs = [Job("carried", None, stop), Job("waiting", stop, stop)]
    travel = DenseTravel(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))
    van = Vehicle("van", start=0, breaks=(Break(((0, 0),), 0),))
    reoptimise(UnderWay(Problem(jobs, [van], [travel]), ((Visit(0),),), (0,)))


def _nodes(route: Iterable[Visit]) -> Whole:
    return np.array([2 * visit.job + (not visit.pickup) for visit in route], np.int64)


def _expect(fleet: Fleet, now: UnderWay, orders: Sequence[Whole]) -> float:
    """Note when everybody is expected as things are, and return what the routes cost so."""
    cost = 0.0
    for number, order in enumerate(orders):
        if number in now.broken:
            continue
        added, begins = drive(fleet, number, order)
        fleet.expected_s[order] = begins
        cost += added
    return cost


def _strand(now: UnderWay, orders: list[Whole]) -> list[int]:
    """Take from broken vehicles what others can bring, and return those jobs; goods on board stay."""
    freed: list[int] = []
    for number in sorted(now.broken):
        jobs = [now.problem.jobs[int(node) // 2] for node in orders[number]]
        keeps = np.array([job.on_board == number for job in jobs], np.bool_)
        freed += dict.fromkeys(int(node) // 2 for node in orders[number][~keeps])
        orders[number] = orders[number][keeps]
    return freed


def _take_up(fleet: Fleet, now: UnderWay, orders: list[Whole], waiting: Sequence[int]) -> tuple[set[int], list[int]]:
    """Put what waits on routes, the one first that would lose most by waiting; return the vehicles that took something.

    Notes
    -----
    Regret insertion (Potvin and Rousseau 1993): a job is the more urgent, the more its second-best vehicle costs than
    its best.
    """
    open_to = [number for number in range(len(orders)) if number not in now.closed | now.broken]
    left, touched = list(waiting), set[int]()
    added = np.full((len(waiting), len(orders)), np.inf)
    rows = {job: row for row, job in enumerate(waiting)}
    stale = open_to
    while left:
        for job in left:
            for number in stale:
                added[rows[job], number] = insert_best(fleet, number, orders[number], now.fixed[number], job)[0]
        job = max(left, key=lambda one: _regret(added[rows[one]]))
        left.remove(job)
        target = int(np.argmin(added[rows[job]]))
        if not np.isfinite(added[rows[job], target]):
            left.append(job)
            break  # then nobody can take any of those that are left
        orders[target] = insert_best(fleet, target, orders[target], now.fixed[target], job)[1]
        touched.add(target)
        stale = [target]
    return touched, sorted(left)


def _regret(added: NDArray[np.float64]) -> float:
    if not np.isfinite(added).any():
        return -np.inf
    best, second = np.partition(added, 1)[:2] if added.size > 1 else (added[0], np.inf)
    return float(min(second, 1e12) - best)


def _is_late(fleet: Fleet, orders: Sequence[Whole]) -> list[bool]:
    """Tell which routes miss a time window or their vehicle's shift."""
    calm = fleet._replace(weights=np.array([1.0, 0.0, 0.0]), rates=np.zeros_like(fleet.rates))
    return [drive(calm, number, order)[0] > 0 for number, order in enumerate(orders)]


def _neighbourhood(fleet: Fleet, orders: Sequence[Whole], touched: set[int], willing: set[int]) -> Whole:
    """Return the touched vehicles, and of the others those that come nearest to their stops."""
    found = set(touched)
    for number in touched:
        stops = fleet.place[orders[number]]
        away = {
            other: int(fleet.seconds[fleet.profile[other]][np.ix_(fleet.place[orders[other]], stops)].min())
            for other in willing - {number}
            if orders[other].size and stops.size
        }
        found.update(sorted(away, key=lambda one: away[one])[:_NEIGHBOURS])
    return np.array(sorted(found), np.int64)


def _improved(fleet: Fleet, now: UnderWay, orders: Sequence[Whole], among: Whole, tries: int) -> list[Whole]:
    """Return routes after moving single stops of those in `among`."""
    if not among.size:
        return list(orders)
    room = sum(orders[number].size for number in among)
    routes = np.zeros((len(orders), room), np.int64)
    sizes = np.zeros(len(orders), np.int64)
    for number in among:
        sizes[number] = orders[number].size
        routes[number, : sizes[number]] = orders[number]
    moved, counts, _ = relocate(fleet, routes, sizes, np.array(now.fixed, np.int64), among, tries)
    kept = set(among.tolist())
    return [moved[number, : counts[number]] if number in kept else order for number, order in enumerate(orders)]


def _columns(now: UnderWay, stability: Stability) -> Fleet:
    """Return a problem as columns."""
    problem = now.problem
    place, service_s, opens_s, closes_s, windows = _stop_columns(problem.jobs)
    base = np.full(len(problem.jobs), -1, np.int64)
    for number, route in enumerate(now.routes):
        for visit in route:
            base[visit.job] = -1 if number in now.broken else number
    start, end, limits, rates = _vehicle_columns(problem.vehicles)
    rests, rest_s, rest_opens_s, rest_closes_s = _rest_columns([one.breaks for one in problem.vehicles])
    return Fleet(
        place=place,
        service_s=service_s,
        opens_s=opens_s,
        closes_s=closes_s,
        windows=windows,
        expected_s=np.full(len(place), -1, np.int64),
        load=problem.loads(),
        base=base,
        may=_may_serve(problem),
        start=start,
        end=end,
        leaves_s=np.array([one.shift[0] for one in problem.vehicles], np.int64),
        back_s=np.array([one.shift[1] for one in problem.vehicles], np.int64),
        capacity=problem.capacities(),
        limits=limits,
        rates=rates,
        profile=np.array([one.profile for one in problem.vehicles], np.int64),
        rests=rests,
        rest_s=rest_s,
        rest_opens_s=rest_opens_s,
        rest_closes_s=rest_closes_s,
        seconds=np.stack([_whole(one.seconds, one.size) for one in problem.travel]),
        metres=np.stack([_whole(one.metres, one.size) for one in problem.travel]),
        weights=np.array([stability.late, stability.shift, stability.move]),
    )


def _may_serve(problem: Problem) -> NDArray[np.bool_]:
    """Return which vehicle may take which job, V × J; jobs that ask for the same are looked at once."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, job in enumerate(problem.jobs):
        alike.setdefault((job.skills, job.allowed, job.forbidden, job.on_board), []).append(number)
    may = np.zeros((len(problem.vehicles), len(problem.jobs)), np.bool_)
    for jobs in alike.values():
        for vehicle in range(len(problem.vehicles)):
            may[vehicle, jobs] = problem.may_serve(vehicle, jobs[0])
    return may


def _whole(measure: Callable[[Whole, Whole], Whole], size: int) -> NDArray[np.int32]:
    every = np.arange(size, dtype=np.int64)
    return measure(every, every).astype(np.int32)


def _stop_columns(jobs: Sequence[Job]) -> tuple[Whole, Whole, Whole, Whole, Whole]:
    stops = [stop for job in jobs for stop in (job.pickup, job.delivery)]
    most = max((len(stop.windows) for stop in stops if stop is not None), default=0)
    place = np.array([-1 if stop is None else stop.place for stop in stops], np.int64)
    service_s = np.array([0 if stop is None else stop.service_s for stop in stops], np.int64)
    windows = np.array([0 if stop is None else len(stop.windows) for stop in stops], np.int64)
    opens_s, closes_s = np.zeros((2, len(stops), max(1, most)), np.int64)
    for node, stop in enumerate(stops):
        for window, (opens, closes) in enumerate(stop.windows if stop is not None else ()):
            opens_s[node, window], closes_s[node, window] = opens, closes
    return place, service_s, opens_s, closes_s, windows


def _vehicle_columns(vehicles: Sequence[Vehicle]) -> tuple[Whole, Whole, Whole, NDArray[np.float64]]:
    start = np.array([-1 if one.start is None else one.start for one in vehicles], np.int64)
    end = np.array([-1 if one.end is None else one.end for one in vehicles], np.int64)
    bounds = [(one.max_distance_m, one.max_duration_s, one.max_stops) for one in vehicles]
    limits = np.array([[_UNBOUND if bound is None else bound for bound in row] for row in bounds], np.int64)
    rates = np.array([[one.fixed, one.per_metre, one.per_second, one.per_metre_load] for one in vehicles])
    return start, end, limits, rates


def _rest_columns(breaks: Sequence[Sequence[Break]]) -> tuple[Whole, Whole, Whole, Whole]:
    """Return the breaks of vehicles: how many, how long, and when they may begin."""
    most = max((len(row) for row in breaks), default=0)
    widest = max((len(one.windows) for row in breaks for one in row), default=0)
    lasts_s = np.zeros((len(breaks), max(1, most)), np.int64)
    opens_s, closes_s = np.zeros((2, *lasts_s.shape, max(1, widest)), np.int64)
    for vehicle, row in enumerate(breaks):
        for number, one in enumerate(row):
            lasts_s[vehicle, number] = one.length_s
            padded = [*one.windows, *one.windows[-1:] * (widest - len(one.windows))]
            opens_s[vehicle, number], closes_s[vehicle, number] = np.array(padded).T
    return np.array([len(row) for row in breaks], np.int64), lasts_s, opens_s, closes_s
