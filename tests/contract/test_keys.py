"""API keys: what they are narrowed to, how long they live, when they were used, and who made them."""

import datetime
import itertools
import uuid

import pytest
import pytest_asyncio

from api.auth.rights import SCOPES
from tests.rest import Caller, client_of, running_api

PLACE = {"latitude": 41.1, "longitude": -8.6}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services), client_of(app) as http:
        yield Caller(http), services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    return await running[0].registered()


def in_seconds(seconds):
    moment = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.isoformat()


async def a_key(admin, kind="integration", **fields):
    made = await admin.make("keys", {"kind": kind} | fields)
    return made, admin.with_token(made["key"])


async def test_an_integration_does_what_its_scopes_say(admin):
    made, system = await a_key(admin, scopes=["deliveries:write", "deliveries:read", "deliveries:read"])
    assert made["scopes"] == ["deliveries:read", "deliveries:write"]
    profile = (await system.ask("GET", "auth/profile")).json()
    assert (profile["role"], profile["scopes"]) == ("integration", made["scopes"])
    delivery = await system.make("deliveries", {"dropoff": PLACE})
    moved = await system.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": "cancelled"})
    assert moved.status_code == 200
    refused = await system.ask("GET", "drivers")
    assert (refused.status_code, "drivers:read" in refused.json()["detail"]) == (403, True)
    for path in ("users", "keys", "tenant", "audit"):
        assert (await system.ask("GET", path)).status_code == 403


async def test_other_keys_can_be_narrowed_and_need_not_be(admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    _, whole = await a_key(admin, "device", driverId=driver["id"])
    _, narrow = await a_key(admin, "device", driverId=driver["id"], scopes=["positions:write"])
    assert (await whole.ask("GET", "deliveries")).status_code == 200
    assert (await narrow.ask("GET", "deliveries")).status_code == 403
    assert (await narrow.ask("POST", "pings", json={"pings": []})).status_code == 200
    _, blind = await a_key(admin, "device", driverId=driver["id"], scopes=["deliveries:read"])
    assert (await blind.ask("POST", "pings", json={"pings": []})).status_code == 403
    assert (await blind.ask("GET", "devices/osmand?lat=41&lon=-8")).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "integration"}, "scopes"),
        ({"kind": "integration", "scopes": []}, "scopes"),
        ({"kind": "integration", "scopes": ["everything"]}, "scopes.0"),
        ({"kind": "gateway", "scopes": ["deliveries:read"]}, ""),
        ({"kind": "integration", "scopes": ["events:read"], "driverId": "drv_0"}, "driverId"),
        ({"kind": "gateway", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"kind": "gateway", "expiresAt": "soon"}, "expiresAt"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(admin, body, field):
    answer = await admin.ask("POST", "keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_key_ends_when_it_was_said_to(admin, running):
    made, gateway = await a_key(admin, "gateway", expiresAt=in_seconds(3600))
    assert (await gateway.ask("GET", "auth/profile")).status_code == 200
    past = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(seconds=1)
    await running[1].database["keys"].update_one({"_id": made["id"]}, {"$set": {"expiresAt": past}})
    await running[1].authenticator.forget(made["id"])
    answer = await gateway.ask("GET", "auth/profile")
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


async def test_a_key_says_when_it_was_used_to_the_minute(admin, running):
    made, gateway = await a_key(admin, "gateway")
    assert made["lastUsedAt"] is None

    async def used_at():
        [key] = (await admin.ask("GET", "keys")).json()["items"]
        return key["lastUsedAt"]

    assert (await gateway.ask("GET", "auth/profile")).status_code == 200
    first = await used_at()
    assert first is not None
    await running[1].authenticator.forget(made["id"])
    await gateway.ask("GET", "auth/profile")
    assert await used_at() == first
    long_ago = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(minutes=2)
    await running[1].database["keys"].update_one({"_id": made["id"]}, {"$set": {"lastUsedAt": long_ago}})
    await running[1].authenticator.forget(made["id"])
    await gateway.ask("GET", "auth/profile")
    assert await used_at() > first


async def test_the_audit_log_knows_who_made_and_deleted_a_key(admin):
    made, _ = await a_key(admin, scopes=["events:read"], name="warehouse")
    assert (await admin.ask("DELETE", f"keys/{made['id']}")).status_code == 204
    assert (await admin.ask("DELETE", f"keys/{made['id']}")).status_code == 404
    entries = (await admin.ask("GET", "audit", params={"entity": made["id"]})).json()["items"]
    assert {entry["action"] for entry in entries} == {"key.created", "key.deleted"}
    assert made["key"] not in str(entries)
    assert "digest" not in str(entries)


async def test_who_was_let_in_stays_until_something_changes(admin, running):
    services = running[1]
    is_current = services.authenticator.is_current
    made, _ = await a_key(admin, scopes=["positions:read"])
    key = await services.authenticator.authenticate(made["key"])
    person = await services.authenticator.authenticate(admin.token)
    assert await is_current(key)
    assert await is_current(person)
    await admin.ask("DELETE", f"keys/{made['id']}")
    assert not await is_current(key)
    email = (await admin.ask("GET", "auth/profile")).json()["email"]
    body = {"current": "correct horse battery", "new": "another good one"}
    assert (await admin.ask("POST", "auth/password", json=body)).status_code == 204
    assert not await is_current(person)
    signed_in = await admin.ask("POST", "auth/login", json={"email": email, "password": body["new"]})
    assert await is_current(await services.authenticator.authenticate(signed_in.json()["accessToken"]))


def test_scopes_do_not_overlap():
    for one, other in itertools.combinations(SCOPES.values(), 2):
        assert not one & other
