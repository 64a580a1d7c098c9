"""A routing problem in PyVRP's terms, and plans there and back.

Covered: windows, capacities in several dimensions, pickups, deliveries and pairs, a mixed fleet with its own starts,
ends, prices and limits, reloads, jobs that may be left out at a price. Three features are translated. Jobs that only
some vehicles may serve (skills, goods on board) take a unit of a load dimension of which the other vehicles have none.
A job with several windows is a group of clients that exclude each other. Committed first visits are part of the
vehicle's start: its depot opens and serves as the whole prefix does, which is exact, for a sequence of stops counts
like one stop (the concatenation of Vidal, Crainic, Gendreau and Prins 2014). Goods on board that may stay there are a
choice of two clients, where they are brought or where the vehicle is, from which they ride on to the route's end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pyvrp import (
    Activity,
    ActivityType,
    Client,
    ClientGroup,
    Depot,
    Location,
    ProblemData,
    Route,
    Shipment,
    Solution,
    VehicleType,
)

from engine.routing.kinds import restrictions
from engine.routing.problem import RELOAD, Job, Problem, Stop, Vehicle, Visit
from engine.routing.search import Column, Routes, another_vehicle, dearest
from engine.routing.solvers.prefix import Prefix, prefix_of
from engine.routing.solvers.pyvrp_loads import OPEN, Loads
from engine.routing.verifier import check_route

__all__ = ["PyvrpModel", "uncovered"]

_MAX_RESTRICTIONS = 24  # load dimensions that say who may serve what; each slows every move
_SCALES = (1, 10, 100, 1000, 10_000, 100_000)
_WEIGHT = 50_000  # what PyVRP lets a unit of load, or of time, that is too much cost at first
_RESOLUTION = 1000  # whole units in the smallest price, where no scale makes all prices whole


def uncovered(problem: Problem) -> list[str]:
    """Return the features of a problem that PyVRP's model lacks, in words for a log; none if it covers all."""
    vehicles = problem.vehicles
    pairs = [(job.pickup, job.delivery) for job in problem.jobs if job.pickup and job.delivery]
    reloads = any(vehicle.reload is not None for vehicle in vehicles)
    lacks = {
        "breaks": any(vehicle.breaks for vehicle in vehicles),
        "relations": bool(problem.relations),
        "windows that closed before the beginning": any(
            closes < 0
            for job in problem.jobs
            for stop in (job.pickup, job.delivery)
            if stop
            for _, closes in stop.windows
        ),
        "balance": problem.balance != 0,
        "fuel by load": any(vehicle.per_metre_load for vehicle in vehicles),
        "several windows of a pair": any(len(stop.windows) > 1 for pair in pairs for stop in pair),
        "most stops beside pairs or reloads": (bool(pairs) or reloads)
        and any(vehicle.max_stops is not None for vehicle in vehicles),
        "committed reloads": any(visit.job == RELOAD for vehicle in vehicles for visit in vehicle.pinned),
        "reloads with goods on board": reloads and any(job.on_board is not None for job in problem.jobs),
        "goods on board of a vehicle that is nowhere": any(
            job.on_board is not None and vehicles[job.on_board].start is None and not vehicles[job.on_board].pinned
            for job in problem.jobs
        ),
        "many kinds of restriction": len(set(restrictions(problem)) - {None}) > _MAX_RESTRICTIONS,
    }
    return [feature for feature, is_met in lacks.items() if is_met]


