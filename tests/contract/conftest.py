"""What tests of the stores share."""

import pytest

from models.store.connections import Database
from models.store.indexes import ensure_indexes
from models.store.scope import Scope


@pytest.fixture
async def store(database: Database) -> Database:
    """Return the session's database with its indexes."""
    await ensure_indexes(database)
    return database


@pytest.fixture
def scope(tenant: str) -> Scope:
    """Return the scope of a tenant that no other test uses."""
    return Scope(tenant, "usr_test")
