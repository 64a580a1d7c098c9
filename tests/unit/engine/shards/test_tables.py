"""The driver and stop tables against plain dictionaries, and their round trips."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.shards.drivers import ABSENT, DRIVER, DriverTable
from engine.shards.stops import PlannedStop
from models.messages.live import LIVE
from tests.builders import a_fix, a_shard, fixes_of, play

STOPS = [PlannedStop("pickup", 41.0, -8.0, 50.0), PlannedStop("dropoff", 41.1, -8.1, 60.0)]
numbers = st.integers(0, 3000)


class Tables(RuleBasedStateMachine):
    """Adding, removing, opening and closing in any order."""

    def __init__(self):
        super().__init__()
        self.table = DriverTable()
        self.model: dict[int, dict[int, int]] = {}

    def _row(self, number):
        return int(self.table.rows(np.array([number], np.uint32))[0])

    @rule(number=numbers)
    def add(self, number):
        if number not in self.model:
            self.table.add(number, number % 4, 0, 0)
            self.model[number] = {}

    @rule(data=st.data())
    def remove(self, data):
        if self.model:
            gone = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True, max_size=3))
            self.table.remove(self.table.rows(np.array(gone, np.uint32)))
            for number in gone:
                del self.model[number]

    @rule(data=st.data(), delivery=st.integers(1, 20))
    def open(self, data, delivery):
        if self.model and not any(delivery in stops for stops in self.model.values()):
            number = data.draw(st.sampled_from(sorted(self.model)))
            self.table.stops.open(self._row(number), delivery, STOPS)
            self.model[number][delivery] = 2

    @rule(delivery=st.integers(1, 20), kind=st.sampled_from([None, "pickup"]))
    def close(self, delivery, kind):
        for stops in self.model.values():
            if delivery in stops:
                stops[delivery] = 0 if kind is None else min(stops[delivery], 1)
                if stops[delivery] == 0:
                    del stops[delivery]
        self.table.stops.close(delivery, kind)

    @rule(partition=st.integers(0, 3))
    def hand_off_and_back(self, partition):
        drivers, stops = self.table.extract(partition), self.table.stops.extract(partition)
        self.table.remove(self.table.of_partition(partition))
        self.table.insert(drivers)
        self.table.stops.insert(stops)
        assert self.table.extract(partition) == drivers

    @invariant()
    def agrees_with_the_model(self):
        assert self.table.size == len(self.model)
        for number, deliveries in self.model.items():
            row = self._row(number)
            stops = self.table.stops.of(row)
            assert self.table.records["number"][row] == number
            assert self.table.records["open_stops"][row] == stops.size
            assert (stops["row"] == row).all()
            held = {delivery: int((stops["delivery"] == delivery).sum()) for delivery in stops["delivery"].tolist()}
            assert held == deliveries


Tables.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestTables = Tables.TestCase


def test_a_record_stays_small():
    assert DRIVER.itemsize <= 700


def test_absent_numbers_have_no_row():
    table = DriverTable()
    table.add(5, 0, 0, 0)
    assert table.rows(np.array([5, 6, 4_000_000_000], np.uint32)).tolist() == [0, ABSENT, ABSENT]


def test_state_comes_back_after_passivation():
    state = a_shard()
    play(state, fixes_of(a_fix(0), a_fix(20, 200)))
    packed, live = state.drivers.state(0), state.drivers.live(np.array([0], np.int32))
    state.drivers.remove(np.array([0], np.int32))
    row = state.drivers.add(1, 1, 0, 0, packed)
    assert state.drivers.live(np.array([row], np.int32)).tobytes() == live.tobytes()


def test_live_record_says_what_the_driver_does():
    state = a_shard()
    play(state, fixes_of(a_fix(0, battery=80, accuracy_m=4), a_fix(20, 300, battery=79, accuracy_m=6)))
    (live,) = state.drivers.live(np.array([0], np.int32))
    assert live.dtype == LIVE
    assert (live["motion"], live["battery"], live["flags"], live["driver"]) == (2, 79, 1, 1)
    assert live["speed"] == pytest.approx(15.0, rel=0.01)
    assert live["heading"] == pytest.approx(0.0, abs=0.5)


def test_insert_renames_tenants_and_deliveries():
    old, new = a_shard(), DriverTable()
    old.stops.open(0, 3, STOPS)
    new.insert(old.drivers.extract(1), tenants={0: 8}, profiles={0: 1})
    new.stops.insert(old.stops.extract(1), deliveries={3: 30})
    assert (new.records["tenant"][0], new.records["profile"][0]) == (8, 1)
    assert new.stops.of(0)["delivery"].tolist() == [30, 30]
    assert new.stops.close(30) == 2