class PyvrpModel:
    """A problem as PyVRP sees it, and the way back.

    Parameters
    ----------
    problem
        One that `uncovered` has nothing to say about.
    optional
        Whether jobs without a penalty may be left out, at a price that no way makes up for.
    """

    def __init__(self, problem: Problem, *, optional: bool = False) -> None:
        self._problem = problem
        self._prefixes = [prefix_of(problem, number) for number in range(len(problem.vehicles))]
        self._scale = _scale(problem)
        self.price = self._scale * max(max(vehicle.per_metre, vehicle.per_second) for vehicle in problem.vehicles)
        """What a metre or a second costs, in PyVRP's whole units."""
        most, weight = self._scale * dearest(problem), _WEIGHT * max(1.0, self.price)
        self._most = most if optional else None
        too_much = self._scale * another_vehicle(problem) / weight
        self._loads = Loads(problem, self._prefixes, goods_weight=too_much, rule_weight=most / weight)
        self._places = _places(problem, self._prefixes)
        self._location_of = {place: number for number, place in enumerate(self._places)}
        self._clients_of: dict[Visit, list[int]] = {}
        self._visit_of_client: list[Visit | None] = []
        self._job_of_shipment: list[int] = []
        self._shipment_of: dict[int, int] = {}
        self._clients: list[Client] = []
        self._groups: list[ClientGroup] = []
        self._shipments: list[Shipment] = []
        self._depots: dict[tuple[int, int, int, int], int] = {}
        self._keepers: dict[int, int] = {}
        self._stay_of: dict[int, int] = {}
        self._add_jobs()
        self._add_keepers()
        self._types, self._members = self._vehicle_types()
        self.data = self._data()

    def encode(self, routes: Routes) -> Solution:
        """Return a plan as PyVRP's solution; of a job with several windows, the client whose window is met first."""
        made: list[Route] = []
        for kind, members in enumerate(self._members):
            for vehicle in members:
                activities = self._activities(vehicle, routes[vehicle])
                if activities:
                    made.append(Route(self.data, activities, kind))
        return Solution(self.data, made)

    def decode(self, solution: Solution) -> Routes:
        """Return PyVRP's solution as a plan."""
        routes = [tuple(vehicle.pinned) for vehicle in self._problem.vehicles]
        free = [list(reversed(members)) for members in self._members]
        for route in solution.routes():
            vehicle = free[route.vehicle_type()].pop()
            routes[vehicle] += self._visits(route)
        return tuple(routes)

    def column(self, route: Route) -> Column | None:
        """Return a route with the first vehicle of its kind, at no less than it costs.

        None if it is part of a plan that forgets goods on board: they take room that it does not count.
        """
        vehicle = self._members[route.vehicle_type()][0]
        clients = {activity.idx for activity in route if activity.type == ActivityType.CLIENT}
        if any(clients.isdisjoint(either) for either in self._to_decide(vehicle)):
            return None
        prefix = self._prefixes[vehicle]
        ways = 0.0 if prefix is None else prefix.metres * self._problem.vehicles[vehicle].per_metre
        cost = (route.distance_cost() + route.duration_cost() + route.fixed_vehicle_cost()) / self._scale
        return Column(vehicle, (*self._problem.vehicles[vehicle].pinned, *self._visits(route)), cost + ways)

    # clients and shipments

    def _add_jobs(self) -> None:
        done = {visit for vehicle in self._problem.vehicles for visit in vehicle.pinned}
        for number, job in enumerate(self._problem.jobs):
            pickup = None if Visit(number, True) in done else job.pickup
            delivery = None if Visit(number, False) in done else job.delivery
            if pickup is not None and delivery is not None:
                self._add_pair(number, job, pickup, delivery)
            elif pickup is not None:
                self._add_single(Visit(number, True), job, pickup)
            elif delivery is not None:
                self._add_single(Visit(number, False), job, delivery)

    def _prize(self, job: Job) -> tuple[int, bool]:
        if job.penalty is None:
            return (0, True) if self._most is None else (round(self._most), False)
        return round(job.penalty * self._scale), False

    def _add_pair(self, number: int, job: Job, pickup: Stop, delivery: Stop) -> None:
        prize, required = self._prize(job)
        (opens, closes), (later_opens, later_closes) = _windows(pickup)[0], _windows(delivery)[0]
        if later_closes < opens:  # PyVRP refuses what can't be served at all; here it stays unserved
            return
        self._shipment_of[number] = len(self._shipments)
        self._job_of_shipment.append(number)
        made = Shipment(
            self._location_of[pickup.place],
            self._location_of[delivery.place],
            opens,
            closes,
            pickup.service_s,
            later_opens,
            later_closes,
            delivery.service_s,
            amount=self._loads.of_pair(number),
            prize=prize,
            required=required,
        )
        self._shipments.append(made)

    def _add_single(self, visit: Visit, job: Job, stop: Stop) -> None:
        prize, required = self._prize(job)
        if not visit.pickup and job.pickup is not None:  # fetched already, and so to be brought whatever it costs
            prize, required = 0, True
        windows, stays = _windows(stop), self._add_choice_to_stay(visit.job)
        group = len(self._groups) if len(windows) > 1 or stays is not None else None
        brought, fetched = self._loads.of_single(visit)
        members = list(range(len(self._clients), len(self._clients) + len(windows)))
        for opens, closes in windows:
            client = Client(
                self._location_of[stop.place],
                brought,
                fetched,
                stop.service_s,
                opens,
                closes,
                prize=prize,
                required=required and group is None,
                group=group,
            )
            self._clients.append(client)
            self._visit_of_client.append(visit)
        if group is not None:
            either = members if stays is None else [stays, *members]
            self._groups.append(ClientGroup(either, required or stays is not None))
        self._clients_of[visit] = members

    def _add_choice_to_stay(self, job: int) -> int | None:
        """Let goods on board stay there, if they may: they take room to the route's end, and no way is driven for them.

        Returns the client for that, which belongs to a group of those that exclude each other.
        """
        vehicle = self._problem.jobs[job].on_board
        if vehicle is None or self._prize(self._problem.jobs[job])[1]:
            return None
        prefix = self._prefixes[vehicle]
        place = self._problem.vehicles[vehicle].start if prefix is None else prefix.place
        assert place is not None  # noqa: S101 - `uncovered` has said so
        self._stay_of[job] = len(self._clients)
        brought, fetched = self._loads.of_staying(job)
        client = Client(self._location_of[place], brought, fetched, required=False, group=len(self._groups))
        self._clients.append(client)
        self._visit_of_client.append(None)
        return self._stay_of[job]

    def _add_keepers(self) -> None:
        """Give each vehicle that is under way a client without size where its prefix ends.

        PyVRP counts nothing for a vehicle without clients, but this one has to go home from there.
        """
        for number, (vehicle, prefix) in enumerate(zip(self._problem.vehicles, self._prefixes, strict=True)):
            if prefix is not None and vehicle.end is not None:
                self._keepers[number] = len(self._clients)
                client = Client(self._location_of[prefix.place], self._loads.of_keeper(number), self._loads.nothing)
                self._clients.append(client)
                self._visit_of_client.append(None)

    # vehicles

    def _vehicle_types(self) -> tuple[list[VehicleType], list[list[int]]]:
        alike: dict[object, list[int]] = {}
        for number, vehicle in enumerate(self._problem.vehicles):
            own = number if self._prefixes[number] is not None else None
            key = (self._loads.capacity(number), vehicle.profile, vehicle.start, vehicle.end, vehicle.shift, own)
            limits = (vehicle.max_distance_m, vehicle.max_duration_s, vehicle.reload, vehicle.max_reloads)
            prices = (vehicle.fixed, vehicle.per_metre, vehicle.per_second)
            alike.setdefault((key, limits, prices), []).append(number)
        members = list(alike.values())
        self._profiles = sorted({vehicle.profile for vehicle in self._problem.vehicles})
        return [self._vehicle_type(group) for group in members], members

    def _vehicle_type(self, members: Sequence[int]) -> VehicleType:
        number = members[0]
        vehicle, prefix = self._problem.vehicles[number], self._prefixes[number]
        reloads = [] if vehicle.reload is None else [self._depot(vehicle.reload, 0, OPEN, 0)]
        driven = 0 if prefix is None else prefix.metres
        made = VehicleType(
            len(members),
            list(self._loads.capacity(number)),
            self._start(vehicle, prefix),
            self._depot(vehicle.end, 0, OPEN, 0),
            fixed_cost=round(vehicle.fixed * self._scale),
            tw_early=vehicle.shift[0],
            tw_late=vehicle.shift[1],
            unit_distance_cost=round(vehicle.per_metre * self._scale),
            unit_duration_cost=round(vehicle.per_second * self._scale),
            profile=self._profiles.index(vehicle.profile),
            initial_load=self._loads.kept(number),
            reload_depots=reloads,
            max_reloads=vehicle.max_reloads,
        )
        if vehicle.max_distance_m is not None:
            made = made.replace(max_distance=max(0, vehicle.max_distance_m - driven))
        if vehicle.max_duration_s is not None:
            made = made.replace(shift_duration=vehicle.max_duration_s)
        return made

    def _start(self, vehicle: Vehicle, prefix: Prefix | None) -> int:
        if prefix is None:
            return self._depot(vehicle.start, 0, OPEN, 0)
        return self._depot(prefix.place, prefix.opens_s, prefix.closes_s, prefix.lasts_s)

    def _depot(self, place: int | None, opens: int, closes: int, lasts: int) -> int:
        location = len(self._places) if place is None else self._location_of[place]
        return self._depots.setdefault((location, opens, closes, lasts), len(self._depots))

    # matrices and plans

    def _data(self) -> ProblemData:
        index = np.array(self._places, np.int64)
        metres, seconds = [], []
        for profile in self._profiles:
            travel = self._problem.travel[profile]
            metres.append(_with_nowhere(travel.metres(index, index)))
            seconds.append(_with_nowhere(travel.seconds(index, index)))
        depots = [Depot(place, opens, closes, lasts) for place, opens, closes, lasts in self._depots]
        locations = [Location(0, 0)] * (len(self._places) + 1)
        return ProblemData(
            locations, self._clients, depots, self._types, metres, seconds, self._groups, self._shipments
        )

    def _visits(self, route: Route) -> tuple[Visit, ...]:
        visits: list[Visit] = []
        for activity in list(route)[1:-1]:
            match activity.type:
                case ActivityType.CLIENT:
                    visit = self._visit_of_client[activity.idx]
                    if visit is not None:
                        visits.append(visit)
                case ActivityType.DEPOT:
                    visits.append(Visit(RELOAD))
                case _:
                    visits.append(Visit(self._job_of_shipment[activity.idx], activity.is_pickup()))
        return tuple(visits)

    def _activities(self, vehicle: int, route: Sequence[Visit]) -> list[Activity]:
        pinned = len(self._problem.vehicles[vehicle].pinned)
        begins = self._begins(vehicle, route) if self._groups else ()
        made = [Activity(ActivityType.CLIENT, client) for client in self._without_place(vehicle, route)]
        for position, visit in enumerate(route[pinned:], pinned):
            if visit.job == RELOAD:
                made.append(Activity(ActivityType.DEPOT, self._reload_depot(vehicle)))
            elif visit.job in self._shipment_of:
                kind = ActivityType.PICKUP if visit.pickup else ActivityType.DELIVERY
                made.append(Activity(kind, self._shipment_of[visit.job]))
            else:
                members = self._clients_of[visit]
                chosen = 0 if len(members) == 1 else self._window_met(members, begins[position])
                made.append(Activity(ActivityType.CLIENT, members[chosen]))
        return made

    def _to_decide(self, vehicle: int) -> Iterator[Sequence[int]]:
        """Yield, for all that is on board of a vehicle, the clients of which its route has one."""
        for job in self._problem.aboard(vehicle):
            if Visit(job, False) in self._clients_of:
                yield (*self._clients_of[Visit(job, False)], self._stay_of.get(job, -1))
        for job, is_pickup in self._problem.vehicles[vehicle].pinned:
            if is_pickup and Visit(job, False) in self._clients_of:
                yield self._clients_of[Visit(job, False)]

    def _without_place(self, vehicle: int, route: Sequence[Visit]) -> list[int]:
        """Return the clients of a route that stand for no visit: its keeper, and the goods that stay on board."""
        served = {visit.job for visit in route}
        keepers = [self._keepers[vehicle]] if vehicle in self._keepers else []
        aboard = self._problem.aboard(vehicle)
        return keepers + [self._stay_of[job] for job in aboard if job in self._stay_of and job not in served]

    def _begins(self, vehicle: int, route: Sequence[Visit]) -> Sequence[int]:
        times = check_route(self._problem, vehicle, route).times
        return () if times is None else times.begins

    def _window_met(self, members: Sequence[int], begins: int) -> int:
        met = (place for place, client in enumerate(members) if begins <= self._clients[client].tw_late)
        return next(met, len(members) - 1)

    def _reload_depot(self, vehicle: int) -> int:
        reload = self._problem.vehicles[vehicle].reload
        assert reload is not None  # noqa: S101 - a plan that fills up where there is no place for it is refused before
        return self._depot(reload, 0, OPEN, 0)


