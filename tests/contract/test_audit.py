"""The audit log: every change with before and after, and nothing secret."""

import uuid

import pytest
import pytest_asyncio

from tests.rest import PASSWORD, Caller, client_of, running_api

PLACE = {"latitude": 41.0, "longitude": -8.0}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, _), client_of(app) as client:
        yield client


@pytest.fixture
async def admin(http):
    return await Caller(http).registered()


async def log_of(caller, **params):
    return (await caller.ask("GET", "audit", params=params)).json()["items"]


async def test_a_changed_delivery_is_told_field_by_field(admin):
    me = (await admin.ask("GET", "auth/profile")).json()["id"]
    made = await admin.make("deliveries", {"dropoff": PLACE, "weightKg": 2})
    body = {"dropoff": PLACE | {"latitude": 42.0}, "weightKg": 3}
    await admin.ask("PUT", f"deliveries/{made['id']}", json=body)
    changed, created = await log_of(admin, entity=made["id"])
    assert (created["action"], created["actor"]) == ("delivery.created", me)
    assert {"field": "status", "before": None, "after": "pending"} in created["changes"]
    assert changed["changes"] == [
        {"field": "dropoff.latitude", "before": 41.0, "after": 42.0},
        {"field": "weightKg", "before": 2.0, "after": 3.0},
    ]


async def test_every_step_of_a_delivery_is_there(admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    made = await admin.make("deliveries", {"dropoff": PLACE, "driverId": driver["id"]})
    await admin.ask("PATCH", f"deliveries/{made['id']}/status", json={"status": "accepted"})
    actions = [entry["action"] for entry in await log_of(admin, entity=made["id"])]
    assert actions == ["delivery.accepted", "delivery.assigned", "delivery.created"]


async def test_no_secret_and_no_hash_of_one_comes_in(admin):
    email = f"{uuid.uuid4().hex}@test.pt"
    await admin.make("users", {"email": email, "password": PASSWORD, "role": "planner"})
    [entry] = await log_of(admin, action="user.created")
    assert {"field": "email", "before": None, "after": email} in entry["changes"]
    assert "argon2" not in str(entry)


async def test_what_is_deleted_is_kept_in_the_log(admin):
    fence = {"name": "yard", "kind": "circle", "points": [PLACE], "radiusM": 100}
    made = await admin.make("geofences", fence)
    await admin.ask("DELETE", f"geofences/{made['id']}")
    deleted, _ = await log_of(admin, entity=made["id"])
    assert {"field": "name", "before": "yard", "after": None} in deleted["changes"]


async def test_the_log_of_one_company_is_not_anothers(admin, http):
    made = await admin.make("drivers", {"name": "Ana"})
    other = await Caller(http).registered()
    assert await log_of(other, entity=made["id"]) == []
    assert {entry["action"] for entry in await log_of(other)} == {"tenant.registered"}
