"""A store that dies and comes back costs nothing that was acknowledged."""

import os
import signal

import pytest

from engine.sinks.history import read_track
from tests.cluster.fleet import a_fleet
from tests.stack import eventually, running_stores

pytestmark = pytest.mark.cluster


async def test_mongod_restart_keeps_everything_once(tenant: str, prefix: str) -> None:
    async with (
        running_stores() as stores,
        a_fleet(stores, tenant, prefix, drivers=5) as fleet,
        fleet.running() as shard,
    ):
        await fleet.reached(await fleet.drive(0, 10), "durable")
        assert stores.mongo.pid is not None
        os.kill(stores.mongo.pid, signal.SIGKILL)
        sent = await fleet.drive(10, 20)
        await eventually(lambda: shard.memory.counts()["live"] == 5 * 30, 20)
        await eventually(lambda: stores.mongo.restarts == 1, 30)
        await fleet.reached(sent, "durable")
        for number in fleet.numbers:
            assert (await read_track(fleet.database, number, 0, 2**45)).size == 30
        counts = await fleet.database.history.aggregate([{"$group": {"_id": None, "n": {"$sum": "$n"}}}]).to_list(1)
        assert counts[0]["n"] == 5 * 30


async def test_redis_restart_is_followed_from_where_it_was(tenant: str, prefix: str) -> None:
    async with (
        running_stores() as stores,
        a_fleet(stores, tenant, prefix, drivers=5) as fleet,
        fleet.running() as shard,
    ):
        await fleet.reached(await fleet.drive(0, 10))
        assert stores.redis.pid is not None
        os.kill(stores.redis.pid, signal.SIGKILL)
        await eventually(lambda: stores.redis.restarts == 1, 20)
        await eventually(fleet.answers, 20)
        await fleet.reached(await fleet.drive(10, 10), "durable")
        assert shard.memory.counts() == {"received": 100, "live": 100, "late": 0, "filtered": 0, "duplicate": 0}
