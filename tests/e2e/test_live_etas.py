"""Live arrival estimates of a whole Outrider: pushed, explained, promised, scored, and warning in time."""

import asyncio
import contextlib
import datetime
import os
import sys
from datetime import UTC

import httpx2
import msgspec
import pytest_asyncio
from websockets.asyncio.client import connect

from models.eta.bundle import save_bundle
from pipelines.datasets import LegDataset
from tests.legs import a_bundle
from tests.rest import Caller
from tests.stack import eventually

HERE = {"latitude": 41.15, "longitude": -8.62}
NEAR = {"latitude": 41.16, "longitude": -8.62}
FAR = {"latitude": 41.25, "longitude": -8.62}


@pytest_asyncio.fixture(loop_scope="session")
async def admin(outrider_running):
    async with httpx2.AsyncClient(base_url=outrider_running.url, trust_env=False, timeout=60) as http:
        yield await Caller(http).registered()


@contextlib.asynccontextmanager
async def following(admin, outrider_running, delivery):
    """Yield a socket that follows a delivery."""
    address = f"ws{outrider_running.url.removeprefix('http')}/api/v1/ws"
    async with connect(
        address, additional_headers={"Authorization": f"Bearer {admin.token}"}, compression=None, proxy=None
    ) as socket:
        await socket.send(msgspec.json.encode({"type": "subscribe_delivery", "deliveryId": delivery}).decode())
        yield socket


async def estimated(socket, other_than=None):
    """Return the next estimate in the frames of a delivery."""
    while True:
        said = msgspec.json.decode(await socket.recv())
        for delivery in said.get("deliveries", ()):
            if delivery["eta"] is not None and delivery["eta"]["estimated"] != other_than:
                return delivery["eta"]


async def given(admin, dropoff, **fields):
    """Return a driver's id and a delivery that the driver has."""
    driver = await admin.make("drivers", {"name": "Ana"})
    made = await admin.make("deliveries", {"dropoff": dropoff, "serviceTimeS": 60, **fields})
    await admin.ask("PUT", f"deliveries/{made['id']}/assignment", json={"driverId": driver["id"]})
    return driver["id"], made["id"]


async def seen(admin, delivery):
    """Return the estimate of the delivery's shard."""

    async def ask():
        answer = await admin.ask("GET", f"tracking/eta/{delivery}")
        return answer.json() if answer.status_code == 200 and answer.json()["promise"] else None

    return await eventually(ask, within_s=15)


async def told(admin, kind, delivery):
    """Return the first event of a kind about a delivery, from the feed."""

    async def look():
        page = (await admin.ask("GET", "events", params={"type": kind, "limit": 200})).json()
        return [event for event in page["items"] if event["type"] == kind and event["aggregate"] == delivery]

    return (await eventually(look, within_s=15))[0]


async def test_an_estimate_is_pushed_promised_and_kept(admin, outrider_running):
    _, delivery = await given(admin, FAR)
    async with following(admin, outrider_running, delivery) as socket:
        await admin.ask("POST", f"tracking/{delivery}", json=HERE)
        first = await estimated(socket)
        assert first["earliest"] < first["estimated"] < first["latest"]
        await admin.ask("POST", f"tracking/{delivery}", json=NEAR | {"accuracy": 5000.0})  # noise moves nothing
        await admin.ask("POST", f"tracking/{delivery}", json={"latitude": 41.1506, "longitude": -8.62})
    found = await seen(admin, delivery)
    assert found["range"]["min"] <= found["estimatedTime"] <= found["range"]["max"]
    assert [factor["name"] for factor in found["factors"]] == ["driving"]
    assert found["factors"][0]["text"].startswith("Driving takes ")
    assert (found["confidence"], found["model"], found["lateRisk"]) == ("low", "cold-start", None)

    async def kept():
        return (await admin.ask("GET", f"tracking/eta/{delivery}/history")).json()["points"]

    points = await eventually(kept)
    assert points[0]["promise"]
    assert points[0]["estimatedTime"] == found["promise"]["estimatedTime"]


async def test_lateness_is_told_before_the_window_ends_and_nearness_to_the_customer(admin):
    end = datetime.datetime.now(UTC) + datetime.timedelta(minutes=8)
    window = {"start": (end - datetime.timedelta(minutes=30)).isoformat(), "end": end.isoformat()}
    driver, delivery = await given(admin, FAR, timeWindow=window)
    await admin.ask("POST", f"tracking/{delivery}", json=HERE)
    first = await seen(admin, delivery)
    assert first["lateRisk"] > 0.9

    async def later():
        await admin.ask("POST", f"tracking/{delivery}", json=HERE)
        page = (await admin.ask("GET", "events", params={"type": "delivery.late_risk"})).json()
        return [event for event in page["items"] if event["aggregate"] == delivery]

    [event] = await eventually(later, within_s=30)
    assert datetime.datetime.fromisoformat(event["time"]) < end
    data = event["data"]
    assert (data["deliveryId"], data["driverId"]) == (delivery, driver)
    assert data["probability"] > 0.9
    assert len(data["traceId"]) == 32
    _, soon = await given(admin, NEAR)
    await admin.ask("POST", f"tracking/{soon}", json=HERE)
    near = await told(admin, "delivery.imminent", soon)
    assert 1 <= near["data"]["minutes"] <= 10


