"""A small fleet for tests of the engine's inside: drivers in MongoDB, fixes on the log, shards over both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr
from redis.exceptions import RedisError

from engine.client import Engine
from engine.ending import end_task
from engine.partitions.epochs import read_epochs
from engine.partitions.supervisor import ShardSupervisor
from engine.registry import DriverRegistry
from engine.settings import Settings
from engine.shards.effects import StopMoment
from engine.shards.shard import Shard, ShardPorts
from models.messages.fixes import FIX
from models.messages.log import FIXES_FIELD, entry_position, stream_key
from models.store.connections import Database, connect_mongo, connect_redis
from models.store.drivers import DriverRepository, NewDriver
from models.store.fleet import ClosureRepository
from models.store.geofences import GeofenceRepository
from models.store.indexes import ensure_indexes
from models.store.scope import Scope
from tests.builders import a_fix
from tests.stack import MASTER_KEYS, Stores, eventually

PARTITIONS = 4


class Fleet:
    """Drivers of one tenant and the log that their fixes go to."""

    def __init__(self, settings: Settings, database: Database, redis: Any, tenant: str) -> None:
        self.settings, self.database, self.redis, self.tenant = settings, database, redis, tenant
        self.numbers: list[int] = []
        self.ids: list[str] = []
        self.partitions: dict[int, int] = {}
        self.sent: list[NDArray[np.void]] = []
        self.moments: list[StopMoment] = []

    async def recruit(self, count: int) -> None:
        """Make drivers."""
        drivers = DriverRepository(self.database, PARTITIONS)
        made = await drivers.create_many(
            Scope(self.tenant, "test"), [NewDriver(f"driver {place}") for place in range(count)]
        )
        self.numbers += [driver.number for driver in made]
        self.ids += [driver.id for driver in made]
        self.partitions |= {driver.number: driver.partition for driver in made}

    async def send(self, fixes: NDArray[np.void]) -> dict[int, int]:
        """Put fixes on the log, an entry a partition, and return the positions."""
        self.sent.append(fixes)
        partitions = np.array([self.partitions[number] for number in fixes["driver"].tolist()])
        positions = {}
        for partition in np.unique(partitions).tolist():
            data = fixes[partitions == partition].astype(FIX).tobytes()
            entry = await self.redis.xadd(stream_key(self.settings.prefix, partition), {FIXES_FIELD: data})
            positions[partition] = entry_position(entry)
        return positions

    async def drive(self, start: int, rounds: int) -> dict[int, int]:
        """Send `rounds` fixes of every driver, 10 s and 50 m apart, an entry a round."""
        positions: dict[int, int] = {}
        for turn in range(start, start + rounds):
            fixes = [a_fix(10.0 * turn, 50.0 * turn, driver=number) for number in self.numbers]
            positions |= await self.send(np.stack(fixes))
        return positions

    async def answers(self) -> bool:
        """Tell whether the log's server answers."""
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False

    def shard(self, index: int = 0) -> Shard:
        """Return a shard over the fleet's stores, with connections of its own."""
        mongo, redis = self.settings.mongo_url, self.settings.redis_url
        assert mongo is not None
        assert redis is not None
        database = _connected(self.settings, mongo)
        fences, closures = GeofenceRepository(database), ClosureRepository(database)

        async def on_stop(moment: StopMoment) -> None:
            self.moments.append(moment)

        ports = ShardPorts(fences.everywhere, fences.of, closures.everywhere, closures.coming, on_stop)
        return Shard(index, self.settings, database, connect_redis(redis.get_secret_value()), ports)

    @contextlib.asynccontextmanager
    async def running(self, index: int = 0, partitions: Sequence[int] = range(PARTITIONS)) -> AsyncIterator[Shard]:
        """Run a shard that holds partitions; stop it at the end."""
        shard = self.shard(index)
        await shard.start()
        try:
            await self.give(shard, partitions)
            yield shard
        finally:
            await shard.stop()

    async def give(self, shard: Shard, partitions: Sequence[int]) -> None:
        """Let a shard hold these partitions; return when it does."""

        async def is_held() -> bool:
            epochs = await read_epochs(self.redis, self.settings.prefix)
            status = shard.hold({partition: epochs.get(partition, 0) for partition in partitions})
            held: bool = status["holding"] == sorted(partitions)
            return held

        await eventually(is_held, 20)

    async def reached(self, positions: dict[int, int], what: str = "processed") -> None:
        """Wait until the shards say that they are as far as these positions."""

        async def is_reached() -> bool:
            raw = await self.redis.hgetall(f"{self.settings.prefix}:{what}")
            return all(int(raw.get(str(partition).encode(), 0)) >= at for partition, at in positions.items())

        await eventually(is_reached, 20)


@contextlib.asynccontextmanager
async def a_fleet(
    stores: Stores,
    tenant: str,
    prefix: str,
    drivers: int,
    motion: dict[str, float] | None = None,
    tenancy: Literal["shared", "database"] = "shared",
    slot_s: float = 0.3,
    **shards: Any,
) -> AsyncIterator[Fleet]:
    """Return a fleet with a database and a key prefix of its own; both go at the end."""
    tree = Settings(
        mongo_url=SecretStr(stores.mongo_url),
        redis_url=SecretStr(stores.redis_url),
        master_keys=MASTER_KEYS,
        database=f"outrider_{prefix.replace('-', '_')}",
        prefix=prefix,
        log={"partitions": PARTITIONS},
        history={"slot_s": slot_s},
        shards={"snapshot_interval_s": 0.5, **shards},
        motion=motion or {},
        tenancy=tenancy,
    )
    database = _connected(tree, SecretStr(stores.mongo_url))
    redis = connect_redis(stores.redis_url)
    await ensure_indexes(database)
    fleet = Fleet(tree, database, redis, tenant)
    await fleet.recruit(drivers)
    try:
        yield fleet
    finally:
        for name in await database.client.list_database_names():
            if name.startswith(tree.database):
                await database.client.drop_database(name)
        database.client.close()
        keys = [key async for key in redis.scan_iter(f"{prefix}:*")]
        if keys:
            await redis.delete(*keys)
        await redis.aclose()


def _connected(settings: Settings, mongo: SecretStr) -> Database:
    return connect_mongo(
        mongo.get_secret_value(), settings.database, settings.master_keys, apart=settings.tenants_apart
    )


async def kill(shard: Shard) -> None:
    """End a shard's tasks where they are, as the end of its process would: nothing more is written."""
    tasks = [task for task in asyncio.all_tasks() if (task.get_name() or "").startswith(f"shard-{shard.index}.")]
    await asyncio.gather(*map(end_task, tasks))  # one `cancel` may be lost in a Redis client that connects


@contextlib.asynccontextmanager
async def supervised(fleet: Fleet) -> AsyncIterator[tuple[ShardSupervisor, Engine]]:
    """Run the fleet's shards as actors, and an engine to ask them."""
    supervisor = ShardSupervisor(fleet.settings, fleet.redis)
    engine = Engine(fleet.settings, fleet.database, fleet.redis, DriverRegistry(fleet.database, PARTITIONS))
    await supervisor.start()
    beating = asyncio.get_running_loop().create_task(supervisor.run(), name="beat")
    await engine.start()
    try:
        yield supervisor, engine
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await supervisor.stop()
