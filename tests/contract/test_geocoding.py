"""Addresses to points: a provider that is slow, broken or talks nonsense, the chain behind it, and deliveries."""

import asyncio
import contextlib
import json

import pytest
import pytest_asyncio
from werkzeug import Response

from engine.feed.feed import Feed
from engine.geocoding.chain import Geocoding
from engine.geocoding.places import GEOCODE_TASK, PlaceFinder, PlaceFollower, geocode_kind
from engine.providers.geocoding import NominatimGeocoder
from engine.settings import GeocodingSettings
from engine.tasks.worker import TaskWorker
from models.documents.task import Task
from models.errors import BadSettings, ProviderDown, VersionConflict
from models.store.deliveries import DeliveryRepository
from models.store.scope import Scope
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually

KNOWN = "Rua de Santa Catarina 101, Porto"
FOUND = [{"lat": "41.1500", "lon": "-8.6000", "place_rank": 30, "display_name": "101, Rua de Santa Catarina"}]


@pytest.fixture
def nominatim(http_server):
    yield http_server
    http_server.clear()


def some_settings(server, **fields):
    return GeocodingSettings(
        **{"url": server.url_for("").rstrip("/"), "rate_per_s": 1000, "timeout_s": 0.5, "failures": 3} | fields
    )


@contextlib.asynccontextmanager
async def asking(settings):
    geocoder = NominatimGeocoder(settings.url, settings)
    try:
        yield geocoder
    finally:
        await geocoder.close()


@contextlib.asynccontextmanager
async def finding(settings, database):
    geocoding = Geocoding(settings, database)
    try:
        yield geocoding
    finally:
        await geocoding.close()


async def test_a_provider_is_asked_as_nominatim_wants_it(nominatim):
    nominatim.expect_request(
        "/search",
        query_string={"q": KNOWN, "format": "jsonv2", "limit": "1", "addressdetails": "0"},
        headers={"User-Agent": "Test/1 (ana@test.pt)"},
    ).respond_with_json(FOUND)
    async with asking(some_settings(nominatim, user_agent="Test/1 (ana@test.pt)")) as geocoder:
        found = await geocoder.geocode(KNOWN)
    assert (found.latitude, found.longitude, found.kind) == (41.15, -8.6, "house")
    nominatim.check_assertions()


@pytest.mark.parametrize(("rank", "kind"), [(30, "house"), (26, "street"), (16, "place"), (None, "place")])
async def test_what_was_found_says_how_sure_it_is(nominatim, rank, kind):
    nominatim.expect_request("/search").respond_with_json([FOUND[0] | {"place_rank": rank}])
    async with asking(some_settings(nominatim)) as geocoder:
        assert (await geocoder.geocode(KNOWN)).kind == kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"null",
        b"[1]",
        b"[null]",
        b'[{"lat": "x", "lon": "1"}]',
        b'[{"lat": "NaN", "lon": "1"}]',
        b'[{"lat": "91", "lon": "1"}]',
        b'[{"lat": 1' + b"0" * 400 + b', "lon": "1"}]',
        b'[{"lat": "41", "lon": "1", "place_rank": 1e400}]',
        b'[{"lon": "1"}]',
        b"[" * 100_000,
        b"[" + b" " * 300_000 + b"]",
    ],
)
async def test_nonsense_is_a_provider_that_is_down(nominatim, body):
    nominatim.expect_request("/search").respond_with_data(body, content_type="application/json")
    async with asking(some_settings(nominatim)) as geocoder:
        with pytest.raises(ProviderDown):
            await geocoder.geocode(KNOWN)


@pytest.mark.parametrize("status", [302, 403, 429, 500])
async def test_a_refusal_is_a_provider_that_is_down(nominatim, status):
    nominatim.expect_request("/search").respond_with_data(b"[]", status=status, headers={"Retry-After": "7"})
    async with asking(some_settings(nominatim)) as geocoder:
        with pytest.raises(ProviderDown) as fault:
            await geocoder.geocode(KNOWN)
    assert fault.value.retry_after_s == 7


