"""Planning on a whole Outrider: solved on Ray, dispatched, followed to the door by driver and customer."""

import os
import signal

import httpx2
import pytest
import pytest_asyncio

from models.errors import InvalidInput
from outrider.client import OutriderClient
from tests.rest import Caller
from tests.searches import searching_below
from tests.stack import eventually

pytestmark = pytest.mark.long

DEPOT = {"latitude": 41.15, "longitude": -8.62}


@pytest_asyncio.fixture(loop_scope="session")
async def admin(outrider_running):
    async with httpx2.AsyncClient(base_url=outrider_running.url, trust_env=False, timeout=60) as http:
        yield await Caller(http).registered()


async def fleet(admin, vans):
    depot = await admin.make("depots", {"name": "north", "place": DEPOT})
    drivers = [await admin.make("drivers", {"name": f"driver {n}", "externalId": f"d{n}"}) for n in range(vans)]
    for driver in drivers:
        body = {"name": f"van of {driver['name']}", "driverId": driver["id"], "maxStops": 12}
        await admin.make("vehicles", body | {"startDepotId": depot["id"], "endDepotId": depot["id"]})
    return drivers


async def deliveries(admin, count):
    made = []
    for n in range(count):
        place = {"latitude": 41.1 + (n * 37 % 100) / 1000, "longitude": -8.66 + (n * 61 % 100) / 1000}
        made.append(await admin.make("deliveries", {"dropoff": place, "serviceTimeS": 60, "reference": f"R-{n}"}))
    return [one["id"] for one in made]


async def ended(admin, job):
    found = (await admin.ask("GET", f"jobs/{job['id']}")).json()
    return found if found["state"] not in ("queued", "running") else None


