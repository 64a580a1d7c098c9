"""Drivers, deliveries and geofences over REST, and every way of asking wrongly."""

import asyncio
import uuid

import numpy as np
import pytest
import pytest_asyncio

from models.messages.commands import decode
from models.messages.fixes import FIX
from models.messages.log import FIXES_FIELD, stream_key
from tests.rest import Caller, client_of, running_api

PORTO = {"latitude": 41.15, "longitude": -8.61}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest.fixture
def app(running):
    return running[0]


@pytest.fixture
def services(running):
    return running[1]


@pytest_asyncio.fixture(loop_scope="session")
async def admin(app):
    async with client_of(app) as http:
        yield await Caller(http).registered()


async def a_driver(admin, **fields):
    return await admin.make("drivers", {"name": "Ana"} | fields)


async def a_delivery(admin, **fields):
    return await admin.make("deliveries", {"pickup": PORTO, "dropoff": PORTO} | fields)


async def move(caller, delivery, status, **fields):
    return await caller.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status} | fields)


async def test_a_delivery_from_order_to_door(admin):
    driver = await a_driver(admin)
    delivery = await a_delivery(admin, customer={"name": "Rui", "phone": "+351 912 345 678"}, weightKg=2.5)
    assert (delivery["status"], delivery["version"], delivery["located"]) == ("pending", 1, True)
    body = {"driverId": driver["id"], "version": 1}
    assigned = await admin.ask("PUT", f"deliveries/{delivery['id']}/assignment", json=body)
    assert (assigned.json()["status"], assigned.json()["driverId"]) == ("assigned", driver["id"])
    for status in ("accepted", "picked_up", "in_transit", "arrived", "delivered"):
        answer = await move(admin, delivery, status, notes="ok", location=PORTO)
        assert answer.status_code == 200, answer.text
    done = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
    assert (done["status"], done["version"]) == ("delivered", 7)
    assert [change["status"] for change in done["history"]][-1] == "delivered"
    assert done["history"][-1]["location"] == PORTO


async def test_a_customer_is_found_by_phone_however_it_is_written(admin):
    await admin.ask("PATCH", "tenant", json={"settings": {"country": "PT"}})
    made = [await a_delivery(admin, customer={"phone": phone}) for phone in ("912 345 678", "+351 912 345 678")]
    await a_delivery(admin, customer={"phone": "+351 912 345 679"})
    for written in ("912345678", "00351 912345678", "+351912345678", "(912) 345-678"):
        found = await admin.ask("GET", "deliveries", params={"phone": written, "sort": "createdAt"})
        assert [delivery["id"] for delivery in found.json()["items"]] == [delivery["id"] for delivery in made]
    assert len((await admin.ask("GET", "deliveries?phone=+351912345678")).json()["items"]) == 2
    assert (await admin.ask("GET", "deliveries", params={"phone": "$ne"})).status_code == 422


async def test_a_forbidden_change_names_the_allowed_ones(admin):
    delivery = await a_delivery(admin)
    answer = await move(admin, delivery, "delivered")
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["allowed"]) == ("forbidden-transition", ["assigned", "cancelled"])
    assert problem["requestId"] == answer.headers["x-request-id"]


async def test_a_lost_version_race_is_a_409_with_the_current_version(admin):
    delivery = await a_delivery(admin, driverId=(await a_driver(admin))["id"])
    assert delivery["version"] == 2
    answer = await move(admin, delivery, "accepted", version=1)
    assert (answer.status_code, answer.json()["current"]) == (409, 2)


