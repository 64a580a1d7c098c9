"""The task that learns traffic: takes the fleet's fixes from history, and publishes a state every so often."""

import asyncio
import datetime
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import NDArray
from pymongo.errors import PyMongoError

from engine.leased import Leased
from engine.roads.network import RoadNetwork
from engine.roads.states import write_state
from engine.roads.waiting import awaited_network
from engine.roads.warm_up import BUILT
from engine.settings import Settings
from engine.telemetry.metrics import TRAFFIC_AGE, TRAFFIC_ARCS, TRAFFIC_FIXES
from engine.traffic.learner import Learned, TrafficLearner
from engine.traffic.weigher import UNTOUCHED
from models.messages.fixes import STORED
from models.store.connections import Database
from models.store.fleet import VehicleRepository
from models.store.history import HistoryRepository

__all__ = ["TrafficWatch", "ledger_file"]

log = structlog.get_logger(__name__)

_SETTLED = datetime.timedelta(seconds=5)  # chunks that are younger may still be on their way
_MOST_CHUNKS = 60_000  # of a look; with more, one driver in so many is learned from
_SAVE_S = 600.0
_ASK_S = 300.0  # who rides what
_MISSED = datetime.timedelta(hours=2)  # of a longer pause, or before the first start, the last of it is learned
_STRETCH = datetime.timedelta(minutes=30)  # what is older than that in a look is left out by its tracks

T = TypeVar("T")


def ledger_file(state: Path) -> Path:
    """Return where what was learned is kept, beside the state that is published."""
    return state.with_suffix(".ledger")


class TrafficWatch(Leased):
    """Learns traffic in one process of all hosts."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._history, self._vehicles = HistoryRepository(database), VehicleRepository(database)
        self._settings, self._path = settings, settings.traffic_file
        # one thread: what was begun is over before the ledger is saved for the last time
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traffic")
        self._untouched: NDArray[np.int64] = np.zeros(0, np.int64)
        self._asked_at = -_ASK_S
        super().__init__(database, "traffic", {"traffic": self._learn_for_ever})

    async def follow(self, learner: TrafficLearner, until: datetime.datetime) -> Learned:
        """Learn from what history got since the learner's last look, before a restart too, a stretch at a time."""
        since = max(datetime.datetime.fromtimestamp(learner.until_s, UTC), until - _MISSED)
        found = [Learned(0, 0, 0)]
        while since < until:
            upto = min(until, since + _STRETCH)
            found.append(await self.look(learner, since, upto))
            since = upto
        return Learned(*(sum(counts) for counts in zip(*map(astuple, found), strict=True)))

    async def look(self, learner: TrafficLearner, since: datetime.datetime, until: datetime.datetime) -> Learned:
        """Learn from what history got between two instants, and publish the state if it taught anything."""
        count = await self._history.count(since, until)
        blocks = await self._history.stored_between(since, until, max(1, -(-count // _MOST_CHUNKS)))
        stored = np.frombuffer(b"".join(blocks), STORED)
        in_traffic = stored[~np.isin(stored["driver"], await self._who_is_untouched())]
        learned = await self._aside(learner.take, in_traffic, until.timestamp())
        if learned.steps:
            await self._aside(lambda: write_state(self._path, learner.state()))
        for outcome, fixes in (("matched", learned.matched), ("other", stored.size - learned.matched)):
            TRAFFIC_FIXES.labels(outcome).inc(max(0, fixes))
        TRAFFIC_ARCS.set(learner.arcs)
        return learned

    async def _learn_for_ever(self) -> None:
        learner = await self._learner()
        saved_at = learned_at = time.monotonic()
        try:
            while True:
                await asyncio.sleep(self._settings.travel.traffic_every_s)
                try:
                    learned = await self.follow(learner, datetime.datetime.now(tz=UTC) - _SETTLED)
                except PyMongoError as fault:
                    log.warning("traffic.unknown", error=str(fault))
                    continue
                learned_at = time.monotonic() if learned.steps else learned_at
                TRAFFIC_AGE.set(time.monotonic() - learned_at)
                if time.monotonic() - saved_at > _SAVE_S:
                    await self._aside(learner.save, ledger_file(self._path))
                    saved_at = time.monotonic()
        finally:
            await self._aside(learner.save, ledger_file(self._path))

    async def _who_is_untouched(self) -> NDArray[np.int64]:
        """Return the numbers of drivers who pass by the jam, asked every few minutes."""
        if time.monotonic() - self._asked_at >= _ASK_S:
            found = [await self._vehicles.drivers_on(profile) for profile in sorted(UNTOUCHED)]
            self._untouched, self._asked_at = np.array(sorted(set().union(*found)), np.int64), time.monotonic()
        return self._untouched

    async def _learner(self) -> TrafficLearner:
        """Return a learner as soon as the road network is there."""
        network = await awaited_network(self._settings.travel.network or BUILT)
        zone = ZoneInfo(self._settings.travel.time_zone)
        return await self._aside(_made, network, zone, ledger_file(self._path))

    async def _aside(self, work: Callable[..., T], *args: Any) -> T:
        """Do work in the one thread, after all that was given to it before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)


def _made(network: RoadNetwork, zone: ZoneInfo, ledger: Path) -> TrafficLearner:
    learner = TrafficLearner(network, zone)
    learner.resume(ledger)
    return learner
