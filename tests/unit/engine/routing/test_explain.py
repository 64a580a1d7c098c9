"""Why a job is left out: the reason that a planner can do something about."""

import numpy as np
import pytest

from engine.routing.explain import explain
from engine.routing.problem import Break, Job, Problem, Solution, Stop, Vehicle, Visit
from engine.routing.travel import UNREACHABLE, DenseTravel

MATRIX = np.array([[0, 100, UNREACHABLE], [100, 0, UNREACHABLE], [UNREACHABLE, UNREACHABLE, 0]])
TRAVEL = DenseTravel(MATRIX, MATRIX)


def van(**fields):
    return Vehicle(**{"id": "van", "start": 0, "end": 0, "capacity": (5, 5)} | fields)


def job(**fields):
    windows = fields.pop("windows", ())
    place = fields.pop("place", 1)
    return Job(**{"id": "wanted", "pickup": None, "delivery": Stop(place, windows, 50), "load": (1, 1)} | fields)


REASONS = [
    (job(load=(9, 1)), van(), "overload", "too heavy for every vehicle"),
    (job(load=(1, 9)), van(), "overload", "too large for every vehicle"),
    (job(load=(9, 9)), van(), "overload", "too heavy and too large for every vehicle"),
    (job(windows=((0, 50),)), van(), "late", "time window"),
    (job(), van(shift=(0, 200)), "shift", "shift"),
    (job(skills=frozenset({"cold"})), van(), "skills", "skills"),
    (job(forbidden=frozenset({0})), van(), "not_allowed", "may take it"),
    (job(place=2), van(), "unreachable", "way"),
    (job(), van(max_distance_m=150), "too_far", "farther"),
    (job(), van(max_duration_s=200), "too_long", "longer"),
    (job(), van(max_stops=0), "too_many_stops", "stops"),
    (job(windows=((100, 100),)), van(breaks=(Break(((10, 140),), 30),), shift=(90, 900)), "late", "window"),
    (job(windows=((160, 160),)), van(breaks=(Break(((170, 200),), 30),), shift=(0, 900)), "break", "break"),
    # what rules a vehicle out twice is told once, by what can least be changed
    (job(load=(9, 1), skills=frozenset({"cold"}), windows=((0, 5),)), van(), "skills", "skills"),
]


@pytest.mark.parametrize(("wanted", "vehicle", "code", "words"), REASONS)
def test_what_rules_out_every_vehicle_is_named(wanted, vehicle, code, words):
    problem = Problem([wanted], [vehicle, vehicle], [TRAVEL])
    wanted_everywhere = problem if not wanted.forbidden else Problem([wanted], [vehicle], [TRAVEL])
    routes = tuple(() for _ in wanted_everywhere.vehicles)
    [reason] = explain(wanted_everywhere, Solution(routes, 0.0, (0,))).values()
    assert reason.code == code
    assert words in reason.detail


def test_goods_on_board_wait_for_their_own_vehicle():
    problem = Problem([job(on_board=1)], [van(), van(id="other", shift=(0, 100))], [TRAVEL])
    [reason] = explain(problem, Solution(((), ()), 0.0, (0,))).values()
    assert reason.code == "mixed"
    assert "1 × no vehicle would be back" in reason.detail


def test_vehicles_that_could_take_it_are_full_or_out_of_time():
    jobs = [job(id=str(number), load=(3, 0)) for number in range(2)]
    full = Problem(jobs, [van()], [TRAVEL])
    assert explain(full, Solution(((Visit(0),),), 0.0, (1,)))[1].code == "full"
    roomy = Problem(jobs, [van(capacity=(9, 9), max_stops=1)], [TRAVEL])
    assert explain(roomy, Solution(((Visit(0),),), 0.0, (1,)))[1].code == "no_time"


def test_a_mixed_fleet_is_ruled_out_for_its_own_reasons_each():
    problem = Problem([job(load=(9, 1))], [van(), van(capacity=(10, 10), shift=(0, 10)), van()], [TRAVEL])
    [reason] = explain(problem, Solution(((), (), ()), 0.0, (0,))).values()
    assert reason.detail == (
        "each vehicle is ruled out: 2 × too much for the vehicle, 1 × no vehicle would be back before its shift ends"
    )


def test_hundreds_of_jobs_and_vehicles_are_explained_at_once():
    jobs = [job(id=str(number), load=(9, 1)) for number in range(300)]
    problem = Problem(jobs, [van(id=str(number)) for number in range(200)], [TRAVEL])
    reasons = explain(problem, Solution(((),) * 200, 0.0, tuple(range(300))))
    assert len(reasons) == 300
    assert {reason.code for reason in reasons.values()} == {"overload"}
