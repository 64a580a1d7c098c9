"""Fixtures for all tests; what they start is in `tests.stack`."""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import settings

from engine.collecting import collect_later, collect_seldom
from models.store.connections import Database, connect_redis
from tests.stack import RunningOutrider, Stores, connected, running_outrider, running_ray, running_stores

# A shared machine may be slow for a moment, which says nothing about the code.
settings.register_profile("outrider", deadline=None, print_blob=True)
settings.load_profile("outrider")


def pytest_configure() -> None:
    """Look for no garbage while tests are collected: what that imports stays."""
    collect_later()


def pytest_collection_finish() -> None:
    """Do in tests as in a process that serves."""
    collect_seldom()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: the last one to end may keep all but one core waiting."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stores() -> AsyncIterator[Stores]:
    """Return the session's MongoDB and Redis."""
    async with running_stores() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database(stores: Stores) -> AsyncIterator[Database]:
    """Return a database of the session's MongoDB, shared by all tests: use a tenant of your own."""
    database = connected(stores.mongo_url, "outrider_test")
    yield database
    database.client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def redis(stores: Stores) -> AsyncIterator[Any]:
    """Return a client of the session's Redis, shared by all tests: use a key prefix of your own."""
    client = connect_redis(stores.redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def tenant() -> str:
    """Return a tenant id that no other test uses."""
    return f"ten_{uuid.uuid4().hex[:20]}"


@pytest.fixture
def prefix() -> str:
    """Return a Redis key prefix that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def ray_session() -> Iterator[str]:
    """Start the session's Ray and return its namespace."""
    namespace = f"outrider-test-{uuid.uuid4().hex[:8]}"
    with running_ray(namespace):
        yield namespace


@pytest.fixture(scope="session")
def outrider_running() -> Iterator[RunningOutrider]:
    """Return a whole Outrider in its own processes, with two API workers and two shards; webhooks may lead here."""
    with running_outrider(
        OUTRIDER_API__WORKERS="2", OUTRIDER_SHARDS__COUNT="2", OUTRIDER_WEBHOOKS__ALLOW_PRIVATE="true"
    ) as running:
        yield running
