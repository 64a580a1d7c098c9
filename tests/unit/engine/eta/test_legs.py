"""Legs of a driver's plan: what a model is told of each, and what is kept of those that were driven."""

import asyncio

import numpy as np
import pytest

from engine.conditions.answers import Flow, cell_of
from engine.conditions.board import ConditionBoard
from engine.eta.estimator import Models
from engine.eta.predictor import ColdStart
from engine.log.read import Block, FixBatch
from models.messages.commands import RoutePlanned
from models.messages.log import PartitionId
from tests.builders import DEGREES_PER_M, LATITUDE, LONGITUDE, START_MS, a_fix, fixes_of
from tests.estimates import DRIVER, TENANT, WAY, Asked, InAJam, OnRoads, a_memory, assigned, play, snow


def test_a_driven_leg_is_kept_with_what_was_known_when_it_began():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0))
    play(memory, estimates, range(2))
    memory.assign(assigned("dlv_2", 2900.0))  # comes on the way: the leg began without it
    found = play(memory, estimates, range(2, 60))
    [leg] = [one for effects in found for one in effects.legs if one["to"][0] < LATITUDE + 2600 * DEGREES_PER_M]
    assert (leg["tenant"], leg["driver"], leg["stopsLeft"], leg["serviceAheadS"]) == (TENANT, "drv_1", 1.0, 120.0)
    assert leg["from"] == [LATITUDE, LONGITUDE]
    stands_s = WAY.index(2500.0) * 10 + 5  # between the fix that brings it there and the next, ten seconds after
    assert leg["arrived"].timestamp() * 1000 == START_MS + stands_s * 1000
    assert 0 <= leg["departed"].timestamp() * 1000 - START_MS <= 10_000
    assert leg["baseM"] > 2400
    assert leg["vehicle"] == "van"
    assert "trafficRatio" not in leg  # nobody knew it


def test_a_driven_leg_is_kept_with_the_traffic_that_the_model_was_told_of():
    memory, estimates = a_memory()
    memory.etas.base = InAJam()
    memory.assign(assigned("dlv_1", 2500.0))
    [leg] = [one for effects in play(memory, estimates, range(60)) for one in effects.legs]
    assert leg["trafficRatio"] == 1.5


def test_what_roads_say_of_the_way_driven_so_far_is_asked_for_a_model_that_reads_it():
    class Reads(ColdStart):
        reads_driven = True

    told = []
    for model in (ColdStart(), Reads()):
        memory, estimates = a_memory()
        memory.etas.base = OnRoads(slower=2.0)
        estimates.estimator.models = Models(champion=model)
        asked = Asked(estimates.estimator)
        memory.assign(assigned("dlv_1", 2500.0))
        play(memory, estimates, range(12))
        told.append(asked.legs[-1])
    crow, roads = (legs.pop("driven_ratio") for legs in told)
    assert crow == pytest.approx(2 * roads)
    for name, column in told[0].items():
        np.testing.assert_array_equal(column, told[1][name])


def test_snow_makes_an_arrival_later_and_is_the_reason_and_is_kept_with_the_leg():
    said = []
    for board in (ConditionBoard(), snow()):
        memory, estimates = a_memory()
        memory.etas.conditions = board
        memory.assign(assigned("dlv_1", 2500.0))
        play(memory, estimates, range(1))
        said.append(int(memory.etas.table.plans[DRIVER][0]["promise"][1]) - START_MS)
        factors = estimates.answer(DRIVER, "dlv_1")["factors"]
        assert ("weather" in [name for name, _ in factors]) == bool(board.weather)
    assert said[1] == pytest.approx(1.3 * said[0], rel=0.01)
    [leg] = [one for effects in play(memory, estimates, range(1, 60)) for one in effects.legs]
    assert (leg["rainMmH"], leg["temperatureC"], leg["windMps"]) == (2.5, -3.0, 2.0)


def test_the_traffic_of_another_server_counts_where_the_fleet_has_taught_none():
    memory, estimates = a_memory()
    cell = cell_of(Flow, LATITUDE + 2500 * DEGREES_PER_M, LONGITUDE)
    memory.etas.conditions = ConditionBoard(flow={cell: Flow(START_MS / 1000, 1.7)})
    memory.etas.base = OnRoads()
    memory.assign(assigned("dlv_1", 2500.0))
    asked = Asked(estimates.estimator)
    play(memory, estimates, range(1))
    assert asked.legs[0]["traffic_ratio"].tolist() == [1.7]
    memory.etas.base = InAJam()
    memory.assign(assigned("dlv_2", 2900.0))
    play(memory, estimates, range(1, 4))
    assert asked.legs[-1]["traffic_ratio"][0] == 1.5


def test_ways_go_from_where_a_van_stands_on_average_until_it_is_well_on_its_way():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0))
    asked = Asked(estimates.estimator)
    jitter_m = [6.0, -6.0] * 10
    for turn, north_m in enumerate([*jitter_m, 25.0, 200.0, 400.0]):
        fixes = fixes_of(a_fix(10.0 * turn, north_m, speed=0.1 if turn < len(jitter_m) else 8.0))
        received = np.array([START_MS + turn * 10_000])
        memory.apply(FixBatch(fixes, (received << 20).astype(np.uint64), received, (Block(PartitionId(0), 0, 1),)))
        asyncio.run(estimates.pass_to({0: START_MS + turn * 10_000 + 5_000}))
    starts_m = {
        round((legs["moment_ms"][0] - START_MS) / 10_000): (legs["from_lat"][0] - LATITUDE) / DEGREES_PER_M
        for legs in asked.legs
    }
    standing = [away for turn, away in starts_m.items() if 4 <= turn <= 20]
    assert len(standing) > 5
    assert max(map(abs, standing[:-1])) < 2.5
    assert starts_m[max(turn for turn in starts_m if turn <= 20)] < 10.0, "the first metres are no other street"
    assert starts_m[max(starts_m)] == pytest.approx(400.0, abs=1.0)


