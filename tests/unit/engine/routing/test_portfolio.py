"""The portfolio: what it plans, that the same work gives the same plan, and that nothing broken gets through."""

import dataclasses

import numpy as np
import pytest

from engine.routing.clusters import clusters, is_hard_to_cut
from engine.routing.decomposition import Chart, neighbouring_parts
from engine.routing.incumbent import Incumbent
from engine.routing.inline import InlineRunner
from engine.routing.phases import phases, warmth
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Break, Job, Problem, SameVehicle, Stop, Vehicle, Visit
from engine.routing.recombination import RoutePool, recombine
from engine.routing.relaxation import relaxed
from engine.routing.search import Budget, Column, Found, Search
from engine.routing.solvers.pyvrp import improve
from engine.routing.solvers.pyvrp_model import uncovered
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import check_route, verify
from tests.routing_problems import a_mixed_problem, a_plain_problem, plan_of

LINE = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0], [300.0, 0.0]]))
SMALL = 60
"""Steps that take a moment."""


class Liar:
    """A runner whose searches take what they are told for the best there is."""

    cores = 1

    def __init__(self, routes):
        self.routes = routes

    def run(self, searches, report):
        yield from ((number, Found(self.routes)) for number, _ in enumerate(searches))


@pytest.mark.parametrize("jobs", [40, 350])
def test_the_same_seed_and_work_give_the_same_plan(jobs):
    problem = a_plain_problem(2, jobs, jobs // 6)
    first, second = (Portfolio(problem, InlineRunner(), Effort(iterations=SMALL, seed=4)).solve() for _ in range(2))
    assert first is not None
    assert first == second
    assert verify(problem, first).is_feasible


@pytest.mark.parametrize("jobs", [40, 350])
def test_the_same_seed_and_work_give_the_same_plan_whichever_search_ends_first(jobs):
    class Disorderly:
        """A runner whose searches end in one order or in the other."""

        cores = 3

        def __init__(self, order):
            self.order = order

        def run(self, searches, report):
            outcomes = list(InlineRunner().run(searches, report))
            yield from outcomes[:: self.order]

    problem = a_plain_problem(2, jobs, jobs // 6)
    first, second = (
        Portfolio(problem, Disorderly(order), Effort(iterations=SMALL, seed=4)).solve() for order in (1, -1)
    )
    assert first is not None
    assert first == second


def test_every_better_plan_that_it_tells_of_is_sound():
    problem = a_plain_problem(3, 350, 60)
    told = []
    best = Portfolio(problem, InlineRunner(), Effort(iterations=SMALL), report=told.append).solve()
    assert told[-1] == best
    assert all(verify(problem, solution).is_feasible for solution in told)
    costs = [solution.cost for solution in told]
    assert costs == sorted(costs, reverse=True)


def test_a_first_plan_of_parts_is_told_of_before_they_are_done():
    """A large plan can be looked at, and kept if it is ended, long before its first parts are as good as they get."""
    problem = a_plain_problem(3, 350, 60)
    told = []

    class Teller:
        """A runner whose searches tell of a plan and go on for ever."""

        cores = 2

        def run(self, searches, report):
            for number, search in enumerate(searches):
                report(number, improve(search.problem, Budget(iterations=5)).routes)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Portfolio(problem, Teller(), Effort(60.0), report=told.append).solve()
    assert [verify(problem, solution).is_feasible for solution in told] == [True]


def test_where_no_search_finds_anything_there_is_no_plan():
    """Rather than one that leaves all jobs out: the problem may be easy, and the machine busy."""
    told = []
    problem = a_plain_problem(4, 350, 60)
    assert Portfolio(problem, Liar(None), Effort(iterations=SMALL), report=told.append).solve() is None
    assert told == []


def test_it_begins_from_the_plan_that_it_is_given():
    problem = a_plain_problem(4, 350, 60)
    start = improve(problem, Budget(iterations=5)).routes
    told = []
    Portfolio(problem, InlineRunner(), Effort(iterations=SMALL), report=told.append).solve(start)
    assert told[0].routes == start
    assert told[-1].cost < told[0].cost


def test_what_vans_under_way_are_committed_to_is_kept_by_every_phase():
    problem = a_mixed_problem(11)
    best = Portfolio(problem, InlineRunner(), Effort(iterations=SMALL)).solve()
    assert best is not None
    broken = {violation.kind for violation in verify(problem, best).violations}
    assert broken <= {"unserved"}


def test_a_plan_that_breaks_a_rule_is_never_taken():
    problem = a_plain_problem(5, 10, 2, capacity=5)
    too_much = (tuple(Visit(job) for job in range(10)), ())
    assert Portfolio(problem, Liar(too_much), Effort(seconds=0.5)).solve() is None


def test_what_can_not_all_be_served_is_served_as_far_as_it_can():
    problem = a_plain_problem(6, 30, 2, capacity=10)
    best = Portfolio(problem, InlineRunner(), Effort(iterations=SMALL)).solve()
    assert best is not None
    assert len(best.unserved) == 10
    assert {violation.kind for violation in verify(problem, best).violations} == {"unserved"}


def test_or_tools_takes_what_the_other_solver_has_no_words_for():
    jobs = [Job(str(place), None, Stop(place), (1,)) for place in (1, 2, 3)]
    vans = [Vehicle(str(number), start=0, end=0, breaks=(Break(((100, 500),), 60),)) for number in range(2)]
    portfolio = Portfolio(Problem(jobs, vans, [LINE]), InlineRunner(), Effort(iterations=20))
    best = portfolio.solve()
    assert best is not None
    assert best.unserved == ()
    assert portfolio.used == {"or-tools"}


@pytest.mark.parametrize(("stops", "expected"), [(20, 240), (100, 500), (400, 800)])
def test_a_part_has_many_routes_unless_they_are_long_and_two_at_least(stops, expected):
    problem = a_plain_problem(5, 2400, 2400 // stops, stops)
    routes = tuple(tuple(Visit(job) for job in range(first, first + stops)) for first in range(0, 2400, stops))
    parts = neighbouring_parts(problem, Chart(problem), routes, 10, np.random.default_rng(1), least_routes=12)
    assert max(len(part.jobs) for part in parts) == expected
    assert sum(len(part.jobs) for part in parts) == 2400


def test_parts_hold_every_route_once_and_what_is_unserved():
    problem = a_plain_problem(7, 400, 80)
    routes = improve(problem, Budget(iterations=5)).routes
    assert routes is not None
    left_out = routes[0]
    routes = ((), *routes[1:])
    parts = neighbouring_parts(problem, Chart(problem), routes, 100, np.random.default_rng(1))
    assert len(parts) == 4
    held = [job for part in parts for job in part.jobs]
    assert sorted(held) == list(range(400))
    vehicles = [vehicle for part in parts for vehicle in part.vehicles]
    assert len(vehicles) == len(set(vehicles))
    assert {visit.job for visit in left_out} <= set(held)
    for part in parts:
        assert verify(part.problem, plan_of(part.problem, part.routes_here(routes))).routes


def test_parts_lie_closer_together_than_the_whole():
    problem = a_plain_problem(8, 400, 80)
    chart = Chart(problem)
    routes = improve(problem, Budget(iterations=5)).routes
    assert routes is not None
    parts = neighbouring_parts(problem, chart, routes, 100, np.random.default_rng(1))
    spread = np.mean([chart.jobs[list(part.jobs)].std(axis=0)[:2].mean() for part in parts])
    assert spread < 0.8 * chart.jobs.std(axis=0)[:2].mean()


def test_borders_move_from_round_to_round():
    problem = a_plain_problem(9, 300, 60)
    routes = improve(problem, Budget(iterations=5)).routes
    assert routes is not None
    rng, chart = np.random.default_rng(1), Chart(problem)
    first, second = (neighbouring_parts(problem, chart, routes, 100, rng) for _ in range(2))
    assert {part.vehicles for part in first} != {part.vehicles for part in second}


def test_clusters_hold_every_job_and_vehicle_once_and_goods_with_their_van():
    problem = a_mixed_problem(12, jobs=60, vehicles=20)
    parts = clusters(problem, Chart(problem), 12, np.random.default_rng(1))
    assert len(parts) > 1
    assert sorted(job for part in parts for job in part.jobs) == list(range(len(problem.jobs)))
    assert sorted(vehicle for part in parts for vehicle in part.vehicles) == list(range(20))


def test_every_cluster_gets_vans_though_they_have_no_room_for_what_nobody_sends():
    problem = a_plain_problem(1, 40, 10)
    jobs = [dataclasses.replace(job, load=(1, 0)) for job in problem.jobs]
    vans = [dataclasses.replace(van, capacity=(8, 0)) for van in problem.vehicles]
    problem = dataclasses.replace(problem, jobs=jobs, vehicles=vans)
    parts = clusters(problem, Chart(problem), 20, np.random.default_rng(1))
    assert [len(part.vehicles) for part in parts] == [5, 5]
    assert sorted(job for part in parts for job in part.jobs) == list(range(40))


def test_a_large_first_plan_is_made_in_clusters():
    assert [phase.kind for phase in phases(5000, ["pyvrp"], started=False, cores=2)] == ["clusters", "rounds"]
    assert [phase.kind for phase in phases(5000, ["pyvrp"], started=True, cores=2)] == ["rounds"]
    assert {phase.kind for phase in phases(200, ["pyvrp"], started=False, cores=2)} == {"whole"}
    assert [phase.kind for phase in phases(200, ["or-tools"], started=False, cores=2)] == ["clusters", "rounds"]


def test_a_plan_that_is_hard_to_cut_is_made_of_the_whole():
    """Stops that nearly any of a few vans could serve; with narrow windows, or on short routes, parts are as good."""

    def hard(open_s: int, room: int, depots: int = 1) -> bool:
        day = 36_000
        jobs = [Job(str(n), None, Stop(1, windows=((60 * n, 60 * n + open_s),)), load=(1,)) for n in range(100)]
        vans = [Vehicle(str(n), start=n % depots, end=0, capacity=(room,), shift=(0, day)) for n in range(30)]
        return is_hard_to_cut(Problem(jobs, vans, [LINE]))

    assert hard(open_s=30_000, room=50)
    assert not hard(open_s=3600, room=50)
    assert not hard(open_s=30_000, room=10)
    assert hard(open_s=3600, room=10, depots=2)  # a cut would say from which each stop is served
    members = ["ruin-recreate", "pyvrp"]
    plan = phases(1000, members, started=False, cores=2, is_hard_to_cut=True)
    assert [(phase.kind, phase.turn) for phase in plan[1:]] == [("whole", 0), ("rounds", 1)]  # which polishes
    assert phases(1000, members, started=True, cores=2, is_hard_to_cut=True) == phases(
        1000, members, started=True, cores=2
    )
    assert phases(5000, members, started=False, cores=2, is_hard_to_cut=True)[0].kind == "clusters"


def searches_of(problem):
    """Return what a portfolio asks two cores for that find nothing."""
    asked = []

    class Listener(Liar):
        """A runner that notes what it is asked for."""

        cores = 2

        def run(self, searches, report):
            asked.extend(searches)
            return super().run(searches, report)

    Portfolio(problem, Listener(None), Effort(iterations=1)).solve()
    return asked


@pytest.mark.parametrize(("jobs", "vans", "is_whole"), [(350, 40, True), (700, 80, False), (700, 14, True)])
def test_both_cores_anneal_the_whole_where_its_plan_is_not_made_in_parts(jobs, vans, is_whole):
    asked = searches_of(a_plain_problem(3, jobs, vans))
    first, second = [search for search in asked if search.budget.warmth != warmth(())][:2]  # those are for a plan soon
    assert (first.engine, second.engine) == ("ruin-recreate", "ruin-recreate")
    assert [len(search.problem.jobs) == jobs for search in (first, second)] == [is_whole, is_whole]
    assert (first.budget.warmth[0] > 1) == is_whole


@pytest.mark.parametrize(("vans", "joins"), [(40, True), (8, False)])
def test_routes_are_kept_for_joining_where_they_are_short(vans, joins):
    assert {search.budget.sample_every is not None for search in searches_of(a_plain_problem(3, 350, vans))} == {joins}


def test_joins_of_a_large_plan_are_given_little_of_the_effort(monkeypatch):
    given = []
    monkeypatch.setattr("engine.routing.portfolio.recombine", lambda *_, seconds, **__: given.append(seconds))
    Portfolio(a_plain_problem(3, 350, 40), InlineRunner(), Effort(4.0)).solve()
    assert given
    assert max(given) <= 0.2


def test_a_plan_that_annealing_has_time_for_is_made_of_the_whole_and_from_hotter():
    members = ["ruin-recreate", "pyvrp"]
    some, many = (phases(stops, members, started=False, cores=2) for stops in (500, 1000))
    assert [phase.kind for phase in some] == ["clusters", "whole", "rounds", "rounds"]
    assert [phase.kind for phase in many] == ["clusters", "clusters", "rounds", "rounds"]
    large = phases(1000, members, started=False, cores=2, is_hard_to_cut=True)
    assert warmth(some)[0] > warmth(large)[0] > warmth(many)[0] > warmth(many)[1] == warmth(some)[1]


def test_who_leads_begins_and_another_polishes():
    plan = phases(1000, ["ruin-recreate", "pyvrp"], started=False, cores=2)
    assert [(phase.kind, phase.turn) for phase in plan[1:]] == [("clusters", 0), ("rounds", 0), ("rounds", 1)]
    assert [phase.turn for phase in phases(1000, ["ruin-recreate"], started=False, cores=2)] == [0, 0, 0]


@pytest.mark.parametrize("stops", [500, 1000])
def test_where_annealing_shows_no_plan_for_long_one_is_cooled_down_soon(stops):
    plan = phases(stops, ["ruin-recreate"], started=False, cores=2)
    assert [phase.cools for phase in plan] == [True] + [False] * (len(plan) - 1)
    assert plan[0].until < 0.1
    assert not any(phase.cools for phase in phases(stops, ["ruin-recreate"], started=True, cores=2))
    assert not any(phase.cools for phase in phases(stops, ["pyvrp"], started=False, cores=2))  # it shows one at once
    assert not any(phase.cools for phase in phases(10 * stops, ["ruin-recreate"], started=False, cores=2))


class TheFirst(InlineRunner):
    """A runner that finds nothing but at first."""

    cores = 2
    asked: tuple[Search, ...] = ()

    def run(self, searches, report):
        is_first, self.asked = not self.asked, (*self.asked, *searches)
        return super().run(searches, report) if is_first else iter(())


@pytest.mark.parametrize(("jobs", "goes_on"), [(350, True), (700, False)])
def test_a_plan_made_soon_is_the_answer_unless_a_better_one_comes_and_the_next_begins_afresh(jobs, goes_on):
    """Where the whole was annealed in vain, rounds go on from it; where parts are, nothing does."""
    runner, told = TheFirst(), []
    problem = a_plain_problem(3, jobs, 110)
    plan = Portfolio(problem, runner, Effort(iterations=500), report=told.append).solve()
    assert plan.unserved == ()
    assert told[-1] == plan
    assert runner.asked[0].budget.warmth[1] == runner.asked[1].budget.warmth[1] == 0.01
    assert [search.start for search in runner.asked[2:4]] == [None, None]
    assert any(search.start is not None for search in runner.asked) == goes_on


@pytest.mark.parametrize("jobs", [350, 700])
def test_each_plan_that_is_told_is_better_than_the_one_before(jobs):
    told = []
    plan = Portfolio(a_plain_problem(3, jobs, 100), InlineRunner(), Effort(iterations=1500), report=told.append).solve()
    costs = [one.cost for one in told]
    assert len(costs) > 2
    assert costs == sorted(set(costs), reverse=True)
    assert told[-1] == plan


def test_two_plans_are_joined_to_a_better_one():
    """Each plan drives one side well and the other badly; the routes of neither alone are the best."""
    jobs = [Job(str(place), None, Stop(place)) for place in (1, 2, 3, 4)]
    travel = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0], [-100.0, 0.0], [-200.0, 0.0]]))
    vans = [Vehicle(str(number), start=0, end=0, max_stops=2) for number in range(4)]
    problem = Problem(jobs, vans, [travel])
    plans = [[(0, 1), (2,), (3,)], [(0,), (1,), (2, 3)]]
    columns = [
        [
            Column(n, tuple(map(Visit, r)), check_route(problem, n, tuple(map(Visit, r))).cost)
            for n, r in enumerate(plan)
        ]
        for plan in plans
    ]
    pool = RoutePool(problem)
    pool.add(columns[1])
    joined = recombine(problem, pool, columns[0], columns=10, seconds=5)
    assert joined is not None
    assert sorted(route for route in joined if route) == [(Visit(0), Visit(1)), (Visit(2), Visit(3))]
    assert recombine(problem, RoutePool(problem), columns[0], columns=10, seconds=5) is None