async def test_a_delivery_is_replaced_by_version_or_tag_and_its_driver_stays(admin, services):
    driver = await a_driver(admin)
    delivery = await a_delivery(admin, driverId=driver["id"], reference="A-1", weightKg=2)
    path = f"deliveries/{delivery['id']}"
    seen = await admin.ask("GET", path)
    assert seen.headers["etag"] == '"2"'
    elsewhere = {"latitude": 41.2, "longitude": -8.5}
    answer = await admin.ask("PUT", path, json={"dropoff": elsewhere}, headers={"If-Match": seen.headers["etag"]})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    changed = answer.json()
    assert (changed["status"], changed["driverId"], changed["reference"]) == ("assigned", driver["id"], None)
    assert [(stop["kind"], stop["latitude"]) for stop in changed["stops"]] == [("dropoff", 41.2)]
    [told] = (
        await services.database.events.find({"tenant": (await admin.ask("GET", "auth/profile")).json()["tenantId"]})
        .sort("_id", -1)
        .to_list(1)
    )
    assert decode(bytes(told["messages"][0]["bytes"])).stops[0].latitude == 41.2
    for stale in ({"headers": {"If-Match": '"2"'}}, {"json": {"dropoff": PORTO, "version": 2}}):
        lost = await admin.ask("PUT", path, **({"json": {"dropoff": PORTO}} | stale))
        assert (lost.status_code, lost.json()["current"]) == (409, 3)
    odd = await admin.ask("PUT", path, json={"dropoff": PORTO}, headers={"If-Match": '"x"'})
    assert (odd.status_code, odd.json()["errors"][0]["field"]) == (422, "If-Match")


async def test_what_is_final_or_picked_up_can_not_be_rewritten(admin):
    delivery = await a_delivery(admin, driverId=(await a_driver(admin))["id"])
    path = f"deliveries/{delivery['id']}"
    for status in ("accepted", "picked_up"):
        await move(admin, delivery, status)
    body = {"pickup": {"latitude": 41.3, "longitude": -8.6}, "dropoff": PORTO}
    assert (await admin.ask("PUT", path, json=body)).status_code == 409
    assert (await admin.ask("PUT", path, json={"pickup": PORTO, "dropoff": PORTO, "notes": "ring"})).status_code == 200
    for status in ("in_transit", "arrived", "delivered"):
        await move(admin, delivery, status)
    assert (await admin.ask("PUT", path, json={"pickup": PORTO, "dropoff": PORTO})).status_code == 409


async def test_a_list_is_filtered_and_sorted(admin):
    driver = await a_driver(admin)
    made = [
        await a_delivery(admin, reference="F-1", priority="urgent"),
        await a_delivery(admin, reference="F-2", driverId=driver["id"]),
        await a_delivery(admin, reference="F-3", priority="urgent", driverId=driver["id"]),
    ]

    async def listed(**query):
        answer = await admin.ask("GET", "deliveries", params=query)
        assert answer.status_code == 200, answer.text
        return [delivery["reference"] for delivery in answer.json()["items"]]

    assert await listed() == ["F-3", "F-2", "F-1"]
    assert await listed(sort="createdAt") == ["F-1", "F-2", "F-3"]
    assert await listed(priority="urgent") == ["F-3", "F-1"]
    assert await listed(reference="F-2") == ["F-2"]
    assert await listed(status=["pending", "delivered"]) == ["F-1"]
    assert await listed(driverId=driver["id"], priority="urgent") == ["F-3"]
    assert await listed(createdFrom=made[1]["createdAt"], sort="createdAt") == ["F-2", "F-3"]
    assert await listed(createdTo=made[1]["createdAt"]) == ["F-1"]
    first = (await admin.ask("GET", "deliveries", params={"sort": "createdAt", "limit": 2})).json()
    rest = {"sort": "createdAt", "cursor": first["next"]}
    assert [one["reference"] for one in (await admin.ask("GET", "deliveries", params=rest)).json()["items"]] == ["F-3"]
    assert (await admin.ask("GET", "deliveries", params={"sort": "weight"})).status_code == 422


async def test_delete_cancels_before_pick_up_and_not_after(admin):
    delivery = await a_delivery(admin)
    assert (await admin.ask("DELETE", f"deliveries/{delivery['id']}")).json()["status"] == "cancelled"
    assert (await admin.ask("DELETE", f"deliveries/{delivery['id']}")).status_code == 422


async def test_an_address_alone_is_kept_and_not_located(admin):
    delivery = await a_delivery(admin, pickup={"address": "Rua das Flores 1, Porto"})
    assert not delivery["located"]
    assert [stop["kind"] for stop in delivery["stops"]] == ["dropoff"]


async def test_snake_case_comes_in_and_camel_case_goes_out(admin):
    driver = await admin.make("drivers", {"name": "Eva", "external_id": "van-7"})
    assert driver["externalId"] == "van-7"
    assert (await admin.ask("GET", "drivers/van-7")).json()["id"] == driver["id"]


