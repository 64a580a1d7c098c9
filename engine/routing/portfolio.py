"""How a problem is solved: searches on the whole or on parts of it, as `engine.routing.phases` says, on every core.

PyVRP and our own ruin and recreate search what they cover of a problem or its parts, as `engine.routing.members` says;
OR-Tools searches the rest. Whatever comes back is checked by the verifier before it becomes the plan to be beaten.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.routing.clusters import clusters, has_long_routes, is_hard_to_cut
from engine.routing.decomposition import Chart, neighbouring_parts
from engine.routing.incumbent import Incumbent
from engine.routing.members import members_for
from engine.routing.phases import WHOLE, Phase, part_seconds, phases, sizes, warmth
from engine.routing.problem import RELOAD, Part, Problem, Solution
from engine.routing.recombination import RoutePool, recombine
from engine.routing.relaxation import relaxed
from engine.routing.search import ENGINES, Budget, Column, Engine, Found, Routes, Runner, Search
from engine.routing.verifier import check_route

__all__ = ["Effort", "Portfolio"]

_FIRST_SHARE = 0.3  # of what is left, for a first plan in parts where there was none of the whole
_WHOLE_SHARE = 0.5  # of what is left, for a search of the whole where no cut can be made
_ROUND_SHARE = 0.05  # of the effort, where steps are counted
_SAMPLE_EVERY = 20
_MOST_OVERRUN = 4.0  # of a round, for cutting, sending and checking, that the next allows for
_WARM_START = 0.5  # how far annealing has come where there is a plan to begin from
_LEAST_S = 0.2  # a search that is shorter is all set-up
_COLUMNS = 1500
_RECOMBINE_S = 5.0
_JOIN_SHARE = 0.03  # of the effort that either model of a join may take at most, where parts are searched as well
_JOIN_EVERY = 0.2  # share of the effort between two joins of what rounds have seen
_JOIN_JOBS = 1200  # above that, and with long routes, the linear relaxation takes longer than it is worth


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work to do: seconds of the clock, or else steps of each core, which make the answer repeatable."""

    seconds: float | None = None
    iterations: int = 0
    seed: int = 1


class _Meter:
    """How much of an effort is used up, as a share of it."""

    def __init__(self, effort: Effort) -> None:
        self._effort, self._begun, self._noted = effort, time.monotonic(), 0.0

    @property
    def counts_steps(self) -> bool:
        """Return whether steps are counted, not seconds."""
        return self._effort.seconds is None

    @property
    def used(self) -> float:
        """Return the share that is used up, from 0 to 1."""
        if self._effort.seconds is None:
            return self._noted
        return (time.monotonic() - self._begun) / self._effort.seconds

    @property
    def least(self) -> float:
        """Return the share below which a search is not worth its set-up."""
        return _ROUND_SHARE / 10 if self._effort.seconds is None else _LEAST_S / self._effort.seconds

    def round(self, engine: Engine) -> float:
        """Return the share of one part in one round."""
        seconds = self._effort.seconds
        return _ROUND_SHARE if seconds is None else part_seconds(engine, seconds) / seconds

    def budget(self, share: float, seed: int, sample_every: int | None, warmth: tuple[float, float]) -> Budget:
        """Return what a search may use."""
        if self._effort.seconds is None:
            return Budget(None, max(1, round(share * self._effort.iterations)), seed, sample_every, warmth)
        return Budget(share * self._effort.seconds, None, seed, sample_every, warmth)

    def note(self, share: float) -> None:
        """Take a share off, where steps are counted."""
        self._noted += share

    def limit_s(self, share: float, most_s: float) -> float:
        """Return the seconds that something outside the searches may take, which is to have such a share."""
        seconds = self._effort.seconds
        return most_s if seconds is None else max(0.1, min(most_s, min(share, 1 - self.used) * seconds))


