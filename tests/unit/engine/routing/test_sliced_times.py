"""Travel times that change over the day."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.routing.problem import Break, Job, Problem, Solution, Stop, Vehicle, Visit
from engine.routing.sliced_times import Pace, sliced_timetable
from engine.routing.solvers.or_tools import improve
from engine.routing.timetable import Call, timetable
from engine.routing.travel import DenseTravel, SlicedTravel
from engine.routing.verifier import check_route, verify

paces = st.lists(st.integers(0, 50), min_size=3, max_size=3).map(lambda seconds: Pace((0, 40, 90), tuple(seconds)))
windows = st.tuples(st.integers(0, 60), st.integers(60, 200)).map(lambda window: (window,))
calls = st.builds(Call, st.integers(0, 20), st.just(()) | windows, st.integers(0, 9))


@given(paces, st.integers(-20, 150), st.integers(0, 60))
def test_who_leaves_later_never_arrives_earlier(pace, leave, later):
    assert pace.arrive(leave) <= pace.arrive(leave + later)
    assert min(pace.seconds) <= pace.arrive(leave) - leave <= max(pace.seconds)
    latest = pace.leave(pace.arrive(leave))
    assert latest >= leave
    assert pace.arrive(latest) <= pace.arrive(leave) < pace.arrive(latest + 1)


@given(st.lists(calls, max_size=5), st.integers(0, 20))
def test_one_slice_is_a_day_like_any_other(route, home_s):
    shift = (0, 400)
    legs = [Pace((0,), (one,)) for one in [*(call.travel_s for call in route), home_s]]
    sliced, plain = sliced_timetable(route, legs, shift), timetable(route, home_s, shift)
    assert sliced.late == plain.late
    assert sliced.end_s == plain.end_s
    if not plain.late:
        assert sliced.duration_s == plain.duration_s


@given(st.lists(st.tuples(calls, paces), min_size=1, max_size=5), paces)
def test_a_day_goes_forward_and_keeps_its_windows(route, home):
    stops, legs = [one for one, _ in route], [one for _, one in route]
    found = sliced_timetable(stops, [*legs, home], (0, 10_000))
    late = {position for position, _ in found.late}
    moment = found.start_s
    for position, (stop, leg) in enumerate(zip(stops, legs, strict=True)):
        assert found.arrivals[position] == leg.arrive(moment)
        begin = found.begins[position]
        assert begin >= found.arrivals[position]
        if position not in late:
            assert not stop.windows or stop.windows[0][0] <= begin <= stop.windows[0][1]
        moment = begin + stop.service_s
    assert found.end_s == home.arrive(moment)


def test_one_leaves_after_the_rush_if_the_day_is_shorter_then():
    rush = Pace((0, 100), (90, 10))
    found = sliced_timetable([Call(0, (), 5)], [rush, rush], (0, 1000))
    assert (found.start_s, found.end_s) == (100, 125)


def test_a_break_is_taken_where_it_fits_and_missed_where_it_does_not():
    leg = Pace((0,), (50,))
    stop = Call(0, ((0, 200),), 40)
    fits = sliced_timetable([stop], [leg, leg], (0, 1000), [Break(((100, 130),), 20)])
    assert fits.missing_breaks == 0
    assert [one.number for one in fits.pauses] in ([0], [])
    strict = Call(0, ((50, 50),), 100)
    assert sliced_timetable([strict], [leg, leg], (0, 1000), [Break(((60, 140),), 20)]).missing_breaks == 1


def test_the_verifier_goes_by_the_slices_and_what_solvers_plan_holds_in_all_of_them():
    rng = np.random.default_rng(3)
    quick = rng.integers(20, 90, (9, 9))
    metres = rng.integers(100, 900, (9, 9))
    travel = SlicedTravel((0, 300, 600), tuple(DenseTravel(quick * factor, metres) for factor in (1, 3, 1)))
    jobs = [Job(str(n), None, Stop(n, ((0, 900),), 10)) for n in range(1, 9)]
    vans = [Vehicle(str(n), start=0, end=0, shift=(0, 2000), per_second=1.0, per_metre=0.0) for n in range(4)]
    problem = Problem(jobs, vans, [travel])
    found = improve(problem, 0.4)
    assert found is not None
    assert verify(problem, found).is_feasible
    [longest, alone] = [
        check_route(Problem(jobs, vans, [one]), 0, (Visit(0), Visit(1))).duration_s
        for one in (DenseTravel(quick * 3, metres), travel)
    ]
    assert alone < longest
    assert problem.part([0, 1], [0]).problem.travel[0].legs_by_slice(np.array([0]), np.array([1])).shape == (3, 1)
    assert not verify(problem, Solution(found.routes, found.cost - 5, ())).is_feasible
