"""A van that is told one stop after the other is in one place at a time, and its phone says where."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.geo import distances_m
from models.messages.fixes import DEGREE
from pipelines.fleet.doorsteps import Doorsteps
from pipelines.fleet.gps import Phone
from pipelines.fleet.simulate import City
from pipelines.fleet.straight_city import StraightWays
from pipelines.fleet.traffic import Traffic
from pipelines.fleet.van import Van

BOX = (41.10, -8.72, 41.22, -8.52)
DEPOT = (41.17, -8.60)
LISBON = ZoneInfo("Europe/Lisbon")
EIGHT_S = 8 * 3600.0
PHONE = Phone(every_s=2.0, jumps=0.0, silences_a_day=0.0, dead_zones_a_day=0.0)


@pytest.fixture
def city():
    rng = np.random.default_rng(1)
    doors = Doorsteps.simulate(rng, rng.uniform(BOX[0], BOX[2], 500), rng.uniform(BOX[1], BOX[3], 500))
    return City(StraightWays(), doors, DEPOT, BOX, LISBON)


@pytest.fixture
def traffic():
    return Traffic.simulate(np.random.default_rng(2), datetime.date(2026, 3, 2), 1, BOX, LISBON)


@pytest.fixture
def van(city, traffic):
    return Van(np.random.default_rng(3), city, traffic, DEPOT, EIGHT_S, PHONE)


def door(city, number):
    return float(city.doorsteps.latitude[number]), float(city.doorsteps.longitude[number])


def away_m(fixes, place):
    return distances_m(fixes["lat"] / DEGREE, fixes["lon"] / DEGREE, *place)


def seconds(fixes, traffic):
    return fixes["time"] / 1000.0 - traffic.begins.timestamp()


def test_stops_follow_each_other_and_the_phone_is_where_the_van_is(city, traffic, van):
    before_s, from_place = EIGHT_S, DEPOT
    for number in range(5):
        visit = van.visit(door(city, number), 3.0)
        assert before_s < visit.arrived_s < visit.done_s == van.now_s
        fixes = visit.track.fixes
        assert away_m(fixes[:1], from_place) < 60
        there = fixes[seconds(fixes, traffic) > visit.arrived_s]
        assert len(there) > 5
        assert away_m(there, door(city, number)).max() < 60
        before_s, from_place = van.now_s, van.at


def test_speed_and_course_are_those_of_the_way(city, traffic, van):
    visit = van.visit((DEPOT[0] + 0.04, DEPOT[1]), 1.0)
    fixes = visit.track.fixes
    driving = (fixes["speed"] > 3.0) & (seconds(fixes, traffic) < visit.arrived_s - 30)
    assert driving.any()
    assert np.allclose(np.cos(np.radians(fixes["heading"][driving])), 1.0, atol=0.05), "due north"
    standing = seconds(fixes, traffic) > visit.arrived_s + 1
    assert (fixes["speed"][standing] < 1.5).all()
    assert np.median(fixes["speed"][standing]) < 0.3
    assert np.isnan(fixes["heading"][standing][fixes["speed"][standing] < 0.7]).all()


def test_next_door_is_reached_on_foot_while_the_van_stays(city, van):
    van.visit(door(city, 0), 1.0)
    parked = van.at
    visit = van.visit((parked[0] + 0.0003, parked[1]), 1.0)
    assert van.at == parked
    assert away_m(visit.track.fixes, parked).max() < 40


def test_a_van_stands_and_comes_home(city, van):
    assert van.is_home
    van.visit(door(city, 7), 1.0)
    assert not van.is_home
    home = van.go_home()
    assert van.is_home
    assert away_m(home.fixes[-1:], DEPOT) < 60
    until_s = van.now_s + 30.0
    assert away_m(van.stand(30.0).fixes, DEPOT).max() < 60
    assert van.now_s == until_s


def test_who_comes_before_the_window_opens_waits_at_the_door(city, traffic, van):
    late = Van(np.random.default_rng(3), city, traffic, DEPOT, EIGHT_S, PHONE).visit(door(city, 7), 2.0)
    opens_s = late.arrived_s + 900.0
    early = van.visit(door(city, 7), 2.0, opens_s)
    assert early.arrived_s == late.arrived_s
    assert early.done_s == pytest.approx(opens_s + late.done_s - late.arrived_s)
    standing = early.track.fixes[seconds(early.track.fixes, traffic) > early.arrived_s]
    assert away_m(standing, van.at).max() < 40.0
    assert van.visit(door(city, 8), 2.0, opens_s).arrived_s > early.done_s