def test_the_incumbent_counts_relations_balance_and_penalties():
    jobs = [Job("a", None, Stop(1)), Job("b", None, Stop(2)), Job("c", None, Stop(3), penalty=50.0)]
    vans = [Vehicle(str(number), start=0, end=0) for number in range(2)]
    problem = Problem(jobs, vans, [LINE], [SameVehicle((0, 1))], balance=0.5)
    incumbent = Incumbent(problem)
    assert not incumbent.offer(((Visit(0),), (Visit(1),)))
    assert incumbent.offer(((Visit(0), Visit(1), Visit(2)), ()))
    assert incumbent.cost == 600 + 0.5 * 600
    assert incumbent.offer_part({0: (Visit(0), Visit(1))})
    assert incumbent.solution is not None
    assert verify(problem, incumbent.solution).is_feasible
    assert (incumbent.cost, incumbent.value) == (600, 650)
    assert not incumbent.offer_part({1: (Visit(0),)})
    assert dataclasses.replace(incumbent.solution, routes=incumbent.routes) == incumbent.solution


def test_fuel_by_load_is_searched_by_both_solvers_and_paid_as_it_is():
    problem = a_plain_problem(13, 120, 24)
    heavy = [dataclasses.replace(vehicle, per_metre_load=0.2) for vehicle in problem.vehicles]
    problem = dataclasses.replace(problem, vehicles=heavy)
    portfolio = Portfolio(problem, InlineRunner(), Effort(iterations=SMALL))
    best = portfolio.solve()
    assert best is not None
    assert verify(problem, best).is_feasible
    assert portfolio.used == {"pyvrp", "or-tools"}


