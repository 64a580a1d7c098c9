"""A shard as a Ray actor: a process of its own with a name, and nothing but calls handed on.

Bytes go in and out; a caller reads them with `engine.client`. Ray restarts the actor when its process dies; the next
`heartbeat` brings the partitions back.
"""

import asyncio
import sys
from typing import Any

import msgspec
import numpy as np
import ray

from engine.deliveries.commands import DeliveryCommands, StopEdge
from engine.settings import Settings
from engine.shards.effects import StopMoment
from engine.shards.shard import Shard, ShardPorts
from engine.telemetry.logging import configure_logging
from models.messages.records import take_records
from models.store.connections import Database, connect_mongo, connect_redis
from models.store.geofences import GeofenceRepository

__all__ = ["ShardActor", "shard_name"]

_MOST_AT_ONCE = 200  # calls in flight
_SWITCH_S = 0.0005  # a question crosses four threads on its way in and out; at Python's 5 ms each, it waited 16 ms
_remote: Any = ray.remote  # its types know tasks alone, not the options of actors


def shard_name(index: int) -> str:
    """Return the name of a shard's actor in the namespace."""
    return f"shard-{index}"


@_remote(max_restarts=-1, max_concurrency=_MOST_AT_ONCE, num_cpus=0)
class ShardActor:
    """One shard."""

    def __init__(self, index: int, settings: Settings) -> None:
        configure_logging(settings.log_level)
        sys.setswitchinterval(_SWITCH_S)
        self._index, self._settings = index, settings
        self._starting = asyncio.Lock()
        self._shard: Shard | None = None

    async def heartbeat(self, assignment: dict[int, int]) -> dict[str, Any]:
        """Hold these partitions from now on, each as of an epoch; return the shard's status."""
        return (await self._ready()).hold(assignment)

    async def status(self) -> dict[str, Any]:
        """Return the shard's status."""
        return (await self._ready()).status()

    async def stop(self) -> None:
        """Write everything down and give up all partitions."""
        if self._shard is not None:
            await self._shard.stop()

    async def live(self, numbers: list[int]) -> bytes:
        """Return the `LIVE` records of those drivers that are held here."""
        return (await self._ready()).live(np.array(numbers, np.uint32)).tobytes()

    async def watch(self, tenant: str, ttl_s: float) -> tuple[str, int, bytes]:
        """Publish a tenant's changes for `ttl_s`; return life, message number and all its `LIVE` records."""
        return (await self._ready()).watch(tenant, ttl_s)

    async def nearest(self, tenant: str, latitude: float, longitude: float, limit: int) -> bytes:
        """Return `LIVE` records of a tenant's drivers, nearest first."""
        return (await self._ready()).nearest(tenant, latitude, longitude, limit).tobytes()

    async def waiting(self, number: int, from_ms: int, to_ms: int) -> tuple[bytes, float]:
        """Return a driver's `STORED` records of `[from_ms, to_ms]` that history lacks, as `Waiting` has them."""
        waiting = (await self._ready()).waiting(number)
        inside = (waiting.stored["time"] >= from_ms) & (waiting.stored["time"] <= to_ms)
        return take_records(waiting.stored, inside).tobytes(), waiting.since_written_s

    async def stops(self, number: int) -> bytes:
        """Return a driver's open stops as JSON."""
        return msgspec.json.encode((await self._ready()).memory.open_stops(number))

    async def _ready(self) -> Shard:
        async with self._starting:
            if self._shard is None:
                shard = await self._made()
                await shard.start()
                self._shard = shard
        return self._shard

    async def _made(self) -> Shard:
        settings = self._settings
        if settings.mongo_url is None or settings.redis_url is None:
            raise ValueError("a shard needs the addresses of its stores")
        database = connect_mongo(settings.mongo_url.get_secret_value(), settings.database)
        redis = connect_redis(settings.redis_url.get_secret_value())
        return Shard(self._index, settings, database, redis, _ports(database, settings))


def _ports(database: Database, settings: Settings) -> ShardPorts:
    deliveries, fences = DeliveryCommands(database, settings.log.partitions), GeofenceRepository(database)

    async def on_stop(moment: StopMoment) -> None:
        edge = StopEdge(
            event=moment.event,
            tenant=moment.tenant,
            driver=moment.driver,
            delivery=moment.delivery,
            stop=moment.kind,
            edge=moment.moment,
            time_ms=moment.time_ms,
            latitude=moment.latitude,
            longitude=moment.longitude,
        )
        await deliveries.follow(edge)

    return ShardPorts(fences.everywhere, on_stop)