async def test_after_some_failures_nobody_is_asked(nominatim):
    asked = []
    nominatim.expect_request("/search").respond_with_handler(lambda _: asked.append(1) or Response(status=500))
    async with asking(some_settings(nominatim, failures=2, recovery_s=60)) as geocoder:
        for _ in range(5):
            with pytest.raises(ProviderDown):
                await geocoder.geocode(KNOWN)
    assert len(asked) == 2


async def test_a_provider_is_asked_no_more_often_than_it_allows(nominatim):
    nominatim.expect_request("/search").respond_with_json(FOUND)
    async with asking(some_settings(nominatim, rate_per_s=0.1)) as geocoder:
        await geocoder.geocode(KNOWN)
        with pytest.raises(ProviderDown) as fault:
            await geocoder.geocode(KNOWN)
    assert 5 < fault.value.retry_after_s <= 10


async def test_a_provider_is_asked_once_for_an_address(nominatim, store, scope):
    asked = []
    nominatim.expect_request("/search").respond_with_handler(
        lambda request: asked.append(request.args["q"]) or Response(json.dumps(FOUND), content_type="application/json")
    )
    async with finding(some_settings(nominatim), store) as geocoding:
        first = await geocoding.find(scope, KNOWN)
        again = await geocoding.find(scope, KNOWN.upper())
        other = await geocoding.find(Scope(scope.tenant + "x", "usr_test"), KNOWN)
    assert [one.source for one in (first, again, other)] == ["provider", "cache", "provider"]
    assert (again.located.latitude, again.located.name) == (41.15, None)
    assert len(asked) == 2
    kept = await store.geocodes.find_one({"tenant": scope.tenant})
    assert "catarina" not in str(kept).lower()


async def test_a_provider_that_is_down_gives_way_to_the_gazetteer(nominatim, store, scope):
    nominatim.expect_request("/search").respond_with_data(b"", status=500)
    async with finding(some_settings(nominatim), store) as geocoding:
        answer = await geocoding.find(scope, KNOWN)
        assert (answer.source, answer.located.kind) == ("gazetteer", "house")
        assert await geocoding.find(scope, "Xyzzyplugh 5, Nowhere") is None


async def test_a_provider_that_knows_no_such_address_gives_way_too(nominatim, store, scope):
    nominatim.expect_request("/search").respond_with_json([])
    async with finding(some_settings(nominatim), store) as geocoding:
        assert (await geocoding.find(scope, KNOWN)).source == "gazetteer"


def test_an_absent_gazetteer_shows_at_the_start(tmp_path):
    with pytest.raises(BadSettings):
        Geocoding(GeocodingSettings(gazetteer=tmp_path / "none.sqlite"), None)


@pytest_asyncio.fixture(loop_scope="session")
async def company(stores, prefix):
    """Return a company in a database of its own, with the feed and the tasks of geocoding at work."""
    async with running_api(stores, prefix, database=prefix) as (app, services), client_of(app) as http:
        feed = Feed(services.database, [PlaceFollower(services.database)])
        worker = TaskWorker(services.database, {GEOCODE_TASK: geocode_kind(services.database, services.settings)})
        await feed.start()
        await worker.start()
        try:
            yield await Caller(http).registered(), services
        finally:
            await worker.stop()
            await feed.stop()
            await services.database.client.drop_database(prefix)


async def until(caller, delivery, wanted):
    async def is_so():
        found = (await caller.ask("GET", f"deliveries/{delivery['id']}")).json()
        return found if wanted(found) else None

    return await eventually(is_so, within_s=10)


async def test_a_delivery_finds_its_place_and_tells_of_it(company):
    admin, services = company
    made = await admin.make(
        "deliveries", {"dropoff": {"address": KNOWN}, "pickup": {"address": "Rua das Flores, Porto"}}
    )
    assert (made["located"], made["unlocated"]) == (False, "waiting")
    found = await until(admin, made, lambda one: one["located"])
    assert (found["version"], found["unlocated"], len(found["stops"])) == (2, None, 2)
    assert found["dropoff"]["address"] == KNOWN
    assert found["dropoff"]["latitude"] == pytest.approx(41.15, abs=0.01)
    told = await services.database.events.find_one({"aggregate": made["id"], "type": "delivery.changed"})
    assert (told["actor"], told["data"]["located"]) == ("engine", True)


