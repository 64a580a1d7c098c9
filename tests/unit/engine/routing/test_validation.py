"""Problems that make no sense are refused by the path of what is wrong."""

import dataclasses

import numpy as np
import pytest

from engine.routing.problem import RELOAD, Break, InOrder, Job, Problem, Stop, Vehicle, Visit
from engine.routing.travel import DenseTravel, PlaneTravel, SlicedTravel
from engine.routing.validation import check_problem
from models.errors import InvalidInput

PLANE = PlaneTravel(np.zeros((3, 2)))
VAN = Vehicle("van", start=0, end=0, capacity=(5,))
JOB = Job("job", None, Stop(1), (1,))
SOUND = Problem([JOB], [VAN], [PLANE])
HELD = DenseTravel(np.zeros((3, 3), np.int64), np.zeros((3, 3), np.int64))


def with_job(**fields):
    return dataclasses.replace(SOUND, jobs=[dataclasses.replace(JOB, **fields)])


def with_van(**fields):
    return dataclasses.replace(SOUND, vehicles=[dataclasses.replace(VAN, **fields)])


def with_travel(*travel):
    return dataclasses.replace(SOUND, travel=travel)


FAULTS = [
    (dataclasses.replace(SOUND, jobs=[]), "jobs"),
    (dataclasses.replace(SOUND, vehicles=[]), "vehicles"),
    (dataclasses.replace(SOUND, travel=[]), "travel"),
    (dataclasses.replace(SOUND, jobs=[JOB, JOB]), "jobs.1.id"),
    (dataclasses.replace(SOUND, vehicles=[VAN, VAN]), "vehicles.1.id"),
    (dataclasses.replace(SOUND, balance=float("nan")), "balance"),
    (dataclasses.replace(SOUND, relations=[InOrder((0, 4))]), "relations.0.jobs"),
    (dataclasses.replace(SOUND, relations=[InOrder((0, 0))]), "relations.0.jobs"),
    (with_job(delivery=None), "jobs.0"),
    (with_job(delivery=Stop(3)), "jobs.0.delivery.place"),
    (with_job(delivery=Stop(1, ((5, 4),))), "jobs.0.delivery.windows.0"),
    (with_job(delivery=Stop(1, ((1, 4), (4, 9)))), "jobs.0.delivery.windows.1"),
    (with_job(delivery=Stop(1, ((float("nan"), 4),))), "jobs.0.delivery.windows.0"),
    (with_job(delivery=Stop(1, (), -1)), "jobs.0.delivery.service_s"),
    (with_job(load=(-1,)), "jobs.0.load.0"),
    (with_job(load=(float("nan"),)), "jobs.0.load.0"),
    (with_job(load=(1, 1)), "vehicles.0.capacity"),
    (with_job(penalty=float("inf")), "jobs.0.penalty"),
    (with_job(allowed=frozenset({1})), "jobs.0.allowed"),
    (with_job(forbidden=frozenset({-1})), "jobs.0.forbidden"),
    (with_job(on_board=1), "jobs.0.on_board"),
    (with_job(on_board=0, pickup=Stop(2)), "jobs.0.on_board"),
    (with_van(profile=1), "vehicles.0.profile"),
    (with_van(start=9), "vehicles.0.start"),
    (with_van(shift=(9, 8)), "vehicles.0.shift.0"),
    (with_van(breaks=(Break((), 5),)), "vehicles.0.breaks.0.windows"),
    (with_van(breaks=(Break(((0, 5),), -5),)), "vehicles.0.breaks.0.length_s"),
    (with_van(max_distance_m=-1), "vehicles.0.max_distance_m"),
    (with_van(per_metre=-1.0), "vehicles.0.per_metre"),
    (with_van(fixed=float("nan")), "vehicles.0.fixed"),
    (with_van(pinned=(Visit(3),)), "vehicles.0.pinned.0"),
    (with_van(pinned=(Visit(0, True),)), "vehicles.0.pinned.0"),
    (with_van(pinned=(Visit(0), Visit(0))), "vehicles.0.pinned.1"),
    (with_van(pinned=(Visit(RELOAD),)), "vehicles.0.pinned.0"),
    (with_travel(PLANE, PlaneTravel(np.zeros((4, 2)))), "travel.1"),
    (with_travel(DenseTravel(np.zeros((3, 2), np.int64), HELD.distances)), "travel.0.durations"),
    (with_travel(DenseTravel(HELD.durations, np.zeros((3, 3)))), "travel.0.distances"),
    (with_travel(DenseTravel(HELD.durations, HELD.distances - 1)), "travel.0.distances"),
    (with_travel(SlicedTravel((5, 5), (HELD, HELD))), "travel.0.begins"),
    (
        with_travel(SlicedTravel((0,), (DenseTravel(HELD.durations - 1, HELD.distances),))),
        "travel.0.slices.0.durations",
    ),
]


def test_what_makes_sense_passes():
    assert check_problem(SOUND) is SOUND
    assert check_problem(with_travel(SlicedTravel((0, 5), (HELD, HELD))))


@pytest.mark.parametrize(("problem", "path"), FAULTS)
def test_what_makes_none_is_refused_by_its_path(problem, path):
    with pytest.raises(InvalidInput) as refused:
        check_problem(problem)
    assert path in [field for field, _ in refused.value.fields]


def test_of_thousands_of_faults_a_hundred_are_told():
    broken = dataclasses.replace(SOUND, jobs=[dataclasses.replace(JOB, delivery=Stop(9))] * 5000)
    with pytest.raises(InvalidInput) as refused:
        check_problem(broken)
    assert len(refused.value.fields) == 100
