"""Typed references to virtual actors: `engine.driver(tenant, id).live()`, wherever the driver's shard is.

The owning shard is found through the partition; nobody keeps a handle. When the owner does not answer in time, live
state comes from the partition's last snapshot and says so: a read never fails because one actor died.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from redis.asyncio import Redis

from engine.asking import ShardDirectory
from engine.motion.late import dedupe
from engine.motion.profiles import limited_profiles
from engine.references import DeliveryActor, DriverActor
from engine.registry import DriverRef, DriverRegistry
from engine.settings import Settings
from engine.shards.drivers import DRIVER, live_records
from engine.shards.image import PartitionImage
from engine.sinks.archive import archive_root
from engine.sinks.archive_files import read_days
from engine.sinks.history import Waiting, read_track
from engine.time_machine import live_at
from models.documents.live import LiveDriver, live_driver
from models.errors import NotFound, StoreUnavailable
from models.geo import distances_m
from models.messages.fixes import DEGREE, STORED
from models.messages.live import LIVE, LiveFlag
from models.messages.records import join_records, relaid
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.motion import MotionRepository
from models.store.snapshots import SnapshotRepository

__all__ = ["Engine"]

_SNAPSHOT_KEEP_S = 5.0
_CONNECT_WITHIN_S = 30.0


class Engine:
    """The running engine, from any process of the cluster."""

    def __init__(self, settings: Settings, database: Database, redis: "Redis", registry: DriverRegistry) -> None:
        self._settings, self._database, self._registry = settings, database, registry
        self.shards = ShardDirectory(redis, settings)
        """Asks shards."""
        self.motion, self.deliveries = MotionRepository(database), DeliveryRepository(database)
        self._snapshots = SnapshotRepository(database)
        self._images: dict[int, tuple[float, NDArray[np.void]]] = {}

    async def start(self) -> None:
        """Join the Ray cluster, unless this process has."""
        if not ray.is_initialized():
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                await asyncio.to_thread(
                    ray.init,
                    address=self._settings.ray_address,
                    namespace=f"outrider-{self._settings.prefix}",
                    log_to_driver=False,
                    configure_logging=False,
                )
        await self.shards.start()

    async def stop(self) -> None:
        """Leave the cluster. May be called twice."""
        await self.shards.stop()
        if ray.is_initialized():
            await asyncio.to_thread(ray.shutdown)

    def driver(self, tenant: str, driver: str) -> DriverActor:
        """Return the reference of a driver, by its id or external id. Nothing is asked yet."""
        return DriverActor(self, tenant, driver)

    def delivery(self, tenant: str, delivery: str) -> DeliveryActor:
        """Return the reference of a delivery. Nothing is asked yet."""
        return DeliveryActor(self, tenant, delivery)

    async def find(self, tenant: str, driver: str) -> DriverRef:
        """Return who a driver is.

        Raises
        ------
        NotFound
            If the tenant has no such driver.
        """
        found = await self._registry.resolve(tenant, [driver])
        if driver not in found:
            raise NotFound("driver", driver)
        return found[driver]

    async def live_records(self, refs: Sequence[DriverRef]) -> NDArray[np.void]:
        """Return the `LIVE` records of drivers that have a position; `LiveFlag.STALE` marks those from a snapshot."""
        by_shard: dict[int | None, list[int]] = {}
        owners = await self.shards.owners_of([ref.partition for ref in refs])
        for ref in refs:
            by_shard.setdefault(owners.get(ref.partition), []).append(ref.number)
        asked = [(shard, numbers) for shard, numbers in by_shard.items() if shard is not None]
        answers = await asyncio.gather(*(self.shards.ask(shard, "live", numbers) for shard, numbers in asked))
        parts = [np.frombuffer(data, LIVE) for data in answers if data is not None]
        held = {number for part in parts for number in part["driver"].tolist()}
        absent = [ref for ref in refs if ref.number not in held]
        return join_records([*parts, *await self._absent(absent)], LIVE)

    async def live_of(self, tenant: str, drivers: Sequence[str]) -> dict[str, LiveDriver]:
        """Return those of a tenant's drivers that have a position, by id."""
        refs = await self._registry.resolve(tenant, drivers)
        numbered = {ref.number: ref for ref in refs.values()}
        records = await self.live_records(list(numbered.values()))
        found = [(record, numbered[int(record["driver"])]) for record in records]
        return {ref.id: live_driver(record, ref.id, ref.name) for record, ref in found}

    async def nearest(self, tenant: str, latitude: float, longitude: float, limit: int) -> list[LiveDriver]:
        """Return a tenant's drivers, nearest first; those of a shard that is away are left out."""
        answers = await self.shards.ask_all("nearest", tenant, latitude, longitude, limit)
        return await self._by_distance([data for _, data in answers], latitude, longitude, limit)

    async def all_nearest(self, tenant: str, latitude: float, longitude: float, limit: int) -> list[LiveDriver]:
        """Return a tenant's drivers, nearest first.

        Raises
        ------
        StoreUnavailable
            If a shard does not answer: its drivers would be missing, so ask again.
        """
        answers = await self.shards.ask_all("nearest", tenant, latitude, longitude, limit)
        if len(answers) < self._settings.shards.count:
            raise StoreUnavailable("a shard does not answer", 0.5)
        return await self._by_distance([data for _, data in answers], latitude, longitude, limit)

    async def watch(self, tenant: str, ttl_s: float) -> list[tuple[int, str, int, NDArray[np.void]]]:
        """Turn a tenant's live messages on for `ttl_s` and return (shard, life, message number, `LIVE` records).

        Raises
        ------
        StoreUnavailable
            If a shard does not answer: its drivers would be missing, so ask again.
        """
        answers = await self.shards.ask_all("watch", tenant, ttl_s)
        if len(answers) < self._settings.shards.count:
            raise StoreUnavailable("a shard does not answer", 0.5)
        return [(shard, boot, n, np.frombuffer(data, LIVE)) for shard, (boot, n, data) in answers]

    async def shard_statuses(self) -> list[dict[str, Any]]:
        """Return the status of each shard that answers."""
        return [status for _, status in await self.shards.ask_all("status")]

    async def read_track(self, ref: DriverRef, from_ms: int, to_ms: int) -> NDArray[np.void]:
        """Return a driver's fixes from shard, history and archive, each ping once."""

        async def ask() -> Waiting | None:
            answer = await self.shards.ask_owner(ref.partition, "waiting", ref.number, from_ms, to_ms)
            return None if answer is None else Waiting(np.frombuffer(answer[0], STORED), answer[1])

        stored = await read_track(self._database, ref.number, from_ms, to_ms, ask)
        oldest_ms = (time.time() - self._settings.history.keep_days * 86_400) * 1000
        if from_ms >= oldest_ms:
            return stored
        root: Path = archive_root(self._settings)
        archived = await asyncio.to_thread(read_days, root, ref.tenant, ref.number, from_ms, to_ms)
        return dedupe(join_records([archived, stored], STORED))

    async def live_at(self, ref: DriverRef, at_ms: int) -> LiveDriver:
        """Return where a driver was at an instant; raises NotFound as `engine.time_machine.live_at` does."""
        limits = self._settings.motion
        return await live_at(
            ref,
            at_ms,
            read_track=self.read_track,
            motion=self.motion,
            profiles=limited_profiles(limits.max_accuracy_m, limits.max_speed_mps),
            offline_after_ms=round(self._settings.shards.offline_after_s * 1000),
        )

    async def _by_distance(
        self, answers: Sequence[bytes], latitude: float, longitude: float, limit: int
    ) -> list[LiveDriver]:
        records = join_records([np.frombuffer(data, LIVE) for data in answers], LIVE)
        away_m = distances_m(records["lat"] / DEGREE, records["lon"] / DEGREE, latitude, longitude)
        records = records[np.argsort(away_m, kind="stable")[:limit]]
        refs = await self._registry.by_number(records["driver"].tolist())
        found = [(record, refs.get(int(record["driver"]))) for record in records]
        return [live_driver(record, ref.id, ref.name) for record, ref in found if ref is not None]

    async def _absent(self, refs: Sequence[DriverRef]) -> list[NDArray[np.void]]:
        """Return the records of drivers that no shard has in memory: put aside long ago, or on their way to a shard."""
        parts: list[NDArray[np.void]] = []
        numbers = {ref.number for ref in refs}
        passive = await self.motion.passive(list(numbers), DRIVER) if numbers else {}
        if passive:
            parts.append(live_records(np.frombuffer(b"".join(passive.values()), DRIVER)))
        for partition in {ref.partition for ref in refs if ref.number not in passive}:
            drivers = await self._snapshot(partition)
            stale = live_records(drivers[np.isin(drivers["number"], list(numbers)) & (drivers["time"] > 0)])
            stale["flags"] |= np.uint16(LiveFlag.STALE)
            parts.append(stale)
        return parts

    async def _snapshot(self, partition: int) -> NDArray[np.void]:
        until, drivers = self._images.get(partition, (0.0, np.empty(0, DRIVER)))
        if time.monotonic() < until:
            return drivers
        stored = (await self._snapshots.load([partition])).get(partition)
        if stored is not None and stored.data:
            image = await asyncio.to_thread(PartitionImage.unpack, stored.data)
            drivers = np.frombuffer(relaid(image.drivers, image.layouts[0], DRIVER), DRIVER)
        self._images[partition] = (time.monotonic() + _SNAPSHOT_KEEP_S, drivers)
        return drivers
