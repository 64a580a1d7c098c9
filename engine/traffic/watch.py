"""The task that learns traffic: takes the fleet's fixes from history, and publishes a state every so often."""

import asyncio
import datetime
import time
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from pymongo.errors import PyMongoError

from engine.leased import Leased
from engine.roads.network import RoadNetwork
from engine.roads.states import write_state
from engine.roads.warm_up import BUILT
from engine.settings import Settings
from engine.telemetry.metrics import TRAFFIC_AGE, TRAFFIC_ARCS, TRAFFIC_FIXES
from engine.traffic.learner import Learned, TrafficLearner
from models.errors import BadSettings
from models.messages.fixes import STORED
from models.store.connections import Database
from models.store.history import HistoryRepository

__all__ = ["TrafficWatch", "ledger_file"]

log = structlog.get_logger(__name__)

_RETRY_S = 5.0  # of a network that is still being made
_SETTLED = datetime.timedelta(seconds=5)  # chunks that are younger may still be on their way
_MOST_CHUNKS = 60_000  # of a look; with more, one driver in so many is learned from
_SAVE_S = 600.0


def ledger_file(state: Path) -> Path:
    """Return where what was learned is kept, beside the state that is published."""
    return state.with_suffix(".ledger")


class TrafficWatch(Leased):
    """Learns traffic in one process of all hosts."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._history, self._settings = HistoryRepository(database), settings
        self._path = settings.traffic_file
        self._one_in = 1
        super().__init__(database, "traffic", {"traffic": self._learn_for_ever})

    async def look(self, learner: TrafficLearner, since: datetime.datetime, until: datetime.datetime) -> Learned:
        """Learn from what history got between two instants, and publish the state if it taught anything."""
        count = await self._history.count(since, until)
        self._one_in = max(1, -(-count // _MOST_CHUNKS))
        blocks = await self._history.stored_between(since, until, self._one_in)
        stored = np.frombuffer(b"".join(blocks), STORED)
        learned = await asyncio.to_thread(learner.take, stored, until.timestamp())
        if learned.steps:
            await asyncio.to_thread(lambda: write_state(self._path, learner.state()))
        for outcome, fixes in (("matched", learned.matched), ("other", learned.fixes - learned.matched)):
            TRAFFIC_FIXES.labels(outcome).inc(max(0, fixes))
        TRAFFIC_ARCS.set(learner.arcs)
        return learned

    async def _learn_for_ever(self) -> None:
        learner = await self._learner()
        since, saved_at = datetime.datetime.now(tz=UTC), time.monotonic()
        learned_at = time.monotonic()
        try:
            while True:
                await asyncio.sleep(self._settings.travel.traffic_every_s)
                until = datetime.datetime.now(tz=UTC) - _SETTLED
                try:
                    learned = await self.look(learner, since, until)
                except PyMongoError as fault:
                    log.warning("traffic.unknown", error=str(fault))
                    continue
                since = until
                learned_at = time.monotonic() if learned.steps else learned_at
                TRAFFIC_AGE.set(time.monotonic() - learned_at)
                if time.monotonic() - saved_at > _SAVE_S:
                    await asyncio.to_thread(learner.save, ledger_file(self._path))
                    saved_at = time.monotonic()
        finally:
            learner.save(ledger_file(self._path))

    async def _learner(self) -> TrafficLearner:
        """Return a learner as soon as the road network is there."""
        path = self._settings.travel.network or BUILT
        zone = ZoneInfo(self._settings.travel.time_zone)
        while True:
            try:
                return await asyncio.to_thread(_made, path, zone, ledger_file(self._path))
            except BadSettings as fault:
                log.warning("traffic.waits", error=str(fault))
                await asyncio.sleep(_RETRY_S)


def _made(path: Path, zone: ZoneInfo, ledger: Path) -> TrafficLearner:
    learner = TrafficLearner(RoadNetwork.load(path), zone)
    learner.resume(ledger)
    return learner