async def test_what_is_not_found_says_why_until_it_has_a_better_address(company):
    admin, _ = company
    unknown = await admin.make("deliveries", {"dropoff": {"address": "Xyzzyplugh 5"}})
    unsure = await admin.make("deliveries", {"dropoff": {"address": "Rua da Igreja"}})
    await until(admin, unknown, lambda one: one["unlocated"] == "not_found")
    await until(admin, unsure, lambda one: one["unlocated"] == "uncertain")
    missing = (await admin.ask("GET", "deliveries?located=false")).json()["items"]
    assert {one["id"] for one in missing} == {unknown["id"], unsure["id"]}
    better = await admin.ask("PUT", f"deliveries/{unknown['id']}", json={"dropoff": {"address": KNOWN}})
    assert better.json()["unlocated"] == "waiting"
    await until(admin, unknown, lambda one: one["located"])
    located = (await admin.ask("GET", "deliveries?located=true")).json()["items"]
    assert [one["id"] for one in located] == [unknown["id"]]


async def test_rows_of_a_file_find_their_places(company):
    admin, _ = company
    table = f'reference,dropoff.address\nA,"{KNOWN}"\nB,"Rua das Flores 28, Porto"\n'
    answer = await admin.ask("POST", "deliveries/import", content=table, headers={"Content-Type": "text/csv"})
    assert answer.json()["unlocated"] == 2

    async def all_located():
        return (await admin.ask("GET", "deliveries?located=false")).json()["items"] == []

    await eventually(all_located, within_s=10)


async def test_somebody_elses_change_meanwhile_is_kept(company):
    """The finder loads, somebody edits, the finder stores: it must lose, and look again."""
    admin, services = company
    made = await admin.make("deliveries", {"dropoff": {"address": "Xyzzyplugh 5"}})
    await until(admin, made, lambda one: one["unlocated"] == "not_found")
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Geocoding):
        async def find(self, scope, address, near=None):
            entered.set()
            await go_on.wait()
            return await super().find(scope, KNOWN, near)

    finder = PlaceFinder(services.database, services.settings, Slow(services.settings.geocoding, services.database))
    task = Task(id="tsk_1", tenant=tenant, kind=GEOCODE_TASK, payload={"delivery": made["id"]})
    working = asyncio.ensure_future(finder.handle(task))
    await entered.wait()
    body = {"dropoff": {"latitude": 41.2, "longitude": -8.5}}
    assert (await admin.ask("PUT", f"deliveries/{made['id']}", json=body)).status_code == 200
    go_on.set()
    with pytest.raises(VersionConflict):
        await working
    await finder.handle(task)
    kept = await DeliveryRepository(services.database).get(Scope(tenant, "usr_test"), made["id"])
    assert (kept.dropoff.latitude, kept.dropoff.longitude) == (41.2, -8.5)


async def test_planners_ask_for_an_address(company):
    admin, _ = company
    answer = (await admin.ask("GET", "geocode", params={"address": KNOWN})).json()
    assert (answer["kind"], answer["source"]) == ("house", "gazetteer")
    assert "OpenStreetMap" in answer["attribution"]
    assert (await admin.ask("GET", "geocode", params={"address": "Xyzzyplugh"})).status_code == 404
    for wrong in ({}, {"address": ""}, {"address": "a", "lat": 41}, {"address": "a", "lat": 91, "lon": 0}):
        assert (await admin.ask("GET", "geocode", params=wrong)).status_code == 422


async def test_the_list_of_what_is_not_located_uses_its_index(company):
    admin, services = company
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    query = {"tenant": tenant, "unlocated": True}
    plan = await services.database.deliveries.find(query).sort("_id", -1).explain()
    assert "unlocated" in str(plan["queryPlanner"]["winningPlan"])
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])