async def test_deliveries_are_put_on_routes_and_dispatched(admin):
    drivers, ids = await fleet(admin, 2), await deliveries(admin, 16)
    request = {"deliveries": ids, "seconds": 2, "optimizationCriteria": ["distance"]}
    answer = await admin.ask("POST", "routes/optimize", json=request, params={"wait": "true"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["state"] == "done", job
    assert job["unserved"] == []
    assert job["progress"]
    [told] = job["travel"]
    assert (told["profile"], told["provider"], told["source"]) == ("van", "roads", "provider")
    assert told["mapDate"]
    routes = [(await admin.ask("GET", f"routes/{one}")).json() for one in job["routes"]]
    assert sorted(one for route in routes for one in route["deliveries"]) == sorted(ids)
    assert all(route["violations"] == [] for route in routes)
    assert {route["driverId"] for route in routes} <= {driver["id"] for driver in drivers}
    sent = await admin.ask("POST", f"routes/{routes[0]['id']}/dispatch")
    assert sent.json()["status"] == "dispatched"
    for one in routes[0]["deliveries"]:
        await admin.ask("PATCH", f"deliveries/{one}/status", json={"status": "cancelled"})

    async def is_completed():
        return (await admin.ask("GET", f"routes/{routes[0]['id']}")).json()["status"] == "completed"

    await eventually(is_completed, within_s=10)


async def test_what_no_van_can_take_is_left_out_with_its_reason(admin):
    await fleet(admin, 1)
    [far] = await deliveries(admin, 1)
    window = {"start": "2026-01-01T08:00:00Z", "end": "2026-01-01T08:30:00Z"}
    await admin.ask("PUT", f"deliveries/{far}", json={"dropoff": DEPOT, "timeWindow": window})
    answer = await admin.ask(
        "POST", "routes/optimize", json={"deliveries": [far], "seconds": 0.5}, params={"wait": "true"}
    )
    job = answer.json()
    assert (job["state"], job["routes"]) == ("done", [])
    assert job["unserved"] == [{"deliveryId": far, "reason": "no vehicle can be there before its time window closes"}]


async def test_a_long_job_stops_when_asked_and_keeps_its_best(admin):
    await fleet(admin, 4)
    ids = await deliveries(admin, 40)
    job = (await admin.ask("POST", "routes/optimize", json={"deliveries": ids, "seconds": 300})).json()

    async def has_begun():
        return (await admin.ask("GET", f"jobs/{job['id']}")).json()["progress"]

    await eventually(has_begun, within_s=40)
    await admin.ask("DELETE", f"jobs/{job['id']}")
    stopped = await eventually(lambda: ended(admin, job), within_s=20)
    assert stopped["state"] == "cancelled"
    assert len(stopped["routes"]) >= 4


async def test_a_planner_watches_the_cost_fall_live(admin, outrider_running):
    await fleet(admin, 3)
    request = {"deliveries": await deliveries(admin, 30), "seconds": 4}
    job = (await admin.ask("POST", "routes/optimize", json=request)).json()
    curves = []
    client = OutriderClient(outrider_running.url, token=admin.token)
    async with client, client.subscribe("job", job_id=job["id"]) as stream:
        async for frame in stream:
            [seen] = frame.jobs
            curves.append([point["cost"] for point in seen["progress"]])
            if seen["state"] not in ("queued", "running"):
                break
    assert seen == (await admin.ask("GET", f"jobs/{job['id']}")).json()
    assert len(curves) >= 3
    assert curves[-1] == sorted(curves[-1], reverse=True)
    stranger = await admin.registered()
    async with OutriderClient(outrider_running.url, token=stranger.token) as client:
        with pytest.raises(InvalidInput, match="there is no job"):
            await anext(client.subscribe("job", job_id=job["id"]))


async def test_a_job_survives_the_loss_of_its_solver(admin, outrider_running):
    await fleet(admin, 2)
    ids = await deliveries(admin, 20)
    job = (await admin.ask("POST", "routes/optimize", json={"deliveries": ids, "seconds": 6})).json()

    async def has_begun():
        return (await admin.ask("GET", f"jobs/{job['id']}")).json()["progress"]

    await eventually(has_begun, within_s=40)
    solvers = searching_below(outrider_running.process.pid)
    assert solvers
    for pid in solvers:
        os.kill(pid, signal.SIGKILL)
    done = await eventually(lambda: ended(admin, job), within_s=40)
    assert (done["state"], done["unserved"]) == ("done", [])


async def test_driver_and_customer_follow_a_delivery(admin):
    [driver] = await fleet(admin, 1)
    [one] = await deliveries(admin, 1)
    await admin.ask("PUT", f"deliveries/{one}/assignment", json={"driverId": driver["id"]})
    link = await admin.make(f"tracking/{one}/link", {})
    assert await admin.make(f"tracking/{one}/link", {}) == link
    customer = admin.with_token(None)
    assert (await admin.ask("GET", f"tracking/eta/{one}")).status_code == 409
    await admin.ask("POST", f"tracking/{one}", json=DEPOT)

    async def eta():
        answer = await admin.ask("GET", f"tracking/eta/{one}")
        return answer.json() if answer.status_code == 200 else None

    found = await eventually(eta)
    assert found["range"]["min"] <= found["estimatedTime"] <= found["range"]["max"]
    assert found["confidence"] == "low"
    seen = (await customer.ask("GET", f"track/{link['token']}")).json()
    assert (seen["status"], seen["reference"], seen["position"]) == ("assigned", "R-0", None)
    assert driver["id"] not in str(seen)
    for status in ("accepted", "picked_up", "in_transit"):
        await admin.ask("PATCH", f"deliveries/{one}/status", json={"status": status})
    seen = (await customer.ask("GET", f"track/{link['token']}")).json()
    assert seen["position"] == DEPOT
    assert seen["eta"]["deliveryId"] == one
    guessed = link["token"][:-1] + ("a" if link["token"][-1] != "a" else "b")
    assert (await customer.ask("GET", f"track/{guessed}")).status_code == 404
    page = await customer.http.get(link["path"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
