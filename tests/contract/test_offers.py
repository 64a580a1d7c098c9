"""Dispatch by offers over REST, with real stores and timers; where drivers are comes from a list."""

import asyncio
import contextlib
import datetime
import uuid

import pytest
import pytest_asyncio

from engine.dispatch.commands import TIMEOUT, OfferCommands
from engine.dispatch.follower import BEGIN, DispatchFollower
from engine.dispatch.tasks import offer_kinds
from engine.feed.feed import Feed
from engine.tasks.worker import TaskWorker
from models.documents.document import now
from models.documents.live import LiveDriver
from models.documents.offer import OfferTerms
from models.errors import Conflict, StoreUnavailable
from models.store.offers import OfferRepository
from models.store.paging import PageRequest
from models.store.scope import Scope
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually

PLACE = {"latitude": 41.15, "longitude": -8.61}


class Roads:
    """Where drivers are, as a list that tests change."""

    def __init__(self):
        self.drivers = {}
        self.away = False
        self.asked = 0

    def put(self, driver, north, **fields):
        seen = {"online": True, "stale": False, "speed": None, "heading": None, "accuracy": None, "battery": None}
        seen |= {"motion": "moving", "open_stops": 0, "time": 0, "received": 0} | fields
        self.drivers[driver] = LiveDriver(
            id=driver, name="x", latitude=PLACE["latitude"] + north, longitude=PLACE["longitude"], **seen
        )

    async def all_nearest(self, tenant, latitude, longitude, limit):
        self.asked += self.away
        if self.away:
            raise StoreUnavailable("a shard does not answer", 0.5)
        return sorted(self.drivers.values(), key=lambda one: abs(one.latitude - latitude))[:limit]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


@pytest.fixture
def roads(running, monkeypatch):
    roads = Roads()
    monkeypatch.setattr(running[1].engine, "all_nearest", roads.all_nearest)
    return roads


@pytest_asyncio.fixture(loop_scope="session")
async def phones(admin, roads):
    """Return three drivers' phones, nearest first."""
    made = await admin.make("drivers/bulk", [{"name": f"driver {place}"} for place in range(3)])
    found = []
    for place, driver in enumerate(made):
        roads.put(driver["id"], 0.002 * (place + 1))
        key = await admin.make("keys", {"kind": "device", "driverId": driver["id"]})
        found.append((driver["id"], admin.with_token(key["key"])))
    return found


async def a_delivery(admin, **fields):
    return await admin.make("deliveries", {"pickup": PLACE, "dropoff": PLACE} | fields)


@contextlib.asynccontextmanager
async def dispatching_by_offers(admin, running, roads):
    """Let the admin's company dispatch by offers, with the feed and the worker that a host runs."""
    database = running[1].database
    feed = Feed(database, [DispatchFollower(database)])
    worker = TaskWorker(database, {BEGIN: offer_kinds(database, 4, roads)[BEGIN]})
    await feed.start()
    await worker.start()
    try:
        await admin.ask("PATCH", "tenant", json={"settings": {"dispatch": "offer"}})
        yield
    finally:
        await worker.stop()
        await feed.stop()


async def offered(admin, delivery, **terms):
    return await admin.make(f"deliveries/{delivery['id']}/offers", terms)


async def open_of(phone):
    return [one["id"] for one in (await phone.ask("GET", "driver-app/offers")).json()["items"]]


async def answer(phone, offer, word="accept"):
    return await phone.ask("POST", f"offers/{offer}/{word}")


async def rounds_of(admin, delivery):
    return (await admin.ask("GET", f"deliveries/{delivery['id']}/offers")).json()["items"]


async def told_of(running, identifier):
    events = running[1].database.events.find({"aggregate": identifier}).sort("sequence", 1)
    return [(event["type"], event["sequence"]) async for event in events]


