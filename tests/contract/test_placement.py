"""A tenant's documents: no query without the tenant, and a database of its own where that is wished."""

import uuid

import pytest
import pytest_asyncio
from pymongo import InsertOne, UpdateOne

from models.store.placement import OWNED, MissingTenant
from tests.rest import Caller, client_of, running_api

PLACE = {"latitude": 41.0, "longitude": -8.0}
WITHOUT_TENANT = {
    "find": ({"status": "pending"},),
    "find one": ({"_id": "dlv_1"},),
    "count_documents": ({},),
    "update_many": ({"driver": "drv_1"}, {"$set": {"status": "cancelled"}}),
    "delete_one": ({"_id": "dlv_1"},),
    "aggregate": ([{"$group": {"_id": "$status"}}],),
    "insert_one": ({"_id": "dlv_1"},),
    "insert_many": ([{"tenant": "ten_a"}, {"tenant": "ten_b"}],),
    "bulk_write": ([InsertOne({"tenant": "ten_a"}), UpdateOne({"_id": "dlv_1"}, {"$set": {"status": "lost"}})],),
    "find_one": ({"tenant": {"$ne": "ten_a"}},),
    "drop": (),
}


@pytest.mark.parametrize("collection", sorted(OWNED))
@pytest.mark.parametrize("method", WITHOUT_TENANT)
async def test_a_query_without_a_tenant_cant_be_sent(database, collection, method):
    with pytest.raises(MissingTenant):
        getattr(database[collection], method.replace(" ", "_"))(*WITHOUT_TENANT[method])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apart(stores):
    """Return the API of an installation that keeps each company in a database of its own."""
    name = f"apart{uuid.uuid4().hex[:8]}"
    async with (
        running_api(stores, f"test-{name}", database=name, tenancy="database") as (app, services),
        client_of(app) as http,
    ):
        yield Caller(http), services.database
        for found in await services.database.client.list_database_names():
            if found.startswith(name):
                await services.database.client.drop_database(found)


async def test_each_companys_documents_are_in_its_own_database(apart):
    nobody, database = apart
    admin, other = await nobody.registered(), await nobody.registered()
    for caller in (admin, other):
        await caller.make("deliveries", {"dropoff": PLACE, "reference": "A-1"})
        await caller.make("vehicles", {"name": "van"})
    for caller in (admin, other):
        tenant = (await caller.ask("GET", "auth/profile")).json()["tenantId"]
        for collection in ("deliveries", "vehicles", "audit"):
            stored = [one["tenant"] async for one in database.of(tenant)[collection].find()]
            assert stored
            assert set(stored) == {tenant}
    for collection in OWNED:
        assert await database.shared[collection].count_documents({}) == 0


async def test_changes_and_their_events_are_one_transaction_over_both_databases(apart):
    nobody, database = apart
    admin = await nobody.registered()
    driver = await admin.make("drivers", {"name": "Ana"})
    made = await admin.make("deliveries", {"dropoff": PLACE, "driverId": driver["id"]})
    assert (await admin.ask("DELETE", f"drivers/{driver['id']}")).status_code == 409
    stale = await admin.ask("PATCH", f"deliveries/{made['id']}/status", json={"status": "accepted", "version": 1})
    assert stale.status_code == 409
    moved = await admin.ask("PATCH", f"deliveries/{made['id']}/status", json={"status": "accepted"})
    assert moved.json()["status"] == "accepted"
    types = [event["type"] async for event in database.events.find({"aggregate": made["id"]}).sort("sequence", 1)]
    assert types == ["delivery.created", "delivery.assigned", "delivery.accepted"]


async def test_indexes_are_there_before_the_first_document(apart):
    nobody, database = apart
    admin = await nobody.registered()
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    await admin.make("vehicles", {"name": "one", "plate": "AA-01-BB"})
    twin = await admin.ask("POST", "vehicles", json={"name": "two", "plate": "AA-01-BB"})
    assert twin.status_code == 409
    shared = await database.shared.deliveries.index_information()
    assert (await database.of(tenant).deliveries.index_information()).keys() == shared.keys()
