"""Routes by hand: planned, changed with what that breaks, dispatched with their deliveries, all or none."""

import uuid

import polyline
import pytest
import pytest_asyncio

from tests.rest import PASSWORD, Caller, client_of, running_api

START = "2026-11-25T08:00:00Z"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services), client_of(app) as client:
        yield client, services.database


@pytest.fixture
def http(running):
    return running[0]


@pytest.fixture
def database(running):
    return running[1]


@pytest.fixture
async def admin(http):
    return await Caller(http).registered()


@pytest.fixture
async def driver(admin):
    return await admin.make("drivers", {"name": "Ana"})


def place(number):
    return {"latitude": 41.1 + number / 200, "longitude": -8.6}


async def deliveries(admin, count, **fields):
    made = [
        await admin.make("deliveries", {"dropoff": place(number), "weightKg": 5} | fields) for number in range(count)
    ]
    return [one["id"] for one in made]


def stops(identifiers):
    return [{"deliveryId": identifier} for identifier in identifiers]


def without_times(route):
    return {name: value for name, value in route.items() if name not in ("createdAt", "updatedAt")}


async def route_of(admin, identifier):
    return (await admin.ask("GET", f"deliveries/{identifier}")).json()["routeId"]


async def test_a_route_says_when_it_is_where_and_its_deliveries_are_on_it(admin):
    ids = await deliveries(admin, 3, serviceTimeS=60)
    route = await admin.make("routes", {"stops": stops(ids), "start": START, "origin": place(10)})
    arrivals = [stop["arrival"] for stop in route["stops"]]
    assert arrivals == sorted(arrivals)
    assert [stop["loadKg"] for stop in route["stops"]] == [10, 5, 0]
    assert route["distanceM"] > 1000
    assert route["violations"] == []
    assert [await route_of(admin, one) for one in ids] == [route["id"]] * 3


async def test_changing_the_order_tells_at_once_what_it_costs_and_breaks(admin):
    ids = await deliveries(admin, 4)
    await admin.ask(
        "PUT",
        f"deliveries/{ids[0]}",
        json={"dropoff": place(0), "timeWindow": {"start": START, "end": "2026-11-25T08:10:00Z"}},
    )
    route = await admin.make("routes", {"stops": stops(ids), "start": START, "origin": place(0)})
    shuffled = [ids[1], ids[3], ids[2], ids[0]]
    answer = await admin.ask(
        "PUT", f"routes/{route['id']}", json={"stops": stops(shuffled), "start": START, "origin": place(0)}
    )
    changed = answer.json()
    assert changed["distanceM"] > route["distanceM"]
    assert [(one["kind"], one["stop"]) for one in changed["violations"]] == [("late", 3)]
    assert answer.headers["ETag"] == '"2"'
    late = await admin.ask("PUT", f"routes/{route['id']}", json={"stops": stops(ids)}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["current"]) == (409, 2)


async def test_an_editor_hears_what_a_move_between_routes_costs_and_breaks_and_nothing_is_stored(admin):
    ids = await deliveries(admin, 6)
    window = {"start": START, "end": "2026-11-25T08:12:00Z"}
    await admin.ask("PUT", f"deliveries/{ids[5]}", json={"dropoff": place(5), "timeWindow": window})
    near, far = [
        await admin.make("routes", {"stops": stops(which), "start": START, "origin": place(origin)})
        for which, origin in ((ids[:3], 0), (ids[3:], 6))
    ]
    edits = [
        {"id": near["id"], "stops": stops([*ids[:3], ids[5]]), "start": START, "origin": place(0)},
        {"id": far["id"], "stops": stops(ids[3:5]), "start": START, "origin": place(6)},
    ]
    answer = (await admin.ask("POST", "routes/preview", json={"routes": edits})).json()
    longer, shorter = answer["routes"]
    assert longer["distanceM"] > 0 > shorter["distanceM"]
    assert answer["distanceM"] == pytest.approx(longer["distanceM"] + shorter["distanceM"], abs=0.2)
    assert [(one["kind"], one["stop"]) for one in longer["broken"]] == [("late", 3)]
    assert (longer["mended"], shorter["broken"], [one["kind"] for one in shorter["mended"]]) == ([], [], ["late"])
    assert (await admin.ask("GET", f"routes/{near['id']}")).json() == near
    assert await route_of(admin, ids[5]) == far["id"]
    edits[1]["version"] = 7
    assert (await admin.ask("PUT", "routes", json={"routes": edits})).status_code == 409
    edits[1]["version"] = 1
    stored = (await admin.ask("PUT", "routes", json={"routes": edits})).json()
    assert [without_times(route) for route in stored] == [without_times(one["route"]) for one in (longer, shorter)]
    assert await route_of(admin, ids[5]) == near["id"]