def test_an_easier_problem_leaves_time_for_breaks_and_nothing_else_out():
    rest = Break(((0, 5000),), 600)
    van = Vehicle("van", start=0, end=0, shift=(0, 4000), max_duration_s=3000, breaks=(rest,), per_metre_load=0.5)
    problem = Problem([Job("a", None, Stop(1), (4,)), Job("b", None, Stop(2), (4,))], [van], [LINE], balance=1.0)
    easier = relaxed(problem)
    assert easier is not None
    assert uncovered(easier) == []
    assert (easier.vehicles[0].shift, easier.vehicles[0].max_duration_s) == ((0, 3400), 2400)
    assert easier.vehicles[0].per_metre == 1 + 0.5 * 4
    assert relaxed(dataclasses.replace(problem, relations=(SameVehicle((0, 1)),))) is None


def test_a_window_that_has_closed_leaves_its_job_out_and_no_other():
    problem = a_plain_problem(4, 2)
    first = problem.jobs[0]
    closed = dataclasses.replace(
        first, delivery=dataclasses.replace(first.delivery, windows=((-100, -50),)), penalty=1e6
    )
    problem = dataclasses.replace(problem, jobs=[closed, *problem.jobs[1:]])
    found = Portfolio(problem, InlineRunner(), Effort(0.5)).solve()
    assert found.unserved == (0,)
