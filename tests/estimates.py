"""A shard with one driver and its estimates, for tests that let it drive along a way."""

import asyncio
import threading

import numpy as np

from engine.conditions.answers import Weather, cell_of
from engine.conditions.board import ConditionBoard
from engine.eta.bases import ROADS, GreatCircles
from engine.eta.estimator import Estimator
from engine.log.read import Block, FixBatch
from engine.registry import DriverRef
from engine.shards.estimates import ShardEstimates
from engine.shards.memory import ShardMemory
from models.messages.commands import DeliveryAssigned, StopPlan
from models.messages.log import PartitionId
from tests.builders import DEGREES_PER_M, LATITUDE, LONGITUDE, START_MS, a_fix, fixes_of

TENANT, DRIVER = "ten_a", 1
WAY = [min(2500.0, 50.0 * turn) for turn in range(60)]  # 5 m/s to the north, a fix every 10 s, then standing


def a_memory() -> tuple[ShardMemory, ShardEstimates]:
    """Return the memory of a shard whose only driver has nothing to do yet, and its estimates."""
    memory = ShardMemory()
    memory.begin(0)
    memory.activate([DriverRef(DRIVER, PartitionId(0), "drv_1", TENANT, "Ana", "parcel")], {})
    return memory, ShardEstimates(memory, Estimator(memory.tenant_of, lambda _: "Europe/Lisbon"))


def assigned(delivery: str, north_m: float, version: int = 2, closes_s: float = 0.0) -> DeliveryAssigned:
    """Return that the driver is given a delivery so many metres to the north."""
    closes_ms = START_MS + round(closes_s * 1000) if closes_s else 0
    stop = StopPlan("dropoff", LATITUDE + north_m * DEGREES_PER_M, LONGITUDE, 60.0, 0, closes_ms, 120.0)
    return DeliveryAssigned("evt_1", TENANT, DRIVER, delivery, version, "assigned", (stop,))


def play(memory, estimates, turns, batches=1):
    """Apply fixes of the way, `batches` of them to a step, passing the moments in between; return what came of it."""
    found = []
    for start in range(turns.start, turns.stop, batches):
        part = range(start, min(start + batches, turns.stop))
        for turn in part:
            found += asyncio.run(estimates.pass_to({0: START_MS + turn * 10_000}))
            fixes = fixes_of(a_fix(10.0 * turn, WAY[turn]))
            received = np.array([START_MS + turn * 10_000 + 300])
            batch = FixBatch(fixes, (received << 20).astype(np.uint64), received, (Block(PartitionId(0), 0, 1),))
            step, _ = memory.apply(batch)
            found.append(estimates.note(step.events))
    found += asyncio.run(estimates.pass_to({0: START_MS + turns.stop * 10_000}))
    return found


class InAJam(GreatCircles):
    """Ways in traffic that takes half as long again."""

    def between(self, ends, *, traffic_of=None, **how):
        found = super().between(ends, **how)
        return found._replace(traffic=np.full(len(found.seconds), np.nan if traffic_of is None else 1.5))


class OnRoads(GreatCircles):
    """Ways that say they are on roads, which may take longer."""

    def __init__(self, slower=1.0):
        self._slower = slower

    def between(self, ends, **how):
        found = super().between(ends, **how)
        return found._replace(seconds=self._slower * found.seconds, source=np.full(len(ends.from_lat), ROADS, np.uint8))


def snow(until_s=86_400):
    """Return a board on which it snows in all hours of the day."""
    hours = until_s // 3600
    weather = Weather(START_MS / 1000, START_MS // 3_600_000 * 3600, (2.5,) * hours, (-3.0,) * hours, (2.0,) * hours)
    return ConditionBoard({cell_of(Weather, LATITUDE, LONGITUDE): weather})


class Asked:
    """An estimator that notes what it is asked, and may wait before it says it."""

    def __init__(self, estimator):
        self._say, self.legs, self.began, self.may_end = estimator.say, [], threading.Event(), threading.Event()
        self.may_end.set()
        estimator.say = self

    def __call__(self, ahead):
        self.legs.append(ahead.legs)
        self.began.set()
        self.may_end.wait()
        return self._say(ahead)
