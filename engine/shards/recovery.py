"""How a shard comes into a partition: epoch first, then the snapshot, then the log from there."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from redis.asyncio import Redis

from engine.partitions.epochs import take_partition
from engine.shards.image import PartitionImage
from engine.shards.memory import ShardMemory
from engine.sinks.sealing import Owned
from models.errors import Fenced
from models.store.snapshots import SnapshotRepository

__all__ = ["take_over"]

log = structlog.get_logger(__name__)


async def take_over(
    assignment: Mapping[int, int],
    *,
    shard: int,
    prefix: str,
    redis: "Redis",
    snapshots: SnapshotRepository,
    memory: ShardMemory,
) -> dict[int, Owned]:
    """Make a shard the owner of partitions and bring their snapshots into memory.

    The epoch is raised in both stores before the snapshot is read, so that the owner before can neither trim the log
    beyond it nor put another in its place.

    Parameters
    ----------
    assignment
        Partition to the epoch at which the supervisor ordered it; one that has moved on since is left alone.

    Returns
    -------
    dict
        Partition to its epoch and the log position to read on from. Nothing was brought in if this raises.
    """
    began = time.monotonic()
    written = await snapshots.epochs(list(assignment))
    epochs: dict[int, int] = {}
    for partition, expected in assignment.items():
        above = written.get(partition, 0)
        try:
            epochs[partition] = await take_partition(
                redis, prefix, partition, shard=shard, expected=expected, above=above
            )
        except Fenced as fault:
            log.info("order.outdated", shard=shard, partition=partition, epoch=expected, current=fault.current)
    if not epochs:
        return {}
    await snapshots.claim(epochs)
    stored = await snapshots.load(list(epochs))
    images = {
        partition: await asyncio.to_thread(PartitionImage.unpack, snapshot.data)
        for partition, snapshot in stored.items()
        if snapshot.data
    }
    owned = {}
    for partition, epoch in epochs.items():
        offset = stored[partition].offset if partition in images else 0
        if partition in images:
            memory.restore(partition, offset, images[partition])
        else:
            memory.begin(partition)
        owned[partition] = Owned(epoch, offset)
    log.info(
        "partitions.taken",
        shard=shard,
        partitions=len(owned),
        drivers=memory.state.drivers.size,
        duration_ms=round((time.monotonic() - began) * 1000),
    )
    return owned
