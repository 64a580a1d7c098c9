"""Live frames go on when a part behind them is killed."""

import os
import signal
import time
import uuid

import pytest
import pytest_asyncio

from outrider.client import OutriderClient, Ping
from tests.stack import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest_asyncio.fixture(loop_scope="session")
async def client(stack):
    async with OutriderClient(stack.url) as client:
        await client.register("Blue Vans", f"{uuid.uuid4().hex}@outrider.example", "correct horse battery")
        yield client


@pytest.mark.parametrize("role", ["redis", "shards", "api"])
async def test_frames_come_again_after_kill_9(stack, client, role):
    van = await client.create_driver("Van 1")
    base = time.time_ns() // 1_000_000 - 100_000
    async with client.subscribe("driver", driver_id=van.id, interval_ms=20) as stream, client.ingest() as pings:

        async def reaches(step):
            await pings.send([Ping(driver_id=van.id, latitude=41 + step * 1e-5, longitude=-8, time=base + step * 1000)])
            async for frame in stream:
                if any(driver.time == base + step * 1000 for driver in frame.drivers):
                    return

        await reaches(1)
        killed = stack.pids()[role]
        os.kill(killed[0], signal.SIGKILL)
        await reaches(2)
        await eventually(lambda: stack.pids().get(role) not in (None, killed), within_s=30)
        await reaches(3)
        assert stream.reconnects == (1 if role == "api" else 0)