async def test_one_after_the_other_is_asked_until_one_says_yes(admin, phones, running, roads):
    (nearest, first), (_, second), (last, third) = phones
    delivery = await a_delivery(admin, customer={"name": "Rui"})
    begun = await offered(admin, delivery)
    assert [(offer["driverId"], offer["state"]) for offer in begun["offers"]] == [(nearest, "open")]
    shown = (await first.ask("GET", "driver-app/offers")).json()["items"]
    assert (shown[0]["deliveryId"], "Rui" in str(shown)) == (delivery["id"], False)
    assert await open_of(second) == []
    roads.put(last, 0.0001)  # it has come nearer meanwhile
    assert (await answer(first, shown[0]["id"], "decline")).status_code == 204
    [offer] = await open_of(third)
    taken = await answer(third, offer)
    assert (taken.status_code, taken.json()["status"], taken.json()["driverId"]) == (200, "accepted", last)
    assert (await answer(third, offer)).json()["version"] == taken.json()["version"], "an answer that got lost"
    [done] = await rounds_of(admin, delivery)
    assert (done["state"], [one["state"] for one in done["offers"]]) == ("accepted", ["declined", "accepted"])
    kinds = ["offer.made", "offer.declined", "offer.made", "offer.accepted"]
    assert await told_of(running, begun["id"]) == [(kind, place + 1) for place, kind in enumerate(kinds)]


async def test_all_at_once_and_the_first_yes_wins(admin, phones):
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery, strategy="at_once")
    offers = {one["driverId"]: one["id"] for one in begun["offers"]}
    assert len(offers) == 3
    answers = await asyncio.gather(*(answer(phone, offers[driver]) for driver, phone in phones))
    assert sorted(one.status_code for one in answers) == [200, 409, 409]
    winner = next(driver for (driver, _), one in zip(phones, answers, strict=True) if one.status_code == 200)
    done = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
    assert (done["driverId"], done["status"], done["version"]) == (winner, "accepted", 3)
    for _, phone in phones:
        assert await open_of(phone) == []


async def test_nobody_left_leaves_it_pending_and_says_so(admin, phones, running):
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery, maxDrivers=1)
    assert (await answer(phones[0][1], begun["offers"][0]["id"], "decline")).status_code == 204
    [done] = await rounds_of(admin, delivery)
    assert (done["state"], (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["status"]) == (
        "exhausted",
        "pending",
    )
    assert (await told_of(running, begun["id"]))[-1] == ("offer.exhausted", 3)
    assert (await offered(admin, delivery))["state"] == "asking", "one may ask again"


async def test_those_who_can_not_are_not_asked(admin, phones, roads):
    (busy, _), (offline, _), (far, _) = phones
    vehicle = {"name": "bike", "profile": "bike", "driverId": busy, "capacity": {"weightKg": 10}}
    await admin.make("vehicles", vehicle)
    await a_delivery(admin, driverId=busy, weightKg=8)
    roads.put(offline, 0.0, online=False)
    roads.put(far, 0.2)
    begun = await offered(admin, await a_delivery(admin, weightKg=5))
    assert (begun["state"], begun["offers"]) == ("exhausted", [])
    begun = await offered(admin, await a_delivery(admin, weightKg=2), strategy="at_once")
    assert [one["driverId"] for one in begun["offers"]] == [busy]


async def test_who_thinks_about_another_delivery_is_asked_last(admin, phones):
    drivers = [driver for driver, _ in phones]
    begun = [await offered(admin, await a_delivery(admin)) for _ in range(4)]
    assert [one["offers"][0]["driverId"] for one in begun] == [*drivers, drivers[0]]
    assert (await answer(phones[1][1], begun[1]["offers"][0]["id"], "decline")).status_code == 204
    assert (await offered(admin, await a_delivery(admin)))["offers"][0]["driverId"] == drivers[1]


async def test_what_can_not_be_offered(admin, phones, roads):
    delivery = await a_delivery(admin)
    await offered(admin, delivery)
    path = f"deliveries/{delivery['id']}/offers"
    assert (await admin.ask("POST", path, json={})).status_code == 409
    assigned = await a_delivery(admin, driverId=phones[0][0])
    assert (await admin.ask("POST", f"deliveries/{assigned['id']}/offers", json={})).status_code == 409
    nowhere = await admin.make("deliveries", {"dropoff": {"address": "somewhere"}})
    assert (await admin.ask("POST", f"deliveries/{nowhere['id']}/offers", json={})).status_code == 409
    unknown = await admin.ask("POST", f"deliveries/{nowhere['id']}/offers", json={"drivers": ["drv_0"]})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "drivers.0")
    roads.away = True
    unseen = await admin.ask("POST", f"deliveries/{(await a_delivery(admin))['id']}/offers", json={})
    assert (unseen.status_code, "retry-after" in unseen.headers) == (503, True)