class Portfolio:
    """Solves one problem.

    Parameters
    ----------
    problem
        What to solve.
    runner
        Where searches run.
    effort
        How long.
    engines
        Solvers that may be used. OR-Tools takes what none of these covers, whether it is among them or not.
    report
        Told of each better plan, from the thread that solves; what it raises ends the search.
    """

    def __init__(
        self,
        problem: Problem,
        runner: Runner,
        effort: Effort,
        *,
        engines: Sequence[Engine] = ENGINES,
        report: Callable[[Solution], None] | None = None,
    ) -> None:
        self._problem, self._runner, self._engines, self._report = problem, runner, engines, report
        self._meter, self._seed = _Meter(effort), effort.seed * 10_000
        self._rng = np.random.default_rng(effort.seed)
        self._incumbent, self._pool = Incumbent(problem), RoutePool(problem)
        self._spare = Incumbent(problem)
        self._chart: Chart | None = None
        self._stops = sum((job.pickup is not None) + (job.delivery is not None) for job in problem.jobs)
        self._is_large = self._stops > WHOLE
        self._members = members_for(problem, engines, is_large=self._is_large)
        self._turn, self._warmth, self._cooled = 0, warmth(()), (0.0, 1.0)
        self._engine = self._engine_of(problem, 0)
        easier = relaxed(problem) if self._engine == "or-tools" else None
        self._relaxed_engine = None if easier is None else self._engine_of(easier, 0)
        self._may_relax = self._relaxed_engine not in (None, "or-tools")
        self._was_too_hard, self._rounds = False, 0
        self._joined_at, self._overrun = 0.0, 1.0
        self._joins = len(problem.jobs) <= _JOIN_JOBS and not (self._is_large and has_long_routes(problem))
        self.used: set[Engine] = set()
        """Solvers that have run."""

    def solve(self, start: Routes | None = None) -> Solution | None:
        """Return the best plan found, complete where one was; None if there was no time for any.

        Parameters
        ----------
        start
            A plan to begin from; not used if it is not feasible.
        """
        if start is not None:
            self._offer(start)
        started = self._incumbent.routes is not None
        hard = self._is_large and not started and is_hard_to_cut(self._problem)
        plan = phases(self._stops, self._members, started=started, cores=self._runner.cores, is_hard_to_cut=hard)
        self._warmth = warmth(plan)
        self._cooled = (_WARM_START if started else 0.0, max(phase.until for phase in plan if phase.turn == 0))
        for phase in plan:
            self._turn = phase.turn
            self._engine = self._engine_of(self._problem, phase.turn)
            self._do(phase)
            if phase.cools or (phase.kind == "whole" and self._spare.value < self._incumbent.value):
                self._incumbent, self._spare = self._spare, self._incumbent
        return min(self._incumbent, self._spare, key=lambda one: one.value).solution

    def _do(self, phase: Phase) -> None:
        while (share := phase.until - self._meter.used) > self._meter.least:
            if phase.kind == "whole":
                self._search_whole(share, phase.afresh)
                self._join()
                return
            if phase.kind == "clusters" or self._incumbent.routes is None:
                self._search_clusters(share if phase.kind == "clusters" else share * _FIRST_SHARE, cools=phase.cools)
                if phase.kind == "clusters" or self._incumbent.routes is None:
                    return
            if not self._search_parts(phase.until - self._meter.used):
                return
            if self._meter.used - self._joined_at > _JOIN_EVERY:
                self._join()

    def _relax(self, turn: int) -> bool:
        """Return whether it is the turn of an easier problem, which others than OR-Tools cover."""
        return self._may_relax and turn % 2 == 1

    def _engine_of(self, problem: Problem, turn: int) -> Engine:
        found = members_for(problem, self._engines, is_large=self._is_large)
        members = tuple(one for one in found if one in self._members) or found
        return members[turn % len(members)]

    def _search(
        self,
        problem: Problem,
        share: float,
        start: Routes | None,
        *,
        optional: bool,
        until: float,
        relax: bool = False,
        turn: int = 0,
        cools: bool = False,
    ) -> Search:
        """Return a search, of an easier problem if that is wanted and OR-Tools would have to do it else."""
        self._seed += 1
        engine = self._engine_of(problem, self._turn + turn)
        if relax and engine == "or-tools" and (easier := relaxed(problem)) is not None:
            problem, engine = easier, self._engine_of(easier, self._turn + turn)
        self.used.add(engine)
        between = warmth(()) if cools else (self._warmth_at(self._meter.used), self._warmth_at(until))
        budget = self._meter.budget(share, self._seed, _SAMPLE_EVERY if self._joins else None, between)
        return Search(problem, engine, budget, start, optional)

    def _warmth_at(self, used: float) -> float:
        """Return the temperature of annealing when so much of the effort is used up."""
        (hot, cold), (first, over) = self._warmth, self._cooled
        return float(hot * (cold / hot) ** min(1.0, first + (1 - first) * used / over))

    def _offer(self, routes: Routes) -> None:
        if self._incumbent.offer(routes):
            self._tell()

    def _tell(self) -> None:
        is_best = self._incumbent.value < self._spare.value
        if self._report is not None and is_best and (solution := self._incumbent.solution) is not None:
            self._report(solution)

    def _search_whole(self, share: float, afresh: int) -> None:
        """Let every core search the whole problem, some of them from nothing."""
        best = self._incumbent.routes
        lacks = self._was_too_hard if best is None else not self._incumbent.is_complete
        cores = self._runner.cores
        leads = self._is_large and afresh > 0
        searches = [
            self._search(
                self._problem,
                share,
                None if core < afresh else best,
                optional=lacks and (core > 0 or cores == 1),  # the first core goes on trying to serve all
                until=self._meter.used + share,
                relax=self._relax(core),
                turn=0 if leads else core,
            )
            for core in range(cores)
        ]
        for _, found in self._outcomes(searches, lambda _, routes: self._offer(routes)):
            if found.routes is not None:
                self._offer(found.routes)
            self._pool.add(found.columns if self._engine != "or-tools" else ())
        self._was_too_hard = self._incumbent.routes is None
        self._meter.note(share)

    def _search_clusters(self, share: float, *, cools: bool) -> None:
        """Make a first plan of parts that are solved by themselves."""
        relax = self._may_relax and not self._was_too_hard
        limits, chart = sizes(self._engine_in(relax=relax)), self._known_chart()
        size = min(limits.cluster, math.ceil(chart.stops.sum() / self._runner.cores))
        parts = clusters(self._problem, chart, size, self._rng, least_routes=math.ceil(limits.routes / 2))
        waves, until = math.ceil(len(parts) / self._runner.cores), self._meter.used + share
        searches = [
            self._search(part.problem, share / waves, None, optional=True, until=until, relax=relax, cools=cools)
            for part in parts
        ]
        routes = [tuple(vehicle.pinned) for vehicle in self._problem.vehicles]
        known: set[int] = set()

        def take(number: int, better: Routes) -> None:
            known.add(number)
            for vehicle, route in parts[number].routes_there(better).items():
                if not check_route(self._problem, vehicle, route).violations:
                    routes[vehicle] = route

        def hear(number: int, better: Routes) -> None:
            take(number, better)
            if len(known) == len(parts):  # else it would lack whole parts
                self._offer(tuple(routes))

        for number, found in self._outcomes(searches, hear):
            if found.routes is not None:
                take(number, found.routes)
        self._meter.note(share)
        if known:  # else nobody has found anything: that is no plan that leaves all jobs out
            self._offer(tuple(routes))
        self._was_too_hard = self._incumbent.routes is None

    def _search_parts(self, share: float) -> bool:
        """Improve every part of the plan once; return False if there is nothing to cut."""
        routes = self._incumbent.routes
        assert routes is not None  # noqa: S101 - the caller looked
        relax = self._relax(self._rounds)
        self._rounds += 1
        engine = self._engine_in(relax=relax)
        limits, chart = sizes(engine), self._known_chart()
        size = min(limits.part, math.ceil(chart.stops.sum() / self._runner.cores))
        parts = neighbouring_parts(self._problem, chart, routes, size, self._rng, least_routes=limits.routes)
        if not parts:
            return False
        if len(parts) == 1:  # few long routes: no cut leaves enough of them in every part
            self._search_whole(max(share * _WHOLE_SHARE, min(share, self._meter.round(engine))), 0)
            self._join()
            return True
        parts = [parts[turn % len(parts)] for turn in range(max(len(parts), self._runner.cores))]
        waves = math.ceil(len(parts) / self._runner.cores)
        begun, each = self._meter.used, min(share / waves / self._overrun, self._meter.round(engine))
        searches = [
            self._search(
                part.problem,
                each,
                part.routes_here(routes),
                optional=self._lacks_one(part),
                until=begun + each * waves,
                relax=relax,
            )
            for part in parts
        ]
        outcomes: dict[int, Found] = {}
        for number, found in self._outcomes(searches, lambda *_: None):
            outcomes[number] = found
            if found.routes is not None and self._incumbent.offer_part(parts[number].routes_there(found.routes)):
                self._tell()
        for number in sorted(outcomes):  # in the same order whichever ended first
            if self._engine != "or-tools":  # of an easier problem they would be columns with other costs
                self._pool.add(_columns_there(parts[number], outcomes[number].columns))
        self._meter.note(each * waves)
        self._overrun = min(_MOST_OVERRUN, max(1.0, (self._meter.used - begun) / (each * waves)))
        return True

    def _outcomes(self, searches: Sequence[Search], hear: Callable[[int, Routes], None]) -> Iterator[tuple[int, Found]]:
        """Yield what searches find, as they end; where steps are counted in their own order, whichever ends first."""
        if not self._meter.counts_steps:
            yield from self._runner.run(searches, hear)
            return
        yield from sorted(self._runner.run(searches, lambda *_: None), key=lambda outcome: outcome[0])

    def _engine_in(self, *, relax: bool) -> Engine:
        """Return by whose measures the problem is cut."""
        return self._relaxed_engine if relax and self._relaxed_engine is not None else self._engine

    def _lacks_one(self, part: Part) -> bool:
        return any(self._problem.jobs[job].penalty is None for job in self._incumbent.unserved.intersection(part.jobs))

    def _known_chart(self) -> Chart:
        if self._chart is None:
            self._chart = Chart(self._problem)
        return self._chart

    def _join(self) -> None:
        """Look for a better choice among the routes seen."""
        self._joined_at = self._meter.used
        routes = self._incumbent.routes
        if routes is None or not len(self._pool):
            return
        incumbent = [
            Column(number, route, self._incumbent.route_cost(number)) for number, route in enumerate(routes) if route
        ]
        share = _JOIN_SHARE if self._is_large else 1.0
        joined = recombine(
            self._problem, self._pool, incumbent, columns=_COLUMNS, seconds=self._meter.limit_s(share, _RECOMBINE_S)
        )
        if joined is not None:
            self._offer(joined)


def _columns_there(part: Part, columns: Sequence[Column]) -> list[Column]:
    """Return a part's routes in the numbers of the whole."""
    return [
        Column(
            part.vehicles[vehicle],
            tuple(visit if visit.job == RELOAD else visit._replace(job=part.jobs[visit.job]) for visit in visits),
            cost,
        )
        for vehicle, visits, cost in columns
    ]