async def test_a_stop_is_on_one_of_the_edited_routes_alone(admin):
    ids = await deliveries(admin, 2)
    routes = [await admin.make("routes", {"stops": stops([one])}) for one in ids]
    both = {"routes": [{"id": route["id"], "stops": stops(ids)} for route in routes]}
    for method, path in (("POST", "routes/preview"), ("PUT", "routes")):
        answer = await admin.ask(method, path, json=both)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "routes.1.stops.0")
    twice = {"routes": [{"id": routes[0]["id"], "stops": stops(ids[:1])}] * 2}
    assert (await admin.ask("POST", "routes/preview", json=twice)).json()["errors"][0]["field"] == "routes.0.id"


async def test_a_route_is_locked_and_assigned_without_moving_a_stop(admin, driver):
    route = await admin.make("routes", {"stops": stops(await deliveries(admin, 3)), "start": START})
    path = f"routes/{route['id']}"
    answer = await admin.ask("PATCH", path, json={"locked": True, "lockedStops": 2, "driverId": driver["id"]})
    changed = answer.json()
    assert (changed["locked"], changed["driverId"], changed["version"]) == (True, driver["id"], 2)
    assert [stop["locked"] for stop in changed["stops"]] == [True, True, False]
    assert [stop["arrival"] for stop in changed["stops"]] == [stop["arrival"] for stop in route["stops"]]
    assert (await admin.ask("PATCH", path, json={"locked": False}, headers={"If-Match": '"1"'})).status_code == 409
    freed = (await admin.ask("PATCH", path, json={"locked": False, "driverId": None, "version": 2})).json()
    assert (freed["locked"], freed["driverId"], freed["stops"][0]["locked"]) == (False, None, True)
    nobody = await admin.ask("PATCH", path, json={"driverId": "drv_0"})
    assert (nobody.status_code, nobody.json()["errors"][0]["field"]) == (422, "driverId")


async def test_a_changed_vehicle_brings_its_own_limits(admin):
    vehicle = await admin.make("vehicles", {"name": "van", "maxStops": 2, "cost": {"fixed": 40, "perKm": 0.5}})
    route = await admin.make("routes", {"stops": stops(await deliveries(admin, 3)), "start": START})
    changed = (await admin.ask("PATCH", f"routes/{route['id']}", json={"vehicleId": vehicle["id"]})).json()
    assert [one["kind"] for one in changed["violations"]] == ["too_many_stops"]
    assert changed["cost"] == pytest.approx(40 + changed["distanceM"] / 2000, abs=0.01)


async def test_a_route_is_a_line_on_the_map(admin):
    route = await admin.make("routes", {"stops": stops(await deliveries(admin, 3)), "origin": place(10)})
    drawn = await admin.ask("GET", f"routes/{route['id']}/geometry")
    assert drawn.headers["content-type"] == "application/geo+json"
    kinds = [one["geometry"]["type"] for one in drawn.json()["features"]]
    assert (kinds.count("LineString"), kinds.count("Point")) == (3, 3)
    encoded = (await admin.ask("GET", f"routes/{route['id']}/geometry", params={"format": "polyline"})).json()
    line = [place(10), *route["stops"]]
    drawn = polyline.decode(encoded["polyline"])
    for there in line:  # on the roads, where there is a map, and from place to place where there is none
        assert any(point == pytest.approx((there["latitude"], there["longitude"]), abs=5e-3) for point in drawn)


async def test_a_vehicles_limits_are_those_of_its_route(admin):
    depot = await admin.make("depots", {"name": "north", "place": place(20)})
    vehicle = await admin.make(
        "vehicles",
        {
            "name": "van",
            "capacity": {"weightKg": 8},
            "maxStops": 1,
            "startDepotId": depot["id"],
            "endDepotId": depot["id"],
        },
    )
    route = await admin.make(
        "routes", {"stops": stops(await deliveries(admin, 2)), "vehicleId": vehicle["id"], "start": START}
    )
    assert {one["kind"] for one in route["violations"]} == {"overweight", "too_many_stops"}
    assert route["origin"]["latitude"] == pytest.approx(place(20)["latitude"])


