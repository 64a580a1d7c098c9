"""What a phone on the road asks for, and what it tells after a dead zone."""

import asyncio
import datetime
import uuid

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.documents.document import now
from tests.rest import Caller, client_of, running_api

PLACE = {"latitude": 41.15, "longitude": -8.61}
WAY = ("accepted", "picked_up", "in_transit", "arrived", "delivered")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    caller = await phone_of(admin, driver["id"])
    return caller, driver["id"]


async def phone_of(admin, driver):
    return admin.with_token((await admin.make("keys", {"kind": "device", "driverId": driver}))["key"])


async def assigned(admin, driver, **fields):
    return await admin.make("deliveries", {"dropoff": PLACE, "driverId": driver} | fields)


def ago(seconds):
    return (now() - datetime.timedelta(seconds=seconds)).isoformat()


def a_move(delivery, status, seconds=0, **fields):
    item = {"type": "status", "id": f"{status}-{delivery['id']}", "deliveryId": delivery["id"], "status": status}
    return item | {"time": ago(seconds)} | fields


async def upload(caller, *items):
    answer = await caller.ask("POST", "driver-app/batch", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert [result["index"] for result in results] == list(range(len(items)))
    return results


async def test_the_round_of_today_and_its_next_stop(admin, phone):
    caller, driver = phone
    assert (await caller.ask("GET", "driver-app/next")).json() == {"driverId": driver, "stop": None, "remaining": 0}
    window = {"start": ago(3600), "end": ago(-3600)}
    far = await assigned(admin, driver, dropoff={"latitude": 41.5, "longitude": -8.6})
    soon = await assigned(admin, driver, dropoff={"latitude": 41.4, "longitude": -8.6}, timeWindow=window)
    near = await assigned(admin, driver, pickup=PLACE, customer={"name": "Rui"})
    later = await assigned(admin, driver, timeWindow={"start": ago(-3 * 86400), "end": ago(-4 * 86400)})
    done = (await caller.ask("GET", "driver-app/route", params={"lat": 41.15, "lon": -8.61})).json()
    assert [stop["deliveryId"] for stop in done["stops"]] == [soon["id"], far["id"], near["id"]]
    assert later["id"] not in str(done)
    assert (done["stops"][2]["kind"], done["stops"][2]["customer"]) == ("pickup", "Rui")
    assert done["stops"][0]["next"] == ["accepted", "declined"]
    following = (await caller.ask("GET", "driver-app/next")).json()
    assert (following["stop"]["deliveryId"], following["remaining"]) == (soon["id"], 3)
    assert (await caller.ask("GET", "driver-app/route", params={"lat": 41.15})).status_code == 422


async def test_a_dispatched_route_comes_as_planned_and_the_rest_after_it(admin, phone):
    caller, driver = phone
    near, far, pending = [
        await admin.make("deliveries", {"dropoff": {"latitude": 41.15 + north, "longitude": -8.61}})
        for north in (0.01, 0.3, 0.2)
    ]
    extra = await assigned(admin, driver, priority="urgent")
    stops = [{"deliveryId": one["id"]} for one in (far, near)]
    route = await admin.make("routes", {"stops": stops, "driverId": driver})
    sent = await admin.ask("POST", f"routes/{route['id']}/dispatch")
    assert sent.status_code == 200, sent.text
    found = (await caller.ask("GET", "driver-app/route", params={"lat": 41.15, "lon": -8.61})).json()
    assert found["routeId"] == route["id"]
    assert [stop["deliveryId"] for stop in found["stops"]] == [far["id"], near["id"], extra["id"]]
    assert pending["id"] not in str(found)


async def test_a_day_in_a_dead_zone_comes_in_order_and_at_its_own_times(admin, phone, running):
    caller, driver = phone
    delivery = await assigned(admin, driver)
    await backdate(running, admin, delivery, 3600)
    moves = [a_move(delivery, status, 600 - 60 * place) for place, status in enumerate(WAY)]
    ping = {"type": "ping", "id": "p1", "time": ago(500)} | PLACE
    results = await upload(caller, moves[3], ping, *moves[:3], moves[4])
    assert [result["outcome"] for result in results] == ["done"] * 6
    done = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
    assert [change["status"] for change in done["history"]][1:] == list(WAY)
    assert [change["at"][:19] for change in done["history"]][1:] == [move["time"][:19] for move in moves]
    again = await upload(caller, *moves, ping)
    assert [result["outcome"] for result in again] == ["already-done"] * 5 + ["done"]
    assert (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["version"] == done["version"]


async def backdate(running, admin, delivery, seconds):
    """Let the driver have got a delivery some time ago."""
    given = now() - datetime.timedelta(seconds=seconds)
    query = {"_id": delivery["id"], "tenant": (await admin.ask("GET", "tenant")).json()["id"]}
    await running[1].database.deliveries.update_one(query, {"$set": {"history.0.at": given}})


async def test_a_time_lies_between_the_assignment_and_now(admin, phone):
    caller, driver = phone
    delivery = await assigned(admin, driver)
    given = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["history"][-1]["at"]
    before = now()
    early, late = await upload(caller, a_move(delivery, "accepted", 86400), a_move(delivery, "picked_up", -86400))
    assert early["at"] == given
    assert before <= datetime.datetime.fromisoformat(late["at"]) <= now()


async def test_one_refusal_holds_up_no_other(admin, phone):
    caller, driver = phone
    fine, cancelled, taken = [await assigned(admin, driver) for _ in range(3)]
    other = await admin.make("drivers", {"name": "Rui"})
    await admin.ask("PATCH", f"deliveries/{cancelled['id']}/status", json={"status": "cancelled"})
    await admin.ask("PUT", f"deliveries/{taken['id']}/assignment", json={"driverId": other["id"]})
    theirs = await assigned(admin, other["id"])
    results = await upload(
        caller,
        a_move(cancelled, "accepted"),
        {"type": "status", "id": "x"},
        a_move(taken, "accepted"),
        {"type": "ping", "id": "p", "time": "1990-01-01T00:00:00Z"} | PLACE,
        a_move(theirs, "accepted"),
        {"type": "dance", "id": 7},
        a_move(fine, "cancelled"),
        a_move(fine, "accepted"),
        {"type": "ping", "id": "q", "time": ago(1)} | PLACE,
    )
    assert [result["outcome"] for result in results] == ["refused"] * 7 + ["done"] * 2
    reasons = [result["reason"] for result in results[:7]]
    assert reasons == [
        *("forbidden-transition", "invalid-input", "reassigned", "too-old", "not-found"),
        *("invalid-input", "not-allowed"),
    ]
    assert results[0]["current"] == {"status": "cancelled", "version": 3}
    assert results[0]["allowed"] == []
    assert results[1]["field"] == "status"
    assert (results[2]["current"], results[5]["id"]) == (None, None)
    assert (await admin.ask("GET", f"deliveries/{fine['id']}")).json()["status"] == "accepted"


async def test_a_lost_race_shows_what_is_now_and_own_moves_lose_none(admin, phone):
    """A version that the phone saw counts as seen until somebody else has changed the delivery."""
    caller, driver = phone
    quiet, edited = await assigned(admin, driver), await assigned(admin, driver)
    await admin.ask("PUT", f"deliveries/{edited['id']}", json={"dropoff": PLACE, "notes": "ring twice"})
    first = await upload(caller, *(a_move(quiet, status, 9, version=quiet["version"]) for status in WAY[:2]))
    assert [result["outcome"] for result in first] == ["done", "done"]
    [lost] = await upload(caller, a_move(edited, "accepted", version=edited["version"]))
    assert (lost["outcome"], lost["reason"]) == ("refused", "version-conflict")
    assert lost["current"] == {"status": "assigned", "version": 3}
    rest = await upload(caller, *(a_move(quiet, status, 9, version=quiet["version"]) for status in WAY[:3]))
    assert [result["outcome"] for result in rest] == ["already-done", "already-done", "done"]


async def test_two_uploads_of_the_same_at_once_do_it_once(admin, phone):
    caller, driver = phone
    delivery = await assigned(admin, driver)
    moves = [a_move(delivery, status, 60 - place) for place, status in enumerate(WAY)]
    both = await asyncio.gather(upload(caller, *moves), upload(caller, *moves))
    for one, other in zip(*both, strict=True):
        assert {one["outcome"], other["outcome"]} <= {"done", "already-done"}
    assert (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["version"] == 7


async def test_a_full_log_refuses_the_positions_and_keeps_the_statuses(admin, phone, running):
    caller, driver = phone
    delivery = await assigned(admin, driver)
    appender = running[1].appender
    settings = appender._settings
    appender._settings = settings.model_copy(update={"waiting_max_fixes": 0, "lag_limit_s": -1.0})
    try:
        move, ping = await upload(
            caller, a_move(delivery, "accepted"), {"type": "ping", "id": "p", "time": ago(1)} | PLACE
        )
    finally:
        appender._settings = settings
    assert (move["outcome"], ping["outcome"], ping["reason"]) == ("done", "refused", "engine-saturated")


async def test_an_office_user_has_no_phone(admin):
    for path in ("driver-app/route", "driver-app/next"):
        assert (await admin.ask("GET", path)).status_code == 403


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": [1]}, {"items": [{}] * 1001}])
async def test_a_body_that_is_no_upload_is_refused_as_a_whole(phone, body):
    assert (await phone[0].ask("POST", "driver-app/batch", json=body)).status_code == 422


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_however_an_upload_is_cut_and_repeated_the_end_is_the_same(running, data):
    """The network may break anywhere: pieces overlap, come twice and, within one request, in any order."""
    async with client_of(running[0]) as http:
        admin = await Caller(http).registered()
        driver = await admin.make("drivers", {"name": "Ana"})
        caller = await phone_of(admin, driver["id"])
        deliveries = [await assigned(admin, driver["id"]) for _ in range(2)]
        for delivery in deliveries:
            await backdate(running, admin, delivery, 3600)
        moves = [
            a_move(one, status, 300 - 10 * place - turn)
            for place, status in enumerate(WAY)
            for turn, one in enumerate(deliveries)
        ]
        sent = 0
        while sent < len(moves):
            upto = data.draw(st.integers(sent + 1, len(moves)))
            again = data.draw(st.integers(0, sent))
            await upload(caller, *data.draw(st.permutations(moves[again:upto])))
            sent = upto
        for delivery in deliveries:
            done = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
            assert (done["status"], done["version"]) == ("delivered", 7)
            assert [change["status"] for change in done["history"]] == ["assigned", *WAY]
