"""Vehicles and depots over REST: what planning reads, with versions, and every way of asking wrongly."""

import uuid

import pytest
import pytest_asyncio

from tests.rest import Caller, client_of, running_api

PORTO = {"latitude": 41.15, "longitude": -8.61}
VAN = {
    "name": "Van 7",
    "plate": "AA-07-BB",
    "profile": "van",
    "capacity": {"weightKg": 800, "volumeM3": 6.5, "pieces": 120},
    "shift": {"start": "07:30", "end": "16:00"},
    "breaks": [{"window": {"start": "11:30", "end": "13:00"}, "durationS": 1800}],
    "skills": ["Cold", "tail-lift", "cold"],
    "cost": {"fixed": 40, "perKm": 0.45, "perHour": 18},
    "maxDistanceM": 180_000,
    "maxRouteTimeS": 28_800,
    "maxStops": 60,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services), client_of(app) as http:
        yield Caller(http), services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(company):
    return await company[0].registered()


async def a_depot(admin, **fields):
    return await admin.make("depots", {"name": "Maia", "place": PORTO} | fields)


async def test_a_vehicle_comes_back_as_it_was_given(admin):
    depot, driver = await a_depot(admin), await admin.make("drivers", {"name": "Ana"})
    links = {"startDepotId": depot["id"], "endDepotId": depot["id"], "driverId": driver["id"]}
    made = await admin.make("vehicles", VAN | links)
    answer = await admin.ask("GET", f"vehicles/{made['id']}")
    assert answer.json() == made
    assert answer.headers["ETag"] == '"1"'
    assert {name: made[name] for name in VAN if name != "skills"} == {k: v for k, v in VAN.items() if k != "skills"}
    assert made["skills"] == ["cold", "tail-lift"]
    assert {name: made[name] for name in links} == links


async def test_a_depot_comes_back_as_it_was_given(admin):
    made = await a_depot(admin, opening={"start": "22:00", "end": "06:00"}, serviceTimeS=900, externalId="M1")
    assert (await admin.ask("GET", f"depots/{made['id']}")).json() == made
    assert made["opening"] == {"start": "22:00", "end": "06:00"}
    assert (await admin.ask("GET", "depots?externalId=M1")).json()["items"] == [made]


@pytest.mark.parametrize(
    ("path", "body"), [("vehicles", {"name": "a"}), ("depots", {"name": "a", "place": PORTO})], ids=["vehicle", "depot"]
)
async def test_a_lost_race_is_a_409_with_the_current_version(company, admin, path, body):
    made = await admin.make(path, body)
    renamed = await admin.ask("PUT", f"{path}/{made['id']}", json=body | {"name": "b"}, headers={"If-Match": '"1"'})
    assert (renamed.status_code, renamed.json()["version"], renamed.headers["ETag"]) == (200, 2, '"2"')
    late = await admin.ask("PUT", f"{path}/{made['id']}", json=body | {"version": 1})
    assert (late.status_code, late.json()["code"], late.json()["current"]) == (409, "version-conflict", 2)
    assert (await admin.ask("DELETE", f"{path}/{made['id']}?version=1")).status_code == 409
    assert (await admin.ask("DELETE", f"{path}/{made['id']}", headers={"If-Match": '"2"'})).status_code == 204
    assert (await admin.ask("GET", f"{path}/{made['id']}")).status_code == 404
    told = [event["type"] async for event in company[1].database.events.find({"aggregate": made["id"]}).sort("_id")]
    noun = path.rstrip("s")
    assert told == [f"{noun}.created", f"{noun}.changed", f"{noun}.deleted"]


async def test_vehicles_are_listed_by_page_and_filter(admin):
    depot = await a_depot(admin)
    made = [await admin.make("vehicles", {"name": f"v{n}", "active": n != 1}) for n in range(3)]
    made.append(await admin.make("vehicles", {"name": "v3", "startDepotId": depot["id"]}))
    first = (await admin.ask("GET", "vehicles?limit=3")).json()
    rest = (await admin.ask("GET", f"vehicles?limit=3&cursor={first['next']}")).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [one["id"] for one in made]
    assert rest["next"] is None
    assert [one["name"] for one in (await admin.ask("GET", "vehicles?active=false")).json()["items"]] == ["v1"]
    assert [one["name"] for one in (await admin.ask("GET", f"vehicles?depotId={depot['id']}")).json()["items"]] == [
        "v3"
    ]


