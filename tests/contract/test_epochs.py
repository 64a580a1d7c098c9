"""Fencing: whoever lost a partition can write nothing for it any more."""

from typing import Any

import msgspec
import pytest

from engine.log.trim import trim
from engine.partitions.epochs import Progress, commit_progress, read_epochs, take_partition
from models.errors import Fenced
from models.messages.log import entry_position, stream_key

OLD, NEW = Progress(1, 2**60 + 1, 5), Progress(2, 2**60 + 3, 7)


async def test_every_taker_gets_a_higher_epoch(redis: Any, prefix: str) -> None:
    takes = [(shard, expected) for expected, shard in enumerate((0, 1, 0))]
    epochs = [await take_partition(redis, prefix, 3, shard=shard, expected=at, above=0) for shard, at in takes]
    assert epochs == [1, 2, 3]
    assert await read_epochs(redis, prefix) == {3: 3}
    assert await redis.hget(f"{prefix}:owners", "3") == b"0"


async def test_epoch_rises_above_the_snapshots_even_if_redis_forgot(redis: Any, prefix: str) -> None:
    assert await take_partition(redis, prefix, 0, shard=0, expected=0, above=41) == 42


async def test_outdated_order_takes_nothing(redis: Any, prefix: str) -> None:
    await take_partition(redis, prefix, 0, shard=1, expected=0, above=0)
    with pytest.raises(Fenced):
        await take_partition(redis, prefix, 0, shard=0, expected=0, above=0)
    assert await redis.hget(f"{prefix}:owners", "0") == b"1"


async def test_progress_of_an_outdated_owner_changes_nothing(redis: Any, prefix: str) -> None:
    for expected in range(2):
        await take_partition(redis, prefix, 0, shard=0, expected=expected, above=0)
    await commit_progress(redis, prefix, {0: NEW})
    with pytest.raises(Fenced) as fault:
        await commit_progress(redis, prefix, {0: OLD})
    assert (fault.value.mine, fault.value.current) == (1, 2)
    assert await redis.hget(f"{prefix}:processed", "0") == str(NEW.processed).encode()


async def test_one_lost_partition_stops_the_whole_commit(redis: Any, prefix: str) -> None:
    await take_partition(redis, prefix, 0, shard=0, expected=0, above=0)
    await take_partition(redis, prefix, 1, shard=1, expected=0, above=5)
    with pytest.raises(Fenced):
        await commit_progress(redis, prefix, {0: OLD, 1: OLD})
    assert await redis.hgetall(f"{prefix}:processed") == {}


async def test_progress_is_told_exactly(redis: Any, prefix: str) -> None:
    await take_partition(redis, prefix, 9, shard=0, expected=0, above=0)
    async with redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(f"{prefix}:progress")
        await channel.get_message(timeout=1.0)
        await commit_progress(redis, prefix, {9: OLD})
        message = await channel.get_message(timeout=5.0)
    assert msgspec.msgpack.decode(message["data"]) == {9: [OLD.processed, OLD.durable]}


async def test_outdated_owner_trims_nothing(redis: Any, prefix: str) -> None:
    entries = [await redis.xadd(stream_key(prefix, 0), {"f": bytes(5000)}) for _ in range(300)]
    for expected in range(2):
        await take_partition(redis, prefix, 0, shard=0, expected=expected, above=0)
    before = entry_position(entries[-1])
    assert not await trim(redis, prefix, 0, epoch=1, before=before)
    assert await redis.xlen(stream_key(prefix, 0)) == 300
    assert await trim(redis, prefix, 0, epoch=2, before=before)
    assert await redis.xlen(stream_key(prefix, 0)) < 110