async def test_what_leaves_a_route_is_free_for_another(admin):
    ids = await deliveries(admin, 3)
    route = await admin.make("routes", {"stops": stops(ids)})
    taken = await admin.ask("POST", "routes", json={"stops": stops(ids[:1])})
    assert taken.status_code == 409
    await admin.ask("PUT", f"routes/{route['id']}", json={"stops": stops(ids[1:])})
    assert await route_of(admin, ids[0]) is None
    await admin.make("routes", {"stops": stops(ids[:1])})
    await admin.ask("DELETE", f"routes/{route['id']}")
    assert await route_of(admin, ids[1]) is None
    assert (await admin.ask("GET", f"routes/{route['id']}")).status_code == 404


async def test_dispatch_gives_all_deliveries_to_the_driver(admin, driver):
    ids = await deliveries(admin, 3)
    route = await admin.make("routes", {"stops": stops(ids), "driverId": driver["id"]})
    assert (await admin.ask("GET", f"deliveries/{ids[0]}")).json()["status"] == "pending"
    sent = await admin.ask("POST", f"routes/{route['id']}/dispatch", json={"version": 1})
    assert sent.json()["status"] == "dispatched"
    found = [(await admin.ask("GET", f"deliveries/{one}")).json() for one in ids]
    assert {(one["status"], one["driverId"]) for one in found} == {("assigned", driver["id"])}
    again = await admin.ask("POST", f"routes/{route['id']}/dispatch")
    assert again.status_code == 409


async def test_one_delivery_that_cant_be_assigned_stops_the_whole_dispatch(admin, driver):
    ids = await deliveries(admin, 3)
    route = await admin.make("routes", {"stops": stops(ids), "driverId": driver["id"]})
    await admin.ask("PATCH", f"deliveries/{ids[2]}/status", json={"status": "cancelled"})
    answer = await admin.ask("POST", f"routes/{route['id']}/dispatch")
    assert answer.status_code == 409
    assert ids[2] in answer.json()["detail"]
    assert (await admin.ask("GET", f"deliveries/{ids[0]}")).json()["status"] == "pending"
    assert (await admin.ask("GET", f"routes/{route['id']}")).json()["status"] == "planned"


async def test_a_driver_sees_its_own_routes_once_they_are_dispatched(admin, driver, http):
    email = f"{uuid.uuid4().hex}@test.pt"
    await admin.make("users", {"email": email, "password": PASSWORD, "role": "driver", "driverId": driver["id"]})
    signed_in = await Caller(http).ask("POST", "auth/login", json={"email": email, "password": PASSWORD})
    ana = Caller(http, signed_in.json()["accessToken"])
    other = await admin.make("drivers", {"name": "Rui"})
    mine, theirs = [
        await admin.make("routes", {"stops": stops(await deliveries(admin, 1)), "driverId": whose["id"]})
        for whose in (driver, other)
    ]
    assert (await ana.ask("GET", "routes")).json()["items"] == []
    assert (await ana.ask("GET", f"routes/{mine['id']}")).status_code == 404
    for route in (mine, theirs):
        await admin.ask("POST", f"routes/{route['id']}/dispatch")
    assert [one["id"] for one in (await ana.ask("GET", "routes")).json()["items"]] == [mine["id"]]
    assert (await ana.ask("GET", f"routes/{mine['id']}")).status_code == 200
    assert (await ana.ask("GET", f"routes/{theirs['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stops": [{"deliveryId": "dlv_0"}]}, "stops.0"),
        ({"stops": []}, "stops"),
        ({"stops": "MINE", "driverId": "drv_0"}, "driverId"),
        ({"stops": "MINE", "vehicleId": "veh_0"}, "vehicleId"),
        ({"stops": "TWICE"}, "stops.1"),
    ],
)
async def test_what_is_wrong_is_named_by_its_path(admin, body, field):
    [one] = await deliveries(admin, 1)
    chosen = {"MINE": stops([one]), "TWICE": stops([one, one])}
    answer = await admin.ask("POST", "routes", json=body | {"stops": chosen.get(str(body["stops"]), body["stops"])})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"deliveries": ["dlv_0"]}, "deliveries.0"),
        ({"deliveries": "MINE", "vehicles": ["veh_0"]}, "vehicles.0"),
        ({"deliveries": "MINE"}, "vehicles"),
        ({"deliveries": "MINE", "seconds": 10_000}, "seconds"),
        ({"deliveries": "MINE", "optimizationCriteria": ["luck"]}, "optimizationCriteria.0"),
        ({"deliveries": "TWICE"}, "deliveries.1"),
        ({"deliveries": ["dlv_0"] * 50_000}, "deliveries"),
        ({"deliveries": "MINE", "jobs": [{"deliveryId": "dlv_0"}]}, "jobs.0.deliveryId"),
        ({"deliveries": "MINE", "weights": {"fuel": 2}}, "weights"),
        ({"deliveries": "MINE", "weights": {"time": -1}}, "weights.time"),
        ({"deliveries": "MINE", "balance": -1}, "balance"),
        (
            {"deliveries": "MINE", "relations": [{"kind": "in_order", "deliveries": ["dlv_0", "dlv_1"]}]},
            "relations.0.deliveries.0",
        ),
    ],
)
async def test_an_optimisation_that_cant_begin_says_why(admin, body, field):
    ids = await deliveries(admin, 1)
    deliveries_of = {"MINE": ids, "TWICE": ids * 2}
    request = body | {"deliveries": deliveries_of.get(str(body["deliveries"]), body["deliveries"])}
    answer = await admin.ask("POST", "routes/optimize", json=request)
    assert answer.status_code == 422, answer.text
    assert field in [one["field"] for one in answer.json()["errors"]]
    assert (await admin.ask("GET", "jobs")).json()["items"] == []


