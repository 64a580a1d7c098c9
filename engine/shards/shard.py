"""One shard: reads the log of its partitions, applies it to memory, lets effects out. Decides nothing.

One task alone changes memory. After each round of a turn the offsets move with it, without an `await` in between, so
that whatever is read from memory belongs to one position of each log.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.log.read import POSITION_BITS, Entry, LogReader, Turn, assemble, split_rounds
from engine.motion.profiles import limited_profiles
from engine.partitions.epochs import Progress, commit_progress
from engine.registry import DriverRegistry
from engine.settings import Settings
from engine.shards.advance import repairs, sweep_offline, warm_up
from engine.shards.drivers import ABSENT
from engine.shards.effects import Effects, StopMoment, describe
from engine.shards.estimates import split_at_moments
from engine.shards.eta_desk import EtaDesk
from engine.shards.memory import ShardMemory
from engine.shards.outlet import EffectOutlet
from engine.shards.publish import Publisher
from engine.shards.recovery import take_over
from engine.shards.roster import Roster
from engine.shards.tenant_desk import TenantDesk
from engine.sinks.history import HistoryBuffer
from engine.sinks.repair import RepairDesk
from engine.sinks.sealing import HistorySink, Owned, SnapshotSink
from engine.supervisor import Supervisor
from engine.telemetry.metrics import BATCH_DURATION, FIXES_ADVANCED, LOG_LAG
from models.documents.closure import Closure
from models.documents.geofence import Geofence
from models.errors import Fenced, OutriderError
from models.ids import new_id
from models.messages import commands
from models.messages.fixes import FIX, Outcome
from models.store.connections import Database
from models.store.etas import EtaRepository
from models.store.legs import LegRepository
from models.store.motion import MotionRepository
from models.store.snapshots import SnapshotRepository

__all__ = ["Shard", "ShardPorts"]

log = structlog.get_logger(__name__)

_IDLE_BLOCK_MS = 20
_TURN_S = 0.008  # a turn costs about 0.4 ms however little it brings, and the door commits every 5 ms
_TURN_FIXES = 40_000  # about 40 ms of work, so that questions are answered in between while a shard catches up
_REPORT_S = 0.05
_SWEEP_S = 5.0
_RETRY_S = 0.25
_EXPECTED = (RedisError, PyMongoError, OSError, TimeoutError, OutriderError)
"""Faults of stores, after which the turn is tried again as it was."""


@dataclass(frozen=True, slots=True)
class ShardPorts:
    """What a shard asks of the business side."""

    all_fences: Callable[[], Awaitable[Iterable[Geofence]]]
    """Geofences of all tenants."""
    fences_of: Callable[[str], Awaitable[Iterable[Geofence]]]
    """Geofences of a tenant."""
    all_closures: Callable[[], Awaitable[Iterable[Closure]]]
    """Closures of all tenants that are not over."""
    closures_of: Callable[[str], Awaitable[Iterable[Closure]]]
    """Closures of a tenant that are not over."""
    on_stop: Callable[[StopMoment], Awaitable[None]]
    """Moves a delivery's status when its driver comes to or leaves a planned stop. Idempotent by event id."""