async def test_a_driver_changes_by_version_and_goes_when_nothing_is_open(admin):
    driver, taken = await a_driver(admin, externalId="van-8"), await a_driver(admin, externalId="van-9")
    path = f"drivers/{driver['id']}"
    changed = (await admin.ask("PATCH", path, json={"name": "Bia", "phone": None, "version": 1})).json()
    assert (changed["name"], changed["externalId"], changed["version"]) == ("Bia", "van-8", 2)
    assert (await admin.ask("PATCH", path, json={"name": "Cia", "version": 1})).status_code == 409
    assert (await admin.ask("PATCH", path, json={"externalId": taken["externalId"]})).status_code == 409
    unnamed = await admin.ask("PATCH", path, json={"name": None})
    assert (unnamed.status_code, unnamed.json()["errors"][0]["field"]) == (422, "name")

    key = await admin.make("keys", {"kind": "device", "driverId": driver["id"], "name": "phone"})
    delivery = await a_delivery(admin, driverId=driver["id"])
    refused = await admin.ask("DELETE", path)
    assert refused.status_code == 409
    assert delivery["id"] in refused.json()["detail"]
    await admin.ask("DELETE", f"deliveries/{delivery['id']}")
    assert (await admin.ask("DELETE", path)).status_code == 204
    assert (await admin.ask("GET", path)).status_code == 404
    assert (await Caller(admin.http, key["key"]).ask("GET", path)).status_code == 401
    assert (await admin.ask("DELETE", path)).status_code == 404


async def test_a_device_moves_its_own_delivery_and_no_other(admin):
    mine, other = await admin.make("drivers/bulk", [{"name": "mine"}, {"name": "other"}])
    key = await admin.make("keys", {"kind": "device", "driverId": mine["id"], "name": "phone"})
    device = admin.with_token(key["key"])
    own = await a_delivery(admin, driverId=mine["id"])
    foreign = await a_delivery(admin, driverId=other["id"])
    assert (await move(device, own, "accepted")).status_code == 200
    assert (await move(device, own, "cancelled")).status_code == 403
    assert (await move(device, foreign, "accepted")).status_code == 404
    listed = (await device.ask("GET", f"deliveries?driverId={other['id']}")).json()["items"]
    assert [delivery["id"] for delivery in listed] == [own["id"]]


async def test_another_tenants_things_do_not_exist(admin, app):
    async with client_of(app) as http:
        other = await Caller(http).registered()
        delivery, driver = await a_delivery(admin), await a_driver(admin)
        fence = await admin.make("geofences", {"name": "d", "kind": "circle", "points": [PORTO], "radiusM": 100})
        for path in (f"deliveries/{delivery['id']}", f"drivers/{driver['id']}", f"geofences/{fence['id']}"):
            assert (await other.ask("GET", path)).status_code == 404
        theirs = await a_delivery(other)
        body = {"driverId": driver["id"]}
        assert (await other.ask("PUT", f"deliveries/{theirs['id']}/assignment", json=body)).status_code == 404
        assert (await other.ask("GET", "deliveries")).json()["items"] == [theirs]


async def test_pages_hold_all_deliveries_once_newest_first(admin):
    made = await admin.make("deliveries/bulk", [{"dropoff": PORTO, "reference": str(n)} for n in range(7)])
    seen, cursor = [], ""
    while cursor is not None:
        page = (await admin.ask("GET", f"deliveries?limit=3{cursor and '&cursor=' + cursor}")).json()
        seen += [delivery["id"] for delivery in page["items"]]
        cursor = page["next"]
    assert seen == [delivery["id"] for delivery in reversed(made)]