async def test_an_offer_is_the_driver_s_own(admin, phones):
    begun = await offered(admin, await a_delivery(admin))
    offer = begun["offers"][0]["id"]
    for word in ("accept", "decline"):
        assert (await answer(phones[1][1], offer, word)).status_code == 404
        assert (await answer(admin, offer, word)).status_code == 403


async def test_the_office_may_call_it_off(admin, phones, running):
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery)
    path = f"deliveries/{delivery['id']}/offers"
    assert (await admin.ask("DELETE", path)).json()["state"] == "cancelled"
    assert (await admin.ask("DELETE", path)).status_code == 404
    assert (await answer(phones[0][1], begun["offers"][0]["id"])).status_code == 409
    assert await timers_of(running, admin) == 0


async def timers_of(running, admin):
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    return await running[1].database.tasks.count_documents({"tenant": tenant, "kind": TIMEOUT, "state": "waiting"})


async def test_giving_it_to_somebody_by_hand_ends_the_round(admin, phones, running):
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery)
    feed = Feed(running[1].database, [DispatchFollower(running[1].database)])
    await feed.start()
    try:
        body = {"driverId": phones[2][0]}
        assert (await admin.ask("PUT", f"deliveries/{delivery['id']}/assignment", json=body)).status_code == 200
        # before the round has heard of it, the offer is refused all the same
        assert (await answer(phones[0][1], begun["offers"][0]["id"])).status_code == 409

        async def is_over():
            return (await rounds_of(admin, delivery))[0]["state"] == "cancelled"

        await eventually(is_over, 20)
    finally:
        await feed.stop()
    assert (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["driverId"] == phones[2][0]
    assert await timers_of(running, admin) == 0


async def test_a_timer_survives_the_worker_that_waited_for_it(admin, phones, running, roads):
    """The first worker ends before the time does; another one ends the offer and asks the next driver."""
    database = running[1].database
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery, timeLimitS=5)
    kinds = offer_kinds(database, 4, roads)
    first = TaskWorker(database, kinds)
    await first.start()
    await first.stop()
    assert (await rounds_of(admin, delivery))[0]["offers"][0]["state"] == "open"
    await let_time_pass(running, begun["id"], 5)
    second = TaskWorker(database, kinds)
    await second.start()
    try:

        async def next_is_asked():
            [asked] = await rounds_of(admin, delivery)
            return [one["state"] for one in asked["offers"]] == ["expired", "open"]

        await eventually(next_is_asked, 20)
    finally:
        await second.stop()
    assert (await answer(phones[0][1], begun["offers"][0]["id"])).status_code == 409
    assert len(await open_of(phones[1][1])) == 1


async def test_a_round_goes_on_however_long_drivers_could_not_be_seen(admin, phones, running, roads):
    database = running[1].database
    delivery = await a_delivery(admin)
    begun = await offered(admin, delivery, timeLimitS=5)
    await let_time_pass(running, begun["id"], 5)
    kinds = offer_kinds(database, 4, roads)
    mine = {"tenant": (await admin.ask("GET", "auth/profile")).json()["tenantId"], "kind": TIMEOUT}
    await database.tasks.update_one(mine, {"$set": {"attempts": len(kinds[TIMEOUT].delays_s)}})  # its last try is next
    roads.away, worker = True, TaskWorker(database, kinds)
    await worker.start()
    try:
        await eventually(lambda: roads.asked > 0)
        roads.away = False

        async def next_is_asked():
            return [one["state"] for one in (await rounds_of(admin, delivery))[0]["offers"]] == ["expired", "open"]

        await eventually(next_is_asked, 20)
    finally:
        await worker.stop()


async def let_time_pass(running, identifier, seconds):
    """Move an open round and its timers into the past, as if so much time had passed."""
    database = running[1].database
    told = await database.events.find_one({"aggregate": identifier})
    mine = {"_id": identifier, "tenant": told["tenant"]}
    asked = await database.offer_rounds.find_one(mine)
    past = datetime.timedelta(seconds=seconds)
    for offer in asked["offers"]:
        offer["until"] -= past
    await database.offer_rounds.update_one(mine, {"$set": {"offers": asked["offers"]}})
    await database.tasks.update_many({"tenant": asked["tenant"], "kind": TIMEOUT}, {"$set": {"due": now()}})


