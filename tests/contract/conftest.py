"""What tests of the stores, and of what asks servers of others, share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from models.store.connections import Database
from models.store.indexes import ensure_indexes, ensure_tenant_indexes
from models.store.scope import Scope
from tests.misbehaving import GIVEN_UP, OthersServer
from tests.stack import Stores, connected


@pytest.fixture
async def store(database: Database) -> Database:
    """Return the session's database with its indexes."""
    await ensure_indexes(database)
    return database


@pytest.fixture(scope="session")
async def indexed(stores: Stores) -> str:
    """Return the name of a database with its indexes, which take a second to make."""
    database = connected(stores.mongo_url, "outrider_alone")
    await ensure_indexes(database)
    database.client.close()
    return "outrider_alone"


@pytest.fixture
async def alone(stores: Stores, indexed: str) -> AsyncIterator[Database]:
    """Return an empty database of this test alone, for what serves all tenants of one."""
    database = connected(stores.mongo_url, indexed)
    for name in await database.shared.list_collection_names():
        await database.shared[name].delete_many({})
    yield database
    database.client.close()


@pytest.fixture
async def tenant(tenant: str, database: Database) -> str:
    """Return a tenant that no other test uses, with the indexes that a company gets when it registers."""
    await ensure_tenant_indexes(database, tenant)
    return tenant


@pytest.fixture
def scope(tenant: str) -> Scope:
    """Return the scope of a tenant that no other test uses."""
    return Scope(tenant, "usr_test")


@pytest.fixture(scope="module")
def http_server() -> Iterator[OthersServer]:
    """Return a server on loopback that takes requests side by side."""
    with OthersServer() as server:
        yield server


@pytest.fixture
def server(http_server: OthersServer) -> Iterator[OthersServer]:
    """Return a server of others: what it is to answer, and its log, are this test's alone."""
    GIVEN_UP.clear()
    yield http_server
    http_server.settle()
    http_server.clear()
