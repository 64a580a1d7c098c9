"""One Outrider for all faults: a part that was killed comes back by itself, and the next fault finds it well."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from bench.chaos import Fault, FaultReport, Ordeal
from bench.stack import Stack, running_stack
from models.store.connections import Database, connect_mongo

DRIVERS = 200
RATE = 3000.0
SECONDS = 6.0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Return a whole Outrider with a shard that snapshots often."""
    async with running_stack({"OUTRIDER_SHARDS__COUNT": "1", "OUTRIDER_SHARDS__SNAPSHOT_INTERVAL_S": "3"}) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stored(stack: Stack) -> AsyncIterator[Database]:
    """Return the database of that Outrider."""
    database = connect_mongo(stack.store_urls()[0], "outrider")
    yield database
    database.client.close()


@pytest.fixture
def endure(stack: Stack, stored: Database) -> Callable[[Fault], Awaitable[FaultReport]]:
    """Return a function that kills a part under load with a tenant of its own, and reports."""

    async def run(fault: Fault) -> FaultReport:
        account = await stack.open_account(DRIVERS)
        return await Ordeal(stack, account, stored, rate=RATE, seconds=SECONDS).run(fault)

    return run


def assert_nothing_lost(report: FaultReport) -> None:
    """Check that all that was sent is acknowledged, in history once, and adds up to the live state."""
    assert report.sent >= RATE * SECONDS * 0.9
    assert report.acked == report.sent
    assert report.lost == 0
    assert report.double_counted == 0
    assert report.live_wrong == 0
    assert report.recover_s > 0, "no ping sent after the kill became live"
    assert report.durable_s > 0, "no ping sent after the kill became durable"
