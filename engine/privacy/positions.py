"""A driver's positions in a running engine: in its shard's memory, in the log and in the partition's snapshot.

The order goes through the log, so whoever takes the partition over from there obeys it too. It is done when there is a
snapshot from a time when history had passed it: such a snapshot holds no fix from before the order, so nobody writes
one again, and nobody replays what lies before in the log, which is then cut off.
"""

import asyncio

from redis.asyncio import Redis

from engine.partitions.epochs import read_epochs
from engine.settings import Settings
from models.errors import StoreUnavailable
from models.messages.commands import PositionsErased, encode
from models.messages.log import EVENT_FIELD, PartitionId, entry_position, partition_of, stream_key
from models.store.connections import Database
from models.store.snapshots import SnapshotRepository

__all__ = ["RunningPositions"]

_LOOK_S = 0.2
_SNAPSHOTS = 4.0  # intervals in which a shard that runs has written its snapshot
_AGAIN_S = 10.0


class RunningPositions:
    """Where drivers are in the engine."""

    def __init__(self, database: Database, redis: "Redis", settings: Settings) -> None:
        self._redis, self._settings = redis, settings
        self._snapshots = SnapshotRepository(database)

    async def forget(self, tenant: str, driver: str, number: int) -> None:
        """Let the engine forget where a driver has been until now; its next position begins anew.

        Raises
        ------
        StoreUnavailable
            If no shard has done so in time; asking again does no harm.
        """
        prefix = self._settings.prefix
        partition = partition_of(tenant, driver, self._settings.log.partitions)
        if partition not in await read_epochs(self._redis, prefix):
            return  # no shard has ever held it
        stream = stream_key(prefix, partition)
        entry = await self._redis.xadd(stream, {EVENT_FIELD: encode(PositionsErased(tenant=tenant, driver=number))})
        within_s = _SNAPSHOTS * (self._settings.shards.snapshot_interval_s + self._settings.history.slot_s)
        try:
            async with asyncio.timeout(within_s):
                await self._until_passed(partition, entry_position(entry))
        except TimeoutError as fault:
            raise StoreUnavailable(f"the shard of partition {partition} does not get on", _AGAIN_S) from fault
        await self._redis.xtrim(stream, minid=entry, approximate=False)

    async def _until_passed(self, partition: PartitionId, position: int) -> None:
        """Wait until a partition's snapshot says that history was past a position of its log."""
        while True:
            if await self._snapshots.durable(partition) >= position:
                return
            await asyncio.sleep(_LOOK_S)