async def test_an_idempotency_key_creates_once(admin):
    headers = {"Idempotency-Key": "order-1"}
    body = {"dropoff": PORTO}
    first = await admin.ask("POST", "deliveries", json=body, headers=headers)
    again = await admin.ask("POST", "deliveries", json=body, headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    other = await admin.ask("POST", "deliveries", json={"dropoff": PORTO, "notes": "x"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")
    assert len((await admin.ask("GET", "deliveries")).json()["items"]) == 1


async def test_racing_repeats_create_once(admin):
    asks = [
        admin.ask("POST", "deliveries", json={"dropoff": PORTO}, headers={"Idempotency-Key": "race"}) for _ in range(5)
    ]
    statuses = [answer.status_code for answer in await asyncio.gather(*asks)]
    assert set(statuses) <= {201, 409}
    assert len((await admin.ask("GET", "deliveries")).json()["items"]) == 1


async def test_a_failed_request_frees_its_idempotency_key(admin):
    headers = {"Idempotency-Key": "order-2"}
    body = {"dropoff": PORTO, "driverId": "drv_none"}
    for _ in range(2):
        answer = await admin.ask("POST", "deliveries", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")


async def test_geofences_of_each_kind(admin):
    line = [PORTO, {"latitude": 41.16, "longitude": -8.6}, {"latitude": 41.17, "longitude": -8.61}]
    made = [
        await admin.make("geofences", {"name": "c", "kind": "circle", "points": [PORTO], "radiusM": 150}),
        await admin.make("geofences", {"name": "p", "kind": "polygon", "points": line, "marginM": 20}),
        await admin.make("geofences", {"name": "r", "kind": "corridor", "points": line, "halfWidthM": 30}),
    ]
    listed = (await admin.ask("GET", "geofences")).json()["items"]
    assert [fence["id"] for fence in listed] == [fence["id"] for fence in made]
    assert (await admin.ask("DELETE", f"geofences/{made[0]['id']}")).status_code == 204
    assert (await admin.ask("GET", f"geofences/{made[0]['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("drivers", {}, "name"),
        ("drivers", {"name": ""}, "name"),
        ("drivers", {"name": "a\u0000b"}, "name"),
        ("drivers", {"name": "x" * 201}, "name"),
        ("drivers", {"name": "x", "colour": "red"}, "colour"),
        ("drivers", [], ""),
        ("drivers/bulk", [{"name": "ok"}, {"name": 5}], "1.name"),
        ("drivers/bulk", [], ""),
        ("deliveries", {"dropoff": {}}, "dropoff"),
        ("deliveries", {"dropoff": {"latitude": 91, "longitude": 0}}, "dropoff.latitude"),
        ("deliveries", {"dropoff": {"latitude": 1}}, "dropoff"),
        ("deliveries", {"dropoff": PORTO, "weightKg": -1}, "weightKg"),
        ("deliveries", {"dropoff": PORTO, "priority": "max"}, "priority"),
        ("deliveries", {"dropoff": PORTO, "customer": {"phone": "call me"}}, "customer.phone"),
        (
            "deliveries",
            {"dropoff": PORTO, "timeWindow": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}},
            "timeWindow",
        ),
        ("geofences", {"name": "c", "kind": "circle", "points": [PORTO]}, ""),
        ("geofences", {"name": "c", "kind": "polygon", "points": [PORTO]}, ""),
        ("auth/register", {"tenant": "x", "email": "none", "password": "long enough"}, "email"),
        ("auth/register", {"tenant": "x", "email": "a@b.pt", "password": "short"}, "password"),
    ],
)
async def test_a_bad_body_is_a_422_that_names_the_field(admin, path, body, field):
    answer = await admin.ask("POST", path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [one["field"] for one in answer.json()["errors"]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"dropoff": {"latitude": NaN, "longitude": Infinity}}',
        b'{"dropoff": {"latitude": 1e999, "longitude": 0}}',
        b'{"dropoff": {"latitude": ' + b"9" * 5000 + b', "longitude": 0}}',
        b'{"dropoff": {"latitude": 1, "longitude": 1}, "serviceTimeS": ' + b"9" * 300 + b"}",
        b'{"dropoff": {"latitude": 1, "longitude": 1}, "notes": "\\ud800"}',
        b"[" * 100_000,
        b"null",
        b'"text"',
    ],
)
async def test_broken_json_is_a_problem_and_never_a_500(admin, content):
    answer = await admin.ask("POST", "deliveries", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_ten_mebibytes_are_too_large_declared_or_not(admin):
    async def pieces():
        for _ in range(10):
            yield b" " * 2**20

    for content in (b" " * (10 * 2**20), pieces()):
        answer = await admin.ask("POST", "drivers", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_a_body_of_another_content_type_is_refused(admin, kind):
    answer = await admin.ask("POST", "drivers", content=b'{"name": "Ana"}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-content")
    assert answer.json()["errors"][0]["field"] == "Content-Type"


@pytest.mark.parametrize(
    "path",
    [
        "drivers?limit=0",
        "drivers?limit=201",
        "drivers?limit=many",
        "drivers?cursor=%00",
        "drivers?cursor=eyIkZ3QiOiIifQ",
        "deliveries?status=lost",
        "drivers/nearest?lat=nan&lon=0",
        "drivers/nearest?lat=91&lon=0",
        "drivers/nearest?lat=1",
    ],
)
async def test_a_bad_query_is_a_422(admin, path):
    answer = await admin.ask("GET", path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "query", ["from=never", "from=2&to=1", "to=99999999999999999999", "from=0&to=9999999999999", "from=0001-01-01"]
)
async def test_a_bad_range_of_time_is_a_422(admin, query):
    driver = await a_driver(admin)
    answer = await admin.ask("GET", f"drivers/{driver['id']}/track?{query}")
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("query", ["from=never", "from=2&to=1", "to=99999999999999999999"])
async def test_trips_are_told_of_any_range_that_is_one(admin, query):
    driver = await a_driver(admin)
    assert (await admin.ask("GET", f"drivers/{driver['id']}/trips?{query}")).status_code == 422
    extreme = "from=0001-01-01T00:00:00%2B23:59&to=9999-12-31T23:59:59-23:59"
    answer = await admin.ask("GET", f"drivers/{driver['id']}/trips?{extreme}")
    assert (answer.status_code, answer.json()["trips"]) == (200, [])


async def test_unknown_paths_and_methods_are_problems(admin):
    assert (await admin.ask("GET", "nothing")).json()["code"] == "not-found"
    assert (await admin.ask("PATCH", "drivers")).json()["code"] == "method-not-allowed"


async def test_trips_of_a_driver_who_never_drove_are_empty(admin):
    driver = await a_driver(admin)
    answer = await admin.ask("GET", f"drivers/{driver['id']}/trips")
    assert answer.json() == {"trips": [], "visits": [], "next": None}


async def test_openapi_names_every_operation_once(admin):
    document = (await admin.ask("GET", "openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["tags"] for operation in operations)
    assert "Problem" in document["components"]["schemas"]


async def test_health_answers_without_a_token_and_metrics_are_text(admin):
    assert (await admin.with_token(None).ask("GET", "health")).json() == {"status": "ok"}
    assert "outrider_" in (await admin.http.get("/metrics")).text


async def test_one_position_of_a_delivery_reaches_the_log(admin, services):
    driver = await a_driver(admin)
    delivery = await a_delivery(admin, driverId=driver["id"])
    answer = await admin.ask("POST", f"tracking/{delivery['id']}", json=PORTO | {"speed": 4.5})
    assert answer.status_code == 200, answer.text
    ref = (await services.registry.by_number([driver["number"]]))[driver["number"]]
    entries = await services.redis.xrange(stream_key(services.settings.prefix, ref.partition))
    fixes = np.concatenate([np.frombuffer(fields[FIXES_FIELD], FIX) for _, fields in entries])
    assert driver["number"] in fixes["driver"].tolist()


async def test_a_position_from_tomorrow_is_refused(admin):
    delivery = await a_delivery(admin, driverId=(await a_driver(admin))["id"])
    answer = await admin.ask("POST", f"tracking/{delivery['id']}", json=PORTO | {"time": "2999-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "time")


async def test_a_delivery_that_nobody_has_takes_no_position(admin):
    delivery = await a_delivery(admin)
    assert (await admin.ask("POST", f"tracking/{delivery['id']}", json=PORTO)).status_code == 409


async def test_a_wrong_method_is_told_all_the_right_ones(admin):
    answer = await admin.ask("PUT", "drivers")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    answer = await admin.ask("POST", "drivers/drv_0")
    assert answer.headers["allow"] == "DELETE, GET, PATCH, PUT"
    assert (await admin.ask("OPTIONS", "drivers/bulk")).headers["allow"] == "POST"
