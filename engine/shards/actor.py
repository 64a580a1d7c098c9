"""A shard as a Ray actor: a process of its own with a name, and nothing but calls handed on.

Bytes go in and out; a caller reads them with `engine.client`. Ray restarts the actor when its process dies; the next
`heartbeat` brings the partitions back.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import ray
import ray.util

from engine.deliveries.commands import DeliveryCommands, StopEdge
from engine.keys.lists import wrapping_keys
from engine.settings import Settings
from engine.shards.answers import ShardAnswers
from engine.shards.effects import StopMoment
from engine.shards.line import AnswerServer
from engine.shards.shard import Shard, ShardPorts
from engine.supervisor import Supervisor
from engine.telemetry.logging import configure_logging
from models.store.connections import Database, connect_mongo, connect_redis
from models.store.fleet import ClosureRepository
from models.store.geofences import GeofenceRepository

__all__ = ["ShardActor", "shard_name"]

_MOST_AT_ONCE = 200  # calls in flight
_SWITCH_S = 0.0005  # a question crosses four threads on its way in and out; at Python's 5 ms each, it waited 16 ms
_remote_util: Any = ray.util  # untyped
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
        self._line: Supervisor | None = None

    async def heartbeat(self, assignment: dict[int, int]) -> dict[str, Any]:
        """Hold these partitions from now on, each as of an epoch; return the shard's status."""
        return (await self._ready()).hold(assignment)

    async def answer(self, method: str, arguments: Sequence[Any]) -> Any:
        """Answer a question (`ShardAnswers`); most come in over the direct line instead."""
        return ShardAnswers(await self._ready()).answer(method, *arguments)

    async def stop(self) -> None:
        """Write everything down and give up all partitions."""
        if self._line is not None:
            await self._line.stop()
        if self._shard is not None:
            await self._shard.stop()

    async def _ready(self) -> Shard:
        async with self._starting:
            if self._shard is None:
                shard = await self._made()
                await shard.start()
                self._line = await self._answering(shard)
                self._shard = shard
        return self._shard

    async def _made(self) -> Shard:
        settings = self._settings
        if settings.mongo_url is None or settings.redis_url is None:
            raise ValueError("a shard needs the addresses of its stores")
        database = connect_mongo(
            settings.mongo_url.get_secret_value(),
            settings.database,
            wrapping_keys(settings),
            apart=settings.tenants_apart,
        )
        self._redis = connect_redis(settings.redis_url.get_secret_value())
        return Shard(self._index, settings, database, self._redis, _ports(database, settings))

    async def _answering(self, shard: Shard) -> Supervisor:
        """Open the direct line to a shard."""
        host: str = _remote_util.get_node_ip_address()
        server = AnswerServer(self._index, ShardAnswers(shard).answer, self._redis, self._settings.prefix, host)
        supervisor = Supervisor(f"line-{self._index}")
        supervisor.run("line", server.run)
        await supervisor.start()
        return supervisor


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

    closures = ClosureRepository(database)
    return ShardPorts(fences.everywhere, fences.of, closures.everywhere, closures.coming, on_stop)
