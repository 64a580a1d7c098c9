"""The append side of the ingest log against a real server: what accepted means, and when the door says no."""

import asyncio
import contextlib

import msgspec
import numpy as np
import pytest

from engine.log.append import LogAppender
from engine.log.watermark import Watermark
from engine.settings import LogSettings, Settings
from models.errors import EngineSaturated, StoreUnavailable
from models.messages.fixes import FIX
from models.messages.log import EVENT_FIELD, FIXES_FIELD, entry_position, stream_key
from models.store.connections import connect_redis
from tests.stack import eventually


def fixes_of(*drivers: int) -> np.ndarray:
    fixes = np.zeros(len(drivers), FIX)
    fixes["driver"] = drivers
    fixes["seq"] = np.arange(len(drivers))
    return fixes


def partitions_of(*partitions: int) -> np.ndarray:
    return np.array(partitions, np.uint16)


@contextlib.asynccontextmanager
async def appending(redis, prefix, **limits):
    appender = LogAppender(redis, Settings(prefix=prefix, log=LogSettings(**limits)))
    await appender.start()
    try:
        yield appender
    finally:
        await appender.stop()


@pytest.fixture
async def appender(redis, prefix):
    async with appending(redis, prefix) as running:
        yield running


async def logged(redis, prefix, partition):
    entries = await redis.xrange(stream_key(prefix, partition))
    return np.concatenate([np.frombuffer(fields[FIXES_FIELD], FIX) for _, fields in entries])


async def progress(redis, prefix, positions, *, durable=True):
    message = {partition: (position, position if durable else 0) for partition, position in positions.items()}
    await redis.publish(f"{prefix}:progress", msgspec.msgpack.encode(message))


async def test_each_partition_gets_its_fixes_in_order(appender, redis, prefix):
    commit = await appender.append(fixes_of(1, 2, 1, 3, 2), partitions_of(5, 0, 5, 63, 0))
    assert (await logged(redis, prefix, 5))["seq"].tolist() == [0, 2]
    assert (await logged(redis, prefix, 0))["seq"].tolist() == [1, 4]
    (entry, _), *_ = await redis.xrange(stream_key(prefix, 63))
    assert commit.positions[63] == entry_position(entry)


async def test_concurrent_callers_share_commits(appender, redis, prefix):
    await asyncio.gather(*[appender.append(fixes_of(n), partitions_of(0)) for n in range(500)])
    assert (await logged(redis, prefix, 0))["driver"].tolist() == list(range(500))
    assert appender.commits < 20


async def test_messages_and_fixes_share_the_stream(appender, redis, prefix):
    position = await appender.append_message(3, b"said")
    (entry, fields), *_ = await redis.xrange(stream_key(prefix, 3))
    assert (entry_position(entry), fields) == (position, {EVENT_FIELD: b"said"})


async def test_a_listener_hears_once_a_commit(appender):
    heard: list[tuple[int, int]] = []
    done = asyncio.Event()

    class Listener:
        def committed(self, commit, token):
            heard.append((commit.number, token))
            if token == 300:
                done.set()

        def failed(self, error):
            raise error

    listener = Listener()
    for token in range(1, 301):
        appender.offer(fixes_of(1).tobytes(), partitions_of(0).tobytes(), listener, token)
    await asyncio.wait_for(done.wait(), 5)
    assert len(heard) == appender.commits < 10


async def test_too_many_waiting_fixes_are_refused(redis, prefix):
    async with appending(redis, prefix, waiting_max_fixes=1000) as appender:
        with pytest.raises(EngineSaturated):
            await appender.append(fixes_of(*range(1001)), partitions_of(*[0] * 1001))
        await appender.append(fixes_of(1), partitions_of(0))


async def test_a_dead_log_accepts_nothing(prefix):
    redis = connect_redis("redis://127.0.0.1:1", timeout_s=0.2)
    async with appending(redis, prefix) as appender:
        with pytest.raises(StoreUnavailable):
            await appender.append(fixes_of(1), partitions_of(0))
        with pytest.raises(StoreUnavailable):
            await appender.append_message(0, b"said")
        assert appender.accepted == 0
    await redis.aclose()


async def test_what_waits_is_committed_at_the_end(redis, prefix):
    async with appending(redis, prefix) as appender:
        waiting = asyncio.ensure_future(appender.append(fixes_of(1), partitions_of(0)))
        await asyncio.sleep(0)
    assert (await waiting).positions


async def test_durable_rises_when_every_partition_of_a_commit_is_durable(appender, redis, prefix):
    commit = await appender.append(fixes_of(1, 2), partitions_of(0, 1))
    watermark = appender.watermark
    await eventually(lambda: redis.pubsub_numsub(f"{prefix}:progress"))
    await progress(redis, prefix, {0: commit.positions[0]})
    assert not await watermark.durable(commit, 0.05)
    waiting = asyncio.ensure_future(watermark.durable(commit, 5))
    await asyncio.sleep(0)
    await progress(redis, prefix, {1: commit.positions[1]})
    assert await waiting
    assert watermark.durable_commit == commit.number


async def test_progress_from_before_the_start_counts(redis, prefix):
    await redis.hset(f"{prefix}:durable", mapping={"0": 2**62})
    await redis.hset(f"{prefix}:processed", mapping={"0": 2**62})
    async with appending(redis, prefix) as appender:
        watermark = appender.watermark
        commit = await appender.append(fixes_of(1), partitions_of(0))
        await eventually(lambda: watermark.lag_s() == 0.0 or watermark.advance({0: (2**62, 2**62)}))
        assert await watermark.durable(commit, 5)


async def test_the_door_closes_while_the_shards_lag_and_opens_again(redis, prefix):
    async with appending(redis, prefix, lag_limit_s=0.05) as appender:
        commit = await appender.append(fixes_of(1), partitions_of(0))
        await eventually(lambda: appender.watermark.lag_s() > 0.05)
        with pytest.raises(EngineSaturated) as caught:
            await appender.append(fixes_of(1), partitions_of(0))
        assert caught.value.retry_after_s > 0
        await eventually(lambda: redis.pubsub_numsub(f"{prefix}:progress"))
        await progress(redis, prefix, commit.positions, durable=False)
        await eventually(lambda: appender.watermark.lag_s() == 0.0)
        appender.check()


async def test_a_full_log_closes_the_door(redis, prefix):
    async with appending(redis, prefix, bytes_limit_mib=64) as appender:
        await appender.lag.measure()
        appender.check()
        try:
            await redis.set(f"{prefix}:ballast", bytes(70 * 2**20))
            await appender.lag.measure()
            with pytest.raises(EngineSaturated):
                appender.check()
        finally:
            await redis.delete(f"{prefix}:ballast")


async def test_commits_that_wait_for_history_take_bounded_memory(redis, prefix):
    watermark = Watermark(redis, prefix, 4)
    for number in range(1, 10_001):
        watermark.add({number % 4: number}, 0.0)
    watermark.advance(dict.fromkeys(range(4), (9_000, 9_000)))
    assert watermark.processed_commit <= 9_000
    assert watermark.lag_s() > 0
    watermark.advance(dict.fromkeys(range(4), (10_000, 10_000)))
    assert watermark.processed_commit == watermark.durable_commit == 10_000
    assert watermark.lag_s() == 0.0