async def test_what_is_no_number_is_refused_and_not_stored(admin):
    [one] = await deliveries(admin, 1)
    body = f'{{"deliveries": ["{one}"], "seconds": NaN}}'
    answer = await admin.ask("POST", "routes/optimize", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert (await admin.ask("GET", "jobs")).json()["items"] == []


async def test_terms_of_a_plan_name_vehicles_that_are_in_it(admin):
    [one] = await deliveries(admin, 1)
    await admin.make("vehicles", {"name": "van"})
    terms = {"deliveryId": one, "allowedVehicles": ["veh_0"]}
    answer = await admin.ask("POST", "routes/optimize", json={"deliveries": [one], "jobs": [terms]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "jobs.0.allowedVehicles.0")


async def test_a_job_that_nobody_has_begun_can_be_cancelled_and_everybody_hears_of_it(admin, database):
    await admin.make("vehicles", {"name": "van"})
    answer = await admin.ask("POST", "routes/optimize", json={"deliveries": await deliveries(admin, 2)})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json()['id']}"
    job = answer.json()
    assert (job["state"], job["criteria"]) == ("queued", ["time"])
    stopped = await admin.ask("DELETE", f"jobs/{job['id']}")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "cancelled")
    assert (await admin.ask("DELETE", f"jobs/{job['id']}")).json() == stopped.json()
    [told] = await database["events"].find({"aggregate": job["id"]}).to_list(2)
    assert (told["type"], told["actor"]) == ("job.cancelled", (await admin.ask("GET", "auth/profile")).json()["id"])


async def test_a_route_has_the_breaks_of_its_vehicle_and_arrives_later_for_them(admin):
    ids = await deliveries(admin, 4, serviceTimeS=1800)
    lunch = {"window": {"start": "09:00", "end": "10:00"}, "durationS": 2700}
    van = await admin.make("vehicles", {"name": "rested van", "breaks": [lunch]})
    body = {"stops": stops(ids), "start": START, "origin": place(10)}  # 8 o'clock: the company's zone is UTC
    route = await admin.make("routes", body | {"vehicleId": van["id"]})
    [taken] = route["breaks"]
    assert "2026-11-25T09:00:00" <= taken["start"] <= "2026-11-25T10:00:01"
    assert route["stops"][taken["before"]]["arrival"] >= taken["end"]
    assert (await admin.ask("GET", f"routes/{route['id']}")).json()["breaks"] == route["breaks"]
    assert route["violations"] == []
    await admin.ask("PUT", f"vehicles/{van['id']}", json={"name": "rested van"})
    changed = await admin.ask("PUT", f"routes/{route['id']}", json=body | {"vehicleId": van["id"]})
    assert changed.json()["breaks"] == []
    assert changed.json()["durationS"] <= route["durationS"] - 2700 + 2
