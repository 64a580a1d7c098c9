"""An API, a database and a gateway of messages for each module."""

import uuid

import pytest
import pytest_asyncio

from tests.gateway import running_gateway
from tests.telling import api_on, database_named


@pytest.fixture(scope="module")
def database_name():
    return f"test-messages-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(stores, database_name):
    async with api_on(stores, database_name) as caller:
        yield caller


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(stores, database_name):
    async with database_named(stores, database_name) as database:
        yield database


@pytest.fixture
def gateway():
    with running_gateway() as gateway:
        yield gateway
