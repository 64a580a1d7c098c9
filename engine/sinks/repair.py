"""Repair after late fixes: a driver's trips and visits are derived again, in order of fix time, from history."""

import asyncio
import datetime
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from pymongo.errors import PyMongoError

from engine.motion.late import REPAIR_WINDOW_MS, apply_derivation, derive, repair_start
from engine.motion.profiles import MotionProfile
from engine.registry import DriverRef
from engine.shards.effects import trip_document, visit_document, visit_records
from engine.shards.memory import ShardMemory
from engine.sinks.history import Waiting, read_track
from models.documents.event import SCHEMA_VERSION
from models.ids import new_id
from models.store.connections import Database
from models.store.motion import MotionRepository
from models.store.scope import Scope

__all__ = ["RepairDesk"]

log = structlog.get_logger(__name__)

_SETTLE_S = 2.0  # late fixes come in bursts: one repair for all of a dead zone
_TRIES = 5
_FAR_MS = 2**53


class RepairDesk:
    """Collects drivers with late fixes and repairs them a little later."""

    def __init__(self, database: Database, memory: ShardMemory) -> None:
        self._database, self._memory = database, memory
        self._motion = MotionRepository(database)
        self._due: dict[int, int] = {}
        self._filled = asyncio.Event()

    def note(self, late: Mapping[int, tuple[int, int]]) -> None:
        """Remember rows of drivers and the span of fix time that came late, epoch ms."""
        for row, (first, _) in late.items():
            number = int(self._memory.state.drivers.records["number"][row])
            self._due[number] = min(first, self._due.get(number, first))
        self._filled.set()

    async def run(self) -> None:
        """Repair for ever."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(_SETTLE_S)
            due, self._due = self._due, {}
            self._filled.clear()
            for number, first_ms in due.items():
                try:
                    await self._repair(number, first_ms)
                except (PyMongoError, OSError) as error:
                    log.warning("repair.delayed", error=str(error))
                    self._due[number] = min(first_ms, self._due.get(number, first_ms))
                    self._filled.set()

    async def _repair(self, number: int, first_ms: int) -> None:
        ref = self._memory.refs.get(number)
        if ref is None:
            return
        scope = Scope(ref.tenant, "engine")
        for _ in range(_TRIES):
            [row] = self._memory.state.drivers.rows(np.array([number], np.uint32)).tolist()
            if row < 0:
                return
            live_ms = int(self._memory.state.drivers.records["time"][row])
            oldest_ms = live_ms - REPAIR_WINDOW_MS
            if first_ms < oldest_ms:
                return  # history has it; trips and visits of so long ago stay as they were told
            visits = visit_records(await self._motion.visits(scope, ref.id, oldest_ms, first_ms))
            start = repair_start(visits, first_ms)
            from_ms = start.declared_time if start is not None else oldest_ms
            ask = functools.partial(self._waiting, ref.partition, number)
            stored = await read_track(self._database, number, from_ms, _FAR_MS, ask)
            if live_ms not in stored["time"]:
                return  # history is out of what lies between: trips would be forgotten, not mended
            derivation = derive(stored, self._profile(ref), start)
            [row] = self._memory.state.drivers.rows(np.array([number], np.uint32)).tolist()
            if row >= 0 and apply_derivation(self._memory.state.drivers, row, derivation):
                since = start.arrival if start is not None else from_ms
                until_ms = int(derivation.state["time"][0])
                await self._store(scope, ref, since, until_ms, derivation.trips, derivation.visits)
                return

    def _profile(self, ref: DriverRef) -> MotionProfile:
        profiles = self._memory.profiles
        return profiles.get(ref.profile, profiles["default"])

    async def _waiting(self, partition: int, number: int) -> Waiting:
        return self._memory.history.of_driver(partition, number)

    async def _store(
        self,
        scope: Scope,
        ref: DriverRef,
        from_ms: int,
        until_ms: int,
        trips: NDArray[np.void],
        visits: NDArray[np.void],
    ) -> None:
        made_trips = [trip_document(trip, ref.tenant, ref.id) for trip in trips]
        made_visits = [visit_document(visit, ref.tenant, ref.id) for visit in visits]
        await self._motion.replace_from(scope, ref.id, from_ms + 1, made_trips, made_visits)
        await self._motion.add_events([_repaired(ref, from_ms + 1, until_ms)])
        log.debug("driver.repaired", trips=len(made_trips), visits=len(made_visits))


def _repaired(ref: DriverRef, from_ms: int, until_ms: int) -> dict[str, Any]:
    """Return the event that a driver's trips and visits of a span are others than told; told twice it harms nobody."""
    return {
        "_id": new_id("evt"),
        "tenant": ref.tenant,
        "type": "driver.trips_repaired",
        "aggregate": ref.id,
        "sequence": from_ms,
        "schema": SCHEMA_VERSION,
        "time": datetime.datetime.fromtimestamp(max(from_ms, until_ms) / 1000, tz=datetime.UTC),
        "data": {"driver": ref.id, "since": from_ms},
    }