async def test_a_plate_and_an_external_id_come_once(admin):
    await admin.make("vehicles", {"name": "a", "plate": "P1", "externalId": "x"})
    for taken, field in (({"plate": "P1"}, "plate"), ({"externalId": "x"}, "external id")):
        answer = await admin.ask("POST", "vehicles", json={"name": "b"} | taken)
        assert (answer.status_code, field in answer.json()["detail"]) == (409, True)
    await admin.make("vehicles", {"name": "c"})
    await admin.make("vehicles", {"name": "d"})


async def test_a_depot_that_vehicles_need_stays(admin):
    depot = await a_depot(admin)
    van = await admin.make("vehicles", {"name": "v", "endDepotId": depot["id"]})
    answer = await admin.ask("DELETE", f"depots/{depot['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    await admin.ask("PUT", f"vehicles/{van['id']}", json={"name": "v"})
    assert (await admin.ask("DELETE", f"depots/{depot['id']}")).status_code == 204


async def test_the_same_idempotency_key_creates_one_vehicle(admin):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    answers = [await admin.ask("POST", "vehicles", json=VAN, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("vehicles", {}, "name"),
        ("vehicles", {"name": "x", "profile": "boat"}, "profile"),
        ("vehicles", {"name": "x", "capacity": {"weightKg": -1}}, "capacity.weightKg"),
        ("vehicles", {"name": "x", "capacity": {"weightKg": "NaN"}}, "capacity.weightKg"),
        ("vehicles", {"name": "x", "shift": {"start": "24:00", "end": "06:00"}}, "shift.start"),
        ("vehicles", {"name": "x", "skills": ["a;b"]}, "skills.0"),
        ("vehicles", {"name": "x", "maxStops": 0}, "maxStops"),
        ("vehicles", {"name": "x", "startDepotId": "dpt_0"}, "startDepotId"),
        ("vehicles", {"name": "x", "driverId": "drv_0"}, "driverId"),
        ("vehicles", {"name": "x", "wheels": 4}, "wheels"),
        ("depots", {"name": "x", "place": {"address": "Rua das Flores 1"}}, ""),
        ("depots", {"name": "x\u0000", "place": PORTO}, "name"),
        ("depots", {"name": "x", "place": PORTO, "serviceTimeS": -1}, "serviceTimeS"),
        ("depots", {"name": "x", "place": {"latitude": 91, "longitude": 0}}, "place.latitude"),
    ],
)
async def test_what_is_wrong_is_named(admin, path, body, field):
    answer = await admin.ask("POST", path, json=body)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_links_to_another_companys_things_are_not_there(company, admin):
    other = await company[0].registered()
    depot, driver = await a_depot(other), await other.make("drivers", {"name": "theirs"})
    for link in ({"startDepotId": depot["id"]}, {"driverId": driver["id"]}):
        assert (await admin.ask("POST", "vehicles", json={"name": "x"} | link)).status_code == 422


async def test_a_driver_of_a_vehicle_stays(admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    await admin.make("vehicles", {"name": "v", "driverId": driver["id"]})
    assert (await admin.ask("DELETE", f"drivers/{driver['id']}")).status_code == 409


async def test_a_geofence_changes_shape_at_its_version(company, admin):
    shape = {"name": "yard", "kind": "circle", "points": [PORTO], "radiusM": 150}
    made = await admin.make("geofences", shape)
    assert made["version"] == 1
    wider = await admin.ask(
        "PUT", f"geofences/{made['id']}", json=shape | {"radiusM": 300}, headers={"If-Match": '"1"'}
    )
    assert (wider.json()["radiusM"], wider.headers["ETag"]) == (300, '"2"')
    late = await admin.ask("PUT", f"geofences/{made['id']}", json=shape | {"version": 1})
    assert (late.status_code, late.json()["current"]) == (409, 2)
    assert (await admin.ask("DELETE", f"geofences/{made['id']}?version=1")).status_code == 409
    told = [event["type"] async for event in company[1].database.events.find({"aggregate": made["id"]}).sort("_id")]
    assert told == ["geofence.created", "geofence.changed"]


async def test_a_driver_is_replaced_at_its_version(company, admin):
    made = await admin.make("drivers", {"name": "Ana", "phone": "123", "externalId": "a"})
    replaced = await admin.ask("PUT", f"drivers/{made['id']}", json={"name": "Bea"}, headers={"If-Match": '"1"'})
    assert (replaced.json()["name"], replaced.json()["phone"], replaced.headers["ETag"]) == ("Bea", None, '"2"')
    late = await admin.ask("PATCH", f"drivers/{made['id']}", json={"name": "Cid"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["current"]) == (409, 2)
    told = [event["type"] async for event in company[1].database.events.find({"aggregate": made["id"]}).sort("_id")]
    assert told == ["driver.created", "driver.changed"]