async def test_a_timer_that_comes_twice_or_late_harms_nothing(admin, phones, running, roads):
    commands = OfferCommands(running[1].database, 4, roads)
    scope = Scope((await admin.ask("GET", "auth/profile")).json()["tenantId"], "engine")
    begun = await offered(admin, await a_delivery(admin))
    offer = begun["offers"][0]["id"]
    early = await commands.expire(scope, offer)
    assert early.offers[0].state == "open", "its time is not over"
    await let_time_pass(running, begun["id"], 60)
    both = await asyncio.gather(commands.expire(scope, offer), commands.expire(scope, offer))
    assert {one.version for one in both} == {2 + 1}
    assert [one.state for one in (await commands.expire(scope, offer)).offers] == ["expired", "open"]


async def test_a_company_that_dispatches_by_offers_need_not_ask(admin, phones, running, roads):
    async with dispatching_by_offers(admin, running, roads):
        given = await a_delivery(admin, driverId=phones[1][0])
        unplaced = await admin.make("deliveries", {"dropoff": {"address": "somewhere"}})
        by_itself = await a_delivery(admin)

        async def is_asked():
            return await open_of(phones[0][1])

        [offer] = await eventually(is_asked, 20)
        [begun] = await rounds_of(admin, by_itself)
        assert begun["offers"][0]["id"] == offer
        assert await rounds_of(admin, given) == await rounds_of(admin, unplaced) == []
        await admin.ask("PUT", f"deliveries/{unplaced['id']}", json={"dropoff": PLACE})

        async def found_its_place():
            return await rounds_of(admin, unplaced)

        await eventually(found_its_place, 20)


@pytest.mark.parametrize("status", ["declined", "pending"])
async def test_what_a_driver_is_rid_of_is_offered_to_others(admin, phones, running, roads, status):
    async with dispatching_by_offers(admin, running, roads):
        driver, phone = phones[0]
        delivery, other = await a_delivery(admin, driverId=driver), await a_delivery(admin)

        async def is_heard():
            return await rounds_of(admin, other)

        await eventually(is_heard, 20)
        await admin.ask("DELETE", f"deliveries/{other['id']}/offers")
        of_new = {"tenant": (await admin.ask("GET", "auth/profile")).json()["tenantId"], "kind": BEGIN}

        async def is_over():
            return not await running[1].database.tasks.count_documents({**of_new, "state": {"$ne": "done"}})

        await eventually(is_over, 20)
        assert await rounds_of(admin, delivery) == []
        who = phone if status == "declined" else admin
        moved = await who.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status})
        assert moved.json()["status"] == "pending", moved.text

        async def is_offered():
            return await rounds_of(admin, delivery)

        [begun] = await eventually(is_offered, 20)
        assert [offer["driverId"] for offer in begun["offers"]] == [phones[1][0]]


async def test_what_begins_a_round_by_itself_begins_one(admin, phones, running, roads):
    """A worker may die after the round began, and the next one do the task again."""
    commands, delivery = OfferCommands(running[1].database, 4, roads), await a_delivery(admin)
    scope = Scope((await admin.ask("GET", "auth/profile")).json()["tenantId"], "engine")
    await commands.start(scope, delivery["id"], OfferTerms(max_drivers=1), "tsk_1")
    [begun] = await rounds_of(admin, delivery)
    await answer(phones[0][1], begun["offers"][0]["id"], "decline")
    with pytest.raises(Conflict):
        await commands.start(scope, delivery["id"], OfferTerms(), "tsk_1")
    assert [one["state"] for one in await rounds_of(admin, delivery)] == ["exhausted"]


async def test_two_who_start_at_once_make_one_round(admin, phones, running, roads):
    commands, delivery = OfferCommands(running[1].database, 4, roads), await a_delivery(admin)
    scope = Scope((await admin.ask("GET", "auth/profile")).json()["tenantId"], "usr_1")
    both = await asyncio.gather(
        *(commands.start(scope, delivery["id"], OfferTerms()) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "OfferRound"]
    assert len((await OfferRepository(running[1].database).of(scope, delivery["id"], PageRequest(9))).items) == 1
