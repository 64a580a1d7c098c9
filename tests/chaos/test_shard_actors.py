"""A shard's process is killed as an actor of Ray's: another takes its place, and callers find it."""

import contextlib
import os
import signal
from typing import Any

import pytest

from engine.shards.line import lines_key
from models.errors import NotFound
from tests.builders import START_MS
from tests.cluster.fleet import a_fleet, supervised
from tests.stack import Stores, eventually

pytestmark = pytest.mark.chaos


async def test_shard_comes_back_after_kill_9(stores: Stores, tenant: str, prefix: str, ray_session: str) -> None:
    async with (
        a_fleet(stores, tenant, prefix, drivers=6, count=2, heartbeat_s=0.2) as fleet,
        supervised(fleet) as (supervisor, engine),
    ):
        await fleet.reached(await fleet.drive(0, 10))
        victim = await eventually(lambda: supervisor.status.get(0), 20)  # not silent for a moment
        os.kill(victim["pid"], signal.SIGKILL)
        sent = await fleet.drive(10, 10)
        await eventually(lambda: supervisor.status.get(0, victim)["boot"] != victim["boot"], 20)
        await fleet.reached(sent)
        await fleet.reached(sent, "durable")
        for driver in fleet.ids:
            live = await engine.driver(tenant, driver).live()
            assert (live.time, live.stale) == (START_MS + 190_000, False)
            track = await engine.driver(tenant, driver).track(0, 2**45)
            assert track["time"].tolist() == [START_MS + 10_000 * turn for turn in range(20)]


async def test_a_killed_shard_is_found_again_over_its_new_line(
    stores: Stores, tenant: str, prefix: str, ray_session: str
) -> None:
    async with (
        a_fleet(stores, tenant, prefix, drivers=3, count=1, heartbeat_s=0.2) as fleet,
        supervised(fleet) as (supervisor, engine),
    ):
        await fleet.reached(await fleet.drive(0, 5))
        before = await fleet.redis.hget(lines_key(prefix), "0")
        assert (await engine.driver(tenant, fleet.ids[0]).live()).stale is False
        victim = await eventually(lambda: supervisor.status.get(0), 20)  # not silent for a moment
        os.kill(victim["pid"], signal.SIGKILL)

        async def is_back() -> bool:
            with contextlib.suppress(NotFound):  # it was killed before its first snapshot
                return not (await engine.driver(tenant, fleet.ids[0]).live()).stale
            return False

        await eventually(is_back, 30)
        assert await eventually(lambda: _renewed(fleet.redis, prefix, before), 10)


async def _renewed(redis: Any, prefix: str, before: bytes) -> bool:
    return bool(await redis.hget(lines_key(prefix), "0") != before)
