"""Closures in live estimates: whom one concerns, that those are estimated anew at once, and nobody else."""

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.eta.bases import PROFILES, Ends, GreatCircles
from engine.eta.detours import Change, Detours, concerned
from engine.eta.estimator import Estimator
from engine.log.read import Block, FixBatch
from engine.registry import DriverRef
from engine.roads.barriers import Barrier
from engine.shards.estimates import ShardEstimates
from engine.shards.memory import ShardMemory
from models.geo import distances_m
from models.messages.commands import DeliveryAssigned, StopPlan
from models.messages.log import PartitionId
from tests.builders import DEGREES_PER_M, LATITUDE, LONGITUDE, START_MS, a_fix, fixes_of

TENANT, NEAR, AWAY = "ten_a", 1, 2
VAN = PROFILES.index("van")
SLOW_S = 900.0


def street(north_m, **fields):
    """Return a closed street of 200 m across the way to the north."""
    latitude, far = LATITUDE + north_m * DEGREES_PER_M, 100 * DEGREES_PER_M
    return Barrier("line", ((latitude, LONGITUDE - far), (latitude, LONGITUDE + far)), **fields)


def a_way(begin, end, profile=VAN):
    return Ends(*(np.array([value]) for value in (*begin, *end)), np.array([profile], np.uint8))


def metres(begin, end):
    return float(distances_m(*begin, *end))


places = st.tuples(st.floats(40.9, 41.3), st.floats(-8.8, -8.4))


@given(places, places, places, places, st.floats(0, 1))
def test_whatever_leads_through_a_closure_is_concerned(begin, end, corner, other, share):
    barrier = Barrier("line", (corner, other))
    through = tuple(a + share * (b - a) for a, b in zip(corner, other, strict=True))
    length = np.array([metres(begin, through) + metres(through, end)])
    assert concerned(a_way(begin, end), length, Change((barrier,), ())).all()
    assert concerned(a_way(begin, end), length / 1.5, Change((), (barrier,))).all()


def test_who_is_elsewhere_or_not_held_up_is_not_concerned():
    begin, end = (LATITUDE, LONGITUDE), (LATITUDE + 0.01, LONGITUDE)
    length = np.array([1.3 * metres(begin, end)])
    beside, trucks = street(5000), street(500, profiles=frozenset({"truck"}))
    assert concerned(a_way(begin, end), length, Change((street(500),), ())).all()
    assert not concerned(a_way(begin, end), length, Change((beside, trucks), (beside, trucks))).any()
    assert concerned(a_way(begin, end, PROFILES.index("truck")), length, Change((trucks,), ())).all()


def test_those_who_wait_have_their_turn_some_at_a_time_and_nobody_twice():
    waiting = Detours()
    waiting.wait(range(100), [150] * 100)
    waiting.wait([5], [150])
    turns = []
    while turn := waiting.turn():
        turns.append(turn)
    assert len(turns) > 5
    assert [driver for turn in turns for driver in turn] == list(range(100))
    waiting.wait([1, 2], [10**6, 1])
    assert waiting.turn() == [1]


class Slowed(GreatCircles):
    """Ways that take longer where anything is closed, and a note of who asked for them."""

    def __init__(self):
        self.asked = []

    def between(self, ends, *, barriers, **how):
        found = super().between(ends, **how)
        self.asked.append(len(ends.to_lat))
        for ways in barriers.values():
            found.seconds[ways] += SLOW_S
        return found


def two_vans():
    """Return a shard of a van that goes far to the north and one that goes far to the south, as they stand."""
    memory = ShardMemory()
    memory.begin(0)
    drivers = [DriverRef(one, PartitionId(0), f"drv_{one}", TENANT, "Ana", "parcel") for one in (NEAR, AWAY)]
    memory.activate(drivers, {})
    estimates = ShardEstimates(memory, Estimator(memory.tenant_of, lambda _: "Europe/Lisbon"))
    memory.etas.base = Slowed()
    for driver, sign in ((NEAR, 1), (AWAY, -1)):
        for number in range(1, 4):
            latitude = LATITUDE + sign * 10_000 * number * DEGREES_PER_M
            stop = StopPlan("dropoff", latitude, LONGITUDE, 60.0, 0, 0, 120.0)
            named = f"dlv_{driver}_{number}"
            memory.assign(DeliveryAssigned("evt_1", TENANT, driver, named, 2, "assigned", (stop,)))
    fixes = np.concatenate([fixes_of(a_fix(0.0, 0.0)) for _ in range(2)])
    fixes["driver"] = NEAR, AWAY
    received = np.full(2, START_MS)
    position = (received << 20).astype(np.uint64)
    memory.apply(FixBatch(fixes, position, received, (Block(PartitionId(0), 0, 2),)))
    passed(estimates, 0)
    passed(estimates, 2)
    return memory, estimates


def passed(estimates, seconds):
    """Pass the moments up to so many seconds after the start."""
    asyncio.run(estimates.pass_to({0: START_MS + seconds * 1000}))


def arrivals(estimates, driver):
    return {one["delivery"]: one["estimated"] for one in estimates.answers(driver)}


def closed(memory, *barriers):
    memory.etas.closures = {memory.tenant_index(TENANT): barriers} if barriers else {}


def test_a_closure_far_ahead_is_felt_within_seconds_and_so_is_its_end():
    memory, estimates = two_vans()
    before = arrivals(estimates, NEAR), arrivals(estimates, AWAY)
    closed(memory, street(25_000, begins_s=START_MS / 1000 + 10))
    asked = len(memory.etas.base.asked)
    passed(estimates, 9)
    assert len(memory.etas.base.asked) == asked
    passed(estimates, 12)
    assert memory.etas.base.asked[asked:] == [3]  # the legs of the one van
    after = arrivals(estimates, NEAR)
    assert after["dlv_1_3"] - before[0]["dlv_1_3"] > 2 * SLOW_S * 1000
    assert arrivals(estimates, AWAY) == before[1]
    closed(memory)
    passed(estimates, 15)
    assert abs(arrivals(estimates, NEAR)["dlv_1_3"] - before[0]["dlv_1_3"]) < 60_000
