"""The simulated fleet drives as a fleet can, and is the same wherever it is made."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.fleet import MAX_SPEED_MPS, Clock, Fleet
from bench.verify import sequences_before
from engine.motion.late import derive
from engine.motion.profiles import DEFAULT
from models.geo import distances_m
from models.messages.fixes import DEGREE, FIX, STORED, Outcome

START_MS = 1_760_000_000_000.0


def test_no_driver_is_faster_than_the_limit() -> None:
    fleet = Fleet(7, 0, 500)
    members, times = np.arange(500), np.full(500, int(START_MS))
    lat, lon, _ = fleet.positions(members, times)
    later_lat, later_lon, _ = fleet.positions(members, times + 1000)
    moved_m = distances_m(lat / DEGREE, lon / DEGREE, later_lat / DEGREE, later_lon / DEGREE)
    assert moved_m.mean() > 1.0
    assert moved_m.max() < MAX_SPEED_MPS * 1.01 + 0.1


def test_the_rules_filter_nothing_of_it() -> None:
    fixes = Fleet(7, 3, 1).fixes(Clock(START_MS, 1000.0), 0, 600)
    stored = np.zeros(600, STORED)
    for name in FIX.names or ():
        stored[name] = fixes[name]
    assert (derive(stored, DEFAULT).outcomes == Outcome.LIVE).all()


@given(first=st.integers(0, 10_000), size=st.integers(1, 50), place=st.integers(0, 49))
def test_a_part_of_the_fleet_is_the_same_as_in_the_whole(first: int, size: int, place: int) -> None:
    member, time = np.array([place % size]), np.array([int(START_MS)])
    part = Fleet(3, first, size).positions(member, time)
    alone = Fleet(3, first + place % size, 1).positions(np.array([0]), time)
    assert [column.tolist() for column in part] == [column.tolist() for column in alone]


@given(size=st.integers(1, 30), batch=st.integers(1, 40), frames=st.integers(0, 20))
def test_every_driver_numbers_its_pings_without_a_gap(size: int, batch: int, frames: int) -> None:
    fixes = Fleet(1, 0, size).fixes(Clock(START_MS, 10.0), 0, max(1, frames * batch))[: frames * batch]
    members = np.arange(frames * batch) % size
    counted = sequences_before(frames, size, batch)
    for member in range(size):
        assert fixes["seq"][members == member].tolist() == list(range(1, counted[member] + 1))
        assert (np.diff(fixes["time"][members == member]) > 0).all()
