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
    usual = {
        "autoStatus": True,
        "motionProfile": "default",
        "language": "en",
        "timeZone": "UTC",
        "country": None,
        "quietHours": None,
        "proofRequired": False,
        "requestsPerSecond": None,
        "dispatch": "manual",
    }
    seen = (await admin.ask("GET", "tenant")).json()["settings"]
    assert seen.items() >= usual.items()
    answer = await admin.ask("PATCH", "tenant", json={"settings": {"motionProfile": "parcel"}, "version": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    renamed = await admin.ask("PATCH", "tenant", json={"name": "Blue Vans"})
    assert renamed.json()["settings"] == seen | {"motionProfile": "parcel"}
    lost = await admin.ask("PATCH", "tenant", json={"name": "Red Vans", "version": 2})
    assert (lost.status_code, lost.json()["current"]) == (409, 3)


async def test_language_zone_country_and_quiet_hours_are_kept_and_emptied(admin):
    wanted = {"language": "de", "timeZone": "Europe/Lisbon", "quietHours": {"start": "21:00", "end": "08:00"}}
    changed = await admin.ask("PATCH", "tenant", json={"settings": wanted | {"country": "pt"}})
    assert changed.status_code == 200, changed.text
    kept = (await admin.ask("GET", "tenant")).json()["settings"]
    assert kept.items() >= ({"autoStatus": True, "motionProfile": "default", "country": "PT"} | wanted).items()
    await admin.ask("PATCH", "tenant", json={"settings": {"country": None, "quietHours": None}})
    emptied = (await admin.ask("GET", "tenant")).json()["settings"]
    assert (emptied["country"], emptied["quietHours"], emptied["language"]) == (None, None, "de")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"settings": {"motionProfile": "rocket"}}, "settings.motionProfile"),
        ({"settings": {"autoStatus": None}}, "settings.autoStatus"),
        ({"settings": {"proofRequired": None}}, "settings.proofRequired"),
        ({"settings": {"dispatch": None}}, "settings.dispatch"),
        ({"name": None}, "name"),
        ({"settings": {"language": "fr"}}, "settings.language"),
        ({"settings": {"timeZone": None}}, "settings.timeZone"),
        ({"settings": {"timeZone": "Europe/Atlantis"}}, "settings.timeZone"),
        ({"settings": {"timeZone": "../../etc/passwd"}}, "settings.timeZone"),
        ({"settings": {"country": "XX"}}, "settings.country"),
        ({"settings": {"quietHours": {"start": "9:00", "end": "24:00"}}}, "settings.quietHours.start"),
        ({"settings": {"quietHours": {"start": "08:00", "end": "08:00"}}}, "settings.quietHours"),
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