async def test_a_promise_is_scored_when_the_driver_is_there(admin, outrider_running, tmp_path):
    _, delivery = await given(admin, NEAR)
    start = datetime.datetime.now(UTC) - datetime.timedelta(minutes=10)
    await admin.ask("POST", f"tracking/{delivery}", json=HERE | {"time": start.isoformat()})
    await seen(admin, delivery)
    for second in (120, 151, 182):
        at = start + datetime.timedelta(seconds=second)
        await admin.ask("POST", f"tracking/{delivery}", json=NEAR | {"time": at.isoformat(), "accuracy": 4})

    async def outcome():
        return (await admin.ask("GET", f"tracking/eta/{delivery}/history")).json()["outcome"]

    scored = await eventually(outcome, within_s=15)
    assert -3600 < scored["errorS"] < 0
    accuracy = (await admin.ask("GET", "eta/accuracy")).json()
    assert (accuracy["whole"]["arrivals"], accuracy["models"][0]["model"]) == (1, "cold-start")
    metrics = (await admin.ask("GET", "eta/models/nothing/metrics")).status_code
    assert metrics == 404
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    assert await exported(outrider_running, tenant, tmp_path / "legs") == {tenant: 1}


async def exported(outrider_running, tenant, out):
    """Bring a company's driven legs out of the database as its data scientist would; return how many there are."""
    command = [sys.executable, "-m", "outrider", "legs", "export", "--out", str(out), "--tenant", tenant]
    env = {**os.environ, "OUTRIDER_VAR": str(outrider_running.var)}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return LegDataset(out).companies()


async def test_a_dispatched_route_says_which_stop_comes_first(admin):
    driver = await admin.make("drivers", {"name": "Rui"})
    ids = [(await admin.make("deliveries", {"dropoff": place, "serviceTimeS": 60}))["id"] for place in (NEAR, FAR)]
    stops = [{"deliveryId": ids[1]}, {"deliveryId": ids[0]}]
    route = await admin.make("routes", {"stops": stops, "driverId": driver["id"]})
    assert (await admin.ask("POST", f"routes/{route['id']}/dispatch")).status_code == 200
    await admin.ask("POST", f"tracking/{ids[0]}", json=HERE)

    async def in_order():
        far, near = await seen(admin, ids[1]), await seen(admin, ids[0])
        return far["estimatedTime"] < near["estimatedTime"] and near

    near = await eventually(in_order, within_s=15)
    assert "stops_before" in [factor["name"] for factor in near["factors"]]


async def test_a_promoted_model_answers_and_no_ping_is_lost_on_the_way(admin, outrider_running):
    save_bundle(a_bundle(), outrider_running.var / "models" / "town")
    driver, delivery = await given(admin, FAR)
    start = datetime.datetime.now(UTC) - datetime.timedelta(minutes=2)

    async def drive(numbers):
        for number in numbers:
            place = {"latitude": 41.15 + number * 1e-4, "longitude": -8.62, "sequence": number}
            at = (start + datetime.timedelta(seconds=number)).isoformat()
            await admin.ask("POST", f"tracking/{delivery}", json=place | {"time": at})

    await drive(range(20))
    assert (await seen(admin, delivery))["model"] == "cold-start"
    listed = (await admin.ask("POST", "eta/models/town/promote")).json()
    assert (listed["serving"], listed["log"][0]["action"]) == ("town", "promote")
    assert {one["name"]: one["serves"] for one in listed["items"]}["town"] == "you"
    await drive(range(20, 60))
    question = {"legs": [{"from": HERE, "to": FAR}, {"from": HERE, "to": HERE}]}

    async def serves():
        answer = (await admin.ask("POST", "eta/predict", json=question)).json()
        is_there = answer.get("model") == "town" and answer["legs"][0]["base"] == "roads"
        return answer if is_there else None

    way, nothing = (await eventually(serves, within_s=15))["legs"]
    assert 0 < way["p10S"] <= way["p50S"] <= way["p90S"]
    assert nothing["p90S"] == 0

    async def explained():
        await drive(range(60, 62))
        answer = await seen(admin, delivery)
        return answer if answer.get("model") == "town" else None

    found = await eventually(explained, within_s=15)
    assert len(found["factors"]) > 1
    assert found["base"] == "roads"
    window = {"from": (start - datetime.timedelta(minutes=1)).isoformat(), "to": datetime.datetime.now(UTC).isoformat()}

    async def tracked():
        track = (await admin.ask("GET", f"drivers/{driver}/track", params=window)).json()
        return track["count"] >= 62 and track

    assert (await eventually(tracked, within_s=15))["count"] == 62
    far_off = {"legs": [question["legs"][0] | {"departure": "9999-12-31T23:59:59Z"}]}
    refused = await admin.ask("POST", "eta/predict", json=far_off)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "legs.0.departure")
    assert (await admin.ask("POST", "eta/models/rollback")).json()["serving"] == "cold-start"
    assert (await admin.ask("POST", "eta/models/rollback")).status_code == 409
    assert (await admin.ask("POST", "eta/models/nothing/promote")).status_code == 404
