"""A company's own settings over REST."""

import uuid

import pytest
import pytest_asyncio

from engine.registry import DriverRegistry
from tests.rest import Caller, client_of, running_api


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


async def test_settings_change_one_by_one_and_keep_a_version(admin):
    assert (await admin.ask("GET", "tenant")).json()["settings"] == {"autoStatus": True, "motionProfile": "default"}
    answer = await admin.ask("PATCH", "tenant", json={"settings": {"motionProfile": "parcel"}, "version": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    renamed = await admin.ask("PATCH", "tenant", json={"name": "Blue Vans"})
    assert renamed.json()["settings"] == {"autoStatus": True, "motionProfile": "parcel"}
    lost = await admin.ask("PATCH", "tenant", json={"name": "Red Vans", "version": 2})
    assert (lost.status_code, lost.json()["current"]) == (409, 3)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"settings": {"motionProfile": "rocket"}}, "settings.motionProfile"),
        ({"settings": {"autoStatus": None}}, "settings.autoStatus"),
        ({"name": None}, "name"),
        ({"settings": {"colour": "red"}}, "settings.colour"),
    ],
)
async def test_a_wrong_setting_is_named(admin, body, path):
    answer = await admin.ask("PATCH", "tenant", json=body)
    assert answer.status_code == 422
    assert path in [error["field"] for error in answer.json()["errors"]]


async def test_keys_may_not_see_it(admin):
    key = (await admin.make("keys", {"kind": "gateway"}))["key"]
    assert (await admin.with_token(key).ask("GET", "tenant")).status_code == 403


async def test_a_driver_without_a_profile_takes_the_tenants(admin, running):
    services = running[1]
    drivers = await admin.make("drivers/bulk", [{"name": "Ana"}, {"name": "Rui", "profile": "default"}])
    numbers = [driver["number"] for driver in drivers]
    registry = DriverRegistry(services.database, services.settings.log.partitions)

    async def profiles() -> list[str]:
        found = await registry.by_number(numbers)
        return [found[number].profile for number in numbers]

    assert await profiles() == ["default", "default"]
    await admin.ask("PATCH", "tenant", json={"settings": {"motionProfile": "parcel"}})
    registry.forget_tenant((await admin.ask("GET", "tenant")).json()["id"])
    assert await profiles() == ["parcel", "default"]