class Shard:
    """Live state of some partitions.

    Parameters
    ----------
    index
        Which of the shards this is.
    """

    def __init__(self, index: int, settings: Settings, database: Database, redis: "Redis", ports: ShardPorts) -> None:
        self.index, self.boot = index, new_id("bot")
        self._settings, self._database, self._redis = settings, database, redis
        self.memory = ShardMemory(
            profiles=limited_profiles(settings.motion.max_accuracy_m, settings.motion.max_speed_mps),
            history=HistoryBuffer(round(settings.history.slot_s * 1000)),
        )
        self.memory.state.offline_after_ms = round(settings.shards.offline_after_s * 1000)
        self.owned: dict[int, Owned] = {}
        self.publisher = Publisher(redis, settings.prefix, index, self.boot, self.memory)
        self._etas = EtaDesk(index, settings, database, redis, self.memory)
        self.estimates = self._etas.estimates
        self._fences = TenantDesk(ports.all_fences, ports.fences_of, self.memory.take_fences)
        self._closures = TenantDesk(ports.all_closures, ports.closures_of, self.memory.take_closures)
        motion = MotionRepository(database)
        self._roster = Roster(self.memory, DriverRegistry(database, settings.log.partitions), motion)
        self._snapshots = SnapshotRepository(database)
        self._reader = LogReader(redis, settings.prefix)
        legs = LegRepository(database)
        etas = EtaRepository(database)
        self._outlet = EffectOutlet(motion, etas, legs, self._etas.finishes, ports.on_stop, self.publisher)
        self._sink = HistorySink(settings, database, self.memory)
        self._images = SnapshotSink(settings, database, redis, self.memory, self.owned, self._outlet)
        self._repairs = RepairDesk(database, self.memory)
        self._supervisor = Supervisor(f"shard-{index}")
        self._wanted: dict[int, int] = {}
        self._told = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._reported: dict[int, tuple[int, int]] = {}
        self._next_report = self._next_sweep = self._next_publish = self._next_settle = 0.0
        self._lag_ms = 0
        self._fixes_an_entry = 100.0

    async def start(self) -> None:
        """Start the loops. Nothing is owned before the first `hold`."""
        await asyncio.to_thread(warm_up)
        self._supervisor.run("read", self._read_for_ever)
        self._supervisor.run("history", self._sink.run)
        self._supervisor.run("snapshots", self._images.run)
        self._supervisor.run("effects", self._outlet.run)
        self._supervisor.run("repair", self._repairs.run)
        for name, loop in self._etas.loops().items():
            self._supervisor.run(name, loop)
        await self._supervisor.start()

    async def stop(self) -> None:
        """Write everything down, give up all partitions and stop. May be called twice."""
        if not self._stopping:
            self._stopping = True
            self._told.set()
            async with asyncio.timeout(30.0):
                await self._stopped.wait()
            await self._supervisor.stop()
            await self._reader.close()

    def hold(self, assignment: Mapping[int, int]) -> dict[str, Any]:
        """Say which partitions this shard shall hold, and at which epoch that was decided; return how it is now.

        Taking and giving up happen in the loop.
        """
        self._wanted = dict(assignment)
        if self._wanted.keys() != self.owned.keys():
            self._told.set()
        return self.status()

    def status(self) -> dict[str, Any]:
        """Return how it is now."""
        return {
            "shard": self.index,
            "pid": os.getpid(),
            "boot": self.boot,
            "holding": sorted(self.owned),
            "drivers": self.memory.state.drivers.size,
            "pending": self.memory.history.size,
            "lag_ms": self._lag_ms,
            "counts": dict(self.memory.counts()),
        }

    def live(self, numbers: NDArray[np.uint32]) -> NDArray[np.void]:
        """Return the `LIVE` records of those drivers that are held here and have a fix."""
        drivers = self.memory.state.drivers
        rows = drivers.rows(numbers)
        rows = rows[rows != ABSENT]
        return drivers.live(rows[drivers.records["time"][rows] > 0])

    def watch(self, tenant: str, ttl_s: float) -> tuple[str, int, bytes]:
        """Publish a tenant's changes for `ttl_s`; return life, message number and all its `LIVE` records."""
        n = self.publisher.watch(tenant, ttl_s)
        records = self.memory.state.drivers.live(self.memory.rows_of_tenant(tenant))
        return self.boot, n, records.tobytes()

    async def _read_for_ever(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            try:
                with self._forgetting_at_faults():
                    await self._settle_ownership()
                    is_busy = await self._turn()
            except _EXPECTED as error:
                log.warning("shard.interrupted", shard=self.index, error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                await asyncio.sleep(max(0.0, _TURN_S - (time.monotonic() - began)) if is_busy else 0)
        await self._give_up(list(self.owned))
        self._stopped.set()

    @contextlib.contextmanager
    def _forgetting_at_faults(self) -> Iterator[None]:
        """Forget all partitions before a fault goes on to the supervisor, which logs, counts and starts the loop again.

        Memory may be in the middle of a step then, and nobody may take an image of it; what the stores hold is whole.
        """
        is_whole = False
        try:
            yield
            is_whole = True
        except _EXPECTED:
            is_whole = True
            raise
        finally:
            for partition in [] if is_whole else list(self.owned):
                self._forget(partition)

    async def _turn(self) -> bool:
        """Read and apply what waits, and tell whether there was anything."""
        if not self.owned:
            self._told.clear()
            if not self._wanted and not self._stopping:
                await self._told.wait()
            return False
        await self._sink.room()
        offsets = {partition: owned.offset for partition, owned in self.owned.items()}
        limit = self._settings.shards.read_max_entries
        count = min(limit, max(1, int(_TURN_FIXES / self._fixes_an_entry / len(offsets))))
        turn = await self._reader.read(offsets, count=count, block_ms=_IDLE_BLOCK_MS)
        self._leave_fenced(turn.epochs)
        entries = {partition: items for partition, items in turn.entries.items() if partition in self.owned}
        began = time.perf_counter()
        if entries:
            for part in split_at_moments(entries):
                await self._pass_moments({p: items[0].position >> POSITION_BITS for p, items in part.items()})
                for fixes, messages in split_rounds(part):
                    await self._round(fixes, messages)
            BATCH_DURATION.observe(time.perf_counter() - began)
        self._measure(turn)
        await self._pass_moments({p: turn.clock_ms for p in self.owned if p not in turn.more})
        await self._publish()
        await self._sweep(turn)
        await self._report()
        return bool(entries)

    async def _pass_moments(self, upto: Mapping[int, int]) -> None:
        """Estimate arrivals at the moments of log time before which everything has been applied."""
        for effects in await self._etas.pass_to(upto):
            self._outlet.put(effects)

    async def _round(self, entries: Mapping[int, Sequence[Entry]], messages: Sequence[tuple[int, Entry]]) -> None:
        batch = assemble(entries)
        if entries:
            self._fixes_an_entry = max(1.0, batch.fixes.size / sum(len(items) for items in entries.values()))
        decoded = [(partition, entry, _decoded(entry)) for partition, entry in messages]
        await self._roster.gather(batch.fixes["driver"], [message for _, _, message in decoded], self.owned)
        await self._fences.refresh()
        await self._closures.refresh()
        if batch.fixes.size:
            step, batch = self.memory.apply(batch)
            self.publisher.note(step.changed)
            self._outlet.put(self._described(step.events, batch.fixes))
            if step.repair.any():
                rows = self.memory.state.drivers.rows(batch.fixes["driver"])
                self._repairs.note(repairs(step, batch.fixes, rows))
            for outcome in Outcome:
                FIXES_ADVANCED.labels(outcome.name.lower()).inc(int((step.outcomes == outcome).sum()))
        for partition, items in entries.items():
            self.owned[partition].offset = items[-1].position
        for partition, entry, message in decoded:
            self._follow(partition, entry.position, message)
            self.owned[partition].offset = entry.position
        await self._roster.refresh()
        await self._outlet.room()

    def _described(self, events: NDArray[np.void], fixes: NDArray[np.void]) -> Effects:
        """Return what events let out into the world, and what they say of estimates."""
        effects = describe(events, fixes, self.memory)
        effects.extend(self.estimates.note(events))
        return effects

    def _follow(self, partition: int, position: int, message: commands.LogMessage | None) -> None:
        match message:
            case commands.DeliveryAssigned():
                if self.memory.assign(message):
                    self._note_driver(message.driver)
            case commands.DeliveryChanged():
                if (arrivals := self.memory.reported(message, position)).size:
                    self._outlet.put(self._described(arrivals, np.zeros(0, FIX)))
                if self.memory.change(message):
                    self._note_driver(message.driver)
            case commands.RoutePlanned():
                self.memory.take_route(message)
            case commands.FencesChanged():
                self._fences.note_changed(message.tenant)
            case commands.ClosuresChanged():
                self._closures.note_changed(message.tenant)
            case commands.TenantChanged():
                self._roster.note_tenant_changed(message.tenant, partition)
                self._etas.note_tenant_changed(message.tenant)
            case commands.PositionsErased():
                self.memory.erase(message.driver)
            case commands.DriverChanged():
                self._roster.note_changed(message.driver)
            case None:
                pass

    def _note_driver(self, number: int) -> None:
        rows = self.memory.state.drivers.rows(np.array([number], np.uint32))
        self.publisher.note(rows[rows != ABSENT])

    async def _settle_ownership(self) -> None:
        """Give up and take what `hold` said; while a store is away for that, what is owned goes on."""
        leaving = [partition for partition in self.owned if partition not in self._wanted]
        fresh = {partition: epoch for partition, epoch in self._wanted.items() if partition not in self.owned}
        if not (leaving or fresh) or time.monotonic() < self._next_settle:
            return
        try:
            await self._give_up(leaving)
            if fresh and not self._stopping:
                self.owned |= await take_over(
                    fresh,
                    shard=self.index,
                    prefix=self._settings.prefix,
                    redis=self._redis,
                    snapshots=self._snapshots,
                    memory=self.memory,
                )
                # what was not to be had is somebody else's until the next order says otherwise
                self._wanted = {p: epoch for p, epoch in self._wanted.items() if p in self.owned}
        except (RedisError, PyMongoError, OSError, TimeoutError, Fenced) as error:
            self._next_settle = time.monotonic() + _RETRY_S
            log.warning("partitions.unsettled", shard=self.index, error=str(error))
            if not self.owned:
                await asyncio.sleep(_RETRY_S)

    async def _give_up(self, partitions: Sequence[int]) -> None:
        """Write a partition's snapshot, which holds what waits for history, then forget it: its next owner goes on."""
        if not partitions:
            return
        await self._images.save(partitions)
        await self._report(now=True)
        for partition in partitions:
            self._forget(partition)
        log.info("partitions.given_up", shard=self.index, partitions=len(partitions))

    def _leave_fenced(self, epochs: Mapping[int, int]) -> None:
        for partition in [p for p, owned in self.owned.items() if epochs.get(p, 0) > owned.epoch]:
            self._leave(Fenced(partition, self.owned[partition].epoch, epochs[partition]))

    def _leave(self, fault: Fenced) -> None:
        log.warning("partition.lost", shard=self.index, partition=fault.partition, epoch=fault.mine, new=fault.current)
        self._forget(fault.partition)
        self._wanted.pop(fault.partition, None)

    def _forget(self, partition: int) -> None:
        self.owned.pop(partition, None)
        self._reported.pop(partition, None)
        self.memory.drop(partition)

    def _measure(self, turn: Turn) -> None:
        for partition, owned in self.owned.items():
            self.memory.history.read_to(partition, owned.offset, None if partition in turn.more else turn.clock_ms)
        self._sink.look()
        behind = [items[-1].position >> 20 for partition, items in turn.entries.items() if partition in turn.more]
        self._lag_ms = turn.clock_ms - min(behind) if behind else 0
        LOG_LAG.set(self._lag_ms / 1000)

    async def _publish(self) -> None:
        now = time.monotonic()
        if now < self._next_publish:
            return
        messages = self.publisher.take()
        if messages:
            self._next_publish = now + self._settings.shards.publish_interval_ms / 1000
            await self.publisher.send(messages)

    async def _sweep(self, turn: Turn) -> None:
        now = time.monotonic()
        if now < self._next_sweep or turn.more:
            return
        self._next_sweep = now + _SWEEP_S
        after_ms = self.memory.state.offline_after_ms
        silent = sweep_offline(self.memory.state, turn.clock_ms, after_ms)
        if silent.size:
            self.publisher.note(silent["row"])
            self._outlet.put(describe(silent, silent[:0], self.memory))
        idle_ms = turn.clock_ms - round(self._settings.shards.passivate_after_s * 1000)
        await self._roster.passivate(idle_ms)

    async def _report(self, *, now: bool = False) -> None:
        if not now and time.monotonic() < self._next_report:
            return
        progress = {
            partition: Progress(owned.epoch, owned.offset, durable)
            for partition, owned in self.owned.items()
            if self._reported.get(partition) != (owned.offset, durable := self.memory.history.durable(partition))
        }
        if not progress:
            return
        self._next_report = time.monotonic() + _REPORT_S
        try:
            await commit_progress(self._redis, self._settings.prefix, progress)
        except Fenced as fault:
            self._leave(fault)
            return
        self._reported |= {partition: (state.processed, state.durable) for partition, state in progress.items()}


def _decoded(entry: Entry) -> commands.LogMessage | None:
    try:
        return commands.decode(entry.data)
    except msgspec.MsgspecError as error:
        log.error("message.unreadable", position=entry.position, error=str(error))  # noqa: TRY400  # the line says it
        return None
