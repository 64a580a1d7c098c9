"""A store that is away is a 503 in time, and nothing has to be started anew when it is back."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.rest import Caller, client_of, running_api
from tests.stack import Stores, eventually, running_stores

IN_TIME_S = 6.0
"""Two seconds are promised; the rest is for a machine that does much else. Without the watch it is never."""

BODY = {"dropoff": {"latitude": 41.15, "longitude": -8.61}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_stores() -> AsyncIterator[Stores]:
    """Return stores that may be stopped and killed."""
    async with running_stores() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def admin(own_stores: Stores, prefix: str) -> AsyncIterator[Caller]:
    async with running_api(own_stores, prefix) as (app, services), client_of(app) as http:
        watching = asyncio.create_task(services.outages.run())
        yield await Caller(http).registered()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


@contextlib.contextmanager
def stopped(pid: int | None):
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def answered(ask: Callable):
    async with asyncio.timeout(IN_TIME_S):
        return await ask()


async def is_well(caller: Caller) -> bool:
    return (await caller.ask("POST", "deliveries", json=BODY)).status_code == 201


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "deliveries"), ("POST", "deliveries"), ("GET", "tenant"), ("GET", "auth/profile")]
)
async def test_a_mongod_that_hangs_is_a_503_in_time(own_stores, admin, method, path):
    with stopped(own_stores.mongo.pid):
        body = {"json": BODY, "headers": {"Idempotency-Key": "once"}} if method == "POST" else {}
        answer = await answered(lambda: admin.ask(method, path, **body))
        assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
        assert answer.headers["Retry-After"]
        assert (await answered(lambda: admin.ask("GET", "health"))).status_code == 200
    await eventually(lambda: is_well(admin), 20)


async def test_a_killed_mongod_is_a_503_until_it_is_back(own_stores, admin):
    restarts = own_stores.mongo.restarts
    os.kill(own_stores.mongo.pid, signal.SIGKILL)
    statuses = set()
    while own_stores.mongo.restarts == restarts or 201 not in statuses:
        statuses.add((await answered(lambda: admin.ask("POST", "deliveries", json=BODY))).status_code)
    assert statuses <= {201, 503}


async def test_a_redis_that_hangs_is_a_503_for_positions_and_for_nothing_else(own_stores, admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    delivery = await admin.make("deliveries", BODY | {"driverId": driver["id"]})
    spot = {"latitude": 41.15, "longitude": -8.61}
    with stopped(own_stores.redis.pid):
        answer = await answered(lambda: admin.ask("POST", f"tracking/{delivery['id']}", json=spot))
        assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
        assert (await answered(lambda: admin.ask("GET", f"deliveries/{delivery['id']}"))).status_code == 200
    await eventually(lambda: _takes(admin, delivery["id"], spot), 20)


async def _takes(caller: Caller, delivery: str, spot: dict) -> bool:
    return (await caller.ask("POST", f"tracking/{delivery}", json=spot)).status_code == 200