def test_a_leg_begins_where_its_driver_stood_however_slowly_it_sets_out():
    """From standing for two minutes the driver creeps at 2 m/s: 20 m between two fixes, less than a start is wide."""
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 1500.0))
    way = [0.0] * 12 + [20.0 * turn for turn in range(1, 80)] + [1600.0] * 20
    found = []
    for turn, north in enumerate(way):
        found += asyncio.run(estimates.pass_to({0: START_MS + turn * 10_000}))
        received = np.array([START_MS + turn * 10_000 + 300])
        fixes = fixes_of(a_fix(10.0 * turn, min(north, 1500.0)))
        step, _ = memory.apply(
            FixBatch(fixes, (received << 20).astype(np.uint64), received, (Block(PartitionId(0), 0, 1),))
        )
        found.append(estimates.note(step.events))
    [leg] = [one for effects in found for one in effects.legs]
    assert 110 <= leg["departed"].timestamp() - START_MS / 1000 <= 150
    assert leg["from"] == [LATITUDE, LONGITUDE]
    assert leg["baseM"] > 1400


def test_the_first_word_of_a_far_stop_knows_the_hour_at_which_it_is_reached():
    """A model by which everything takes four times as long as roads that are free."""

    class Slow(ColdStart):
        version = "slow"

        def __init__(self):
            self.hours = []

        def predict(self, legs):
            self.hours.append((np.asarray(legs["moment_ms"]) - START_MS) / 3_600_000)
            return np.asarray(legs["base_s"])[:, None] * np.array([3.0, 4.0, 5.0])

    memory, estimates = a_memory()
    slow = Slow()
    estimates.estimator.models = Models(champion=slow)
    visits = [f"dlv_{number}" for number in range(6)]
    for number, delivery in enumerate(visits):
        memory.assign(assigned(delivery, 10_000.0 * (number + 1)))
    order = tuple((delivery, "dropoff") for delivery in visits)
    memory.take_route(RoutePlanned("evt_2", TENANT, DRIVER, "rte_1", 2, START_MS, "van", order))
    play(memory, estimates, range(2))
    reached = memory.etas.table.plans[DRIVER]["promise"][:, 1]
    left_h = (reached[:-1] - START_MS) / 3_600_000 + 120 / 3600
    np.testing.assert_allclose(slow.hours[1][1:], left_h, rtol=0.1)


def test_the_very_first_estimate_asks_of_each_leg_for_its_own_hour():
    memory, estimates = a_memory()
    for number in range(8):
        memory.assign(assigned(f"dlv_{number}", 20_000.0 * (number + 1)))
    asked = Asked(estimates.estimator)
    play(memory, estimates, range(1))
    first = asked.legs[0]
    begins_ms = first["moment_ms"]
    assert len(begins_ms) == 8
    between_s = np.diff(begins_ms) / 1000
    assert between_s == pytest.approx(first["base_s"][:-1] + 120.0, abs=1.0)


def test_a_stop_more_asks_for_its_own_legs_alone():
    memory, estimates = a_memory()
    for number in (1, 2, 3, 5, 6, 7):
        memory.assign(assigned(f"dlv_{number}", 1000.0 * number))
    asked = Asked(estimates.estimator)
    play(memory, estimates, range(2))
    known = len(asked.legs)
    before = {one["delivery"]: one["estimated"] for one in estimates.answers(DRIVER)}
    memory.assign(assigned("dlv_4", 4000.0))
    play(memory, estimates, range(2, 4))
    ends_m = (asked.legs[known]["to_lat"] - LATITUDE) / DEGREES_PER_M
    assert ends_m == pytest.approx([1000, 4000, 5000], abs=1)  # the one under way, to the new stop, and on from there
    after = {one["delivery"]: one["estimated"] for one in estimates.answers(DRIVER)}
    assert after["dlv_7"] - before["dlv_7"] > 100_000


def test_a_leg_with_a_break_in_it_is_nobodys_lesson():
    for rest_s in (0, 60):
        memory, estimates = a_memory()
        memory.assign(assigned("dlv_1", 2500.0))
        rests = (("dlv_1", "dropoff", START_MS + 30_000, START_MS + 30_000 + rest_s * 1000),) if rest_s else ()
        visits = (("dlv_1", "dropoff"),)
        memory.take_route(RoutePlanned("evt_2", TENANT, DRIVER, "rte_1", 2, START_MS, "van", visits, rests))
        found = play(memory, estimates, range(60))
        assert sum(len(effects.outcomes) for effects in found) == 1
        assert sum(len(effects.finishes) for effects in found) == sum(len(effects.legs) for effects in found)
        assert sum(len(effects.finishes) for effects in found) == (0 if rest_s else 1)