def _windows(stop: Stop) -> Sequence[tuple[int, int]]:
    return [(max(0, opens), closes) for opens, closes in stop.windows] or ((0, OPEN),)


def _places(problem: Problem, prefixes: Sequence[Prefix | None]) -> list[int]:
    stops = [stop.place for job in problem.jobs for stop in (job.pickup, job.delivery) if stop is not None]
    ends = [place for van in problem.vehicles for place in (van.start, van.end, van.reload) if place is not None]
    return sorted({*stops, *ends, *(prefix.place for prefix in prefixes if prefix is not None)})


def _with_nowhere(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a matrix with one more place, to which and from which there is no way to go: open starts and ends."""
    larger = np.zeros((len(matrix) + 1, len(matrix) + 1), np.int64)
    larger[:-1, :-1] = matrix
    np.fill_diagonal(larger, 0)
    return larger


def _prices(problem: Problem) -> list[float]:
    of_vehicles = {(van.fixed, van.per_metre, van.per_second) for van in problem.vehicles}
    penalties = {job.penalty for job in problem.jobs if job.penalty is not None}
    return [price for price in {*(one for prices in of_vehicles for one in prices), *penalties} if price > 0]


def _scale(problem: Problem) -> float:
    """Return the factor that makes all prices whole numbers, or the smallest of them large enough to be rounded."""
    prices = _prices(problem)
    for scale in _SCALES:
        if all(abs(price * scale - round(price * scale)) < 1e-9 * price * scale for price in prices):
            return float(scale)
    units = [price for van in problem.vehicles for price in (van.per_metre, van.per_second) if price > 0]
    return _RESOLUTION / min(units, default=1.0)
