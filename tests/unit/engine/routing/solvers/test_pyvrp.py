"""PyVRP's plans, by the verifier, on problems of every feature that its model is said to cover."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.routing.problem import RELOAD, Break, InOrder, Job, Problem, Stop, Vehicle, Visit
from engine.routing.search import Budget
from engine.routing.solvers.pyvrp import improve
from engine.routing.solvers.pyvrp_model import PyvrpModel, uncovered
from engine.routing.travel import PlaneTravel
from engine.routing.verifier import check_route, verify
from tests.routing_problems import a_mixed_problem, a_plain_problem, plan_of

LINE = PlaneTravel(np.array([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0], [300.0, 0.0]]))


@settings(max_examples=25)
@example(4317)
@given(st.integers(0, 10_000))
def test_whatever_it_plans_keeps_every_rule(seed):
    problem = a_mixed_problem(seed)
    assert uncovered(problem) == []
    found = improve(problem, Budget(iterations=60, seed=seed, sample_every=5), optional=True)
    if found.routes is not None:
        broken = verify(problem, plan_of(problem, found.routes)).violations
        assert {violation.kind for violation in broken} <= {"unserved"}
    for vehicle, visits, cost in found.columns:
        check = check_route(problem, vehicle, visits)
        assert check.violations == ()
        assert check.cost <= cost + 5  # a way by the end of a prefix may be shorter by what is rounded


def test_the_same_seed_and_steps_give_the_same_plan():
    problem = a_mixed_problem(5)
    first, second = (improve(problem, Budget(iterations=80, seed=3), optional=True) for _ in range(2))
    assert first == second


def test_a_search_goes_on_from_the_plan_that_it_is_given():
    problem = a_plain_problem(1)
    start = improve(problem, Budget(iterations=50)).routes
    assert start is not None
    assert improve(problem, Budget(iterations=0), start).routes == start
    told = []
    better = improve(problem, Budget(iterations=400, seed=2), start, told.append).routes
    assert better is not None
    assert plan_of(problem, better).cost < plan_of(problem, start).cost
    assert all(verify(problem, plan_of(problem, routes)).is_feasible for routes in told)


def test_committed_visits_stay_first_and_their_van_goes_home():
    """The van under way is the dearer one; it would be left alone if it did not have to drive back anyway."""
    jobs = [Job("near", None, Stop(1)), Job("due", None, Stop(3, ((500, 600),), 10)), Job("on the way", None, Stop(2))]
    vans = [
        Vehicle("fresh", start=0, end=0, per_metre=0.9),
        Vehicle("under way", start=0, end=0, per_metre=1.0, max_duration_s=620, pinned=(Visit(1),)),
    ]
    found = improve(Problem(jobs, vans, [LINE]), Budget(iterations=200))
    assert found.routes == ((), (Visit(1), Visit(2), Visit(0)))


def test_a_van_that_was_full_at_the_start_may_collect_once_it_has_delivered():
    jobs = [Job("first", None, Stop(1), (5,)), Job("back", Stop(2), None, (5,)), Job("late", None, Stop(3), (1,), 10.0)]
    van = Vehicle("van", start=0, end=0, capacity=(5,), pinned=(Visit(0),))
    found = improve(Problem(jobs, [van], [LINE]), Budget(iterations=200))
    assert found.routes == ((Visit(0), Visit(1, True)),)


def test_goods_on_board_go_nowhere_but_with_their_van():
    jobs = [Job("on board", None, Stop(1), on_board=1), Job("any", None, Stop(1))]
    vans = [Vehicle("near", start=1, end=1), Vehicle("far", start=3, end=3)]
    found = improve(Problem(jobs, vans, [LINE]), Budget(iterations=100))
    assert found.routes is not None
    assert Visit(0) in found.routes[1]


def test_goods_that_stay_on_board_take_room():
    """To bring them costs more than they are worth, but only who has brought them has room for the others."""
    jobs = [Job("on board", None, Stop(3), (3,), 10.0, on_board=0), Job("to fetch", Stop(1), None, (3,), 1000.0)]
    van = Vehicle("van", start=0, end=0, capacity=(5,))
    problem = Problem(jobs, [van], [LINE])
    both = ((Visit(0), Visit(1, True)),)
    assert improve(problem, Budget(iterations=100)).routes == both
    roomy = dataclasses.replace(problem, vehicles=[dataclasses.replace(van, capacity=(6,))])
    found = improve(roomy, Budget(iterations=100), both)
    assert found.routes == ((Visit(1, True),),)
    assert improve(roomy, Budget(iterations=0), found.routes).routes == found.routes


def test_a_stop_with_two_windows_is_served_in_the_later_if_the_earlier_can_not_be_met():
    jobs = [Job("twice open", None, Stop(3, ((0, 200), (1000, 1100)))), Job("early", None, Stop(1, ((50, 150),)))]
    problem = Problem(jobs, [Vehicle("van", start=0, end=0)], [LINE])
    found = improve(problem, Budget(iterations=100))
    assert found.routes == ((Visit(1), Visit(0)),)
    again = improve(problem, Budget(iterations=0), found.routes)
    assert again.routes == found.routes


def test_a_van_fills_up_where_that_serves_more():
    jobs = [Job(str(place), None, Stop(place), (3,)) for place in (1, 2, 3)]
    van = Vehicle("van", start=0, end=0, capacity=(3,), reload=0, max_reloads=2)
    problem = Problem(jobs, [van], [LINE])
    found = improve(problem, Budget(iterations=200))
    assert found.routes is not None
    assert [visit.job for visit in found.routes[0]].count(RELOAD) == 2
    assert improve(problem, Budget(iterations=0), found.routes).routes == found.routes


@pytest.mark.parametrize(
    ("feature", "changes", "van"),
    [
        ("breaks", {}, {"breaks": (Break(((0, 100),), 10),)}),
        ("fuel by load", {}, {"per_metre_load": 0.1}),
        ("relations", {"relations": (InOrder((0, 1)),)}, {}),
        ("balance", {"balance": 1.0}, {}),
    ],
)
def test_what_its_model_lacks_is_named(feature, changes, van):
    jobs = [Job("one", None, Stop(1)), Job("two", None, Stop(2))]
    problem = Problem(jobs, [Vehicle("van", start=0, end=0, **van)], [LINE])
    assert uncovered(problem) == ([feature] if van else [])
    assert uncovered(dataclasses.replace(problem, **changes)) == [feature]


def test_prices_of_every_size_become_whole_numbers():
    jobs = [Job("far", None, Stop(3), penalty=1e-3), Job("two", None, Stop(2))]
    problem = Problem(jobs, [Vehicle("van", start=0, end=0, per_metre=1e-5, per_second=1 / 3600)], [LINE])
    model = PyvrpModel(problem)
    assert model.price == pytest.approx(1000 / 3600 / 1e-5)
    found = improve(problem, Budget(iterations=100))
    assert found.routes is not None
    assert plan_of(problem, found.routes).unserved == (0,)
