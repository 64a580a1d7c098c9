"""The feed of events against a real MongoDB: one order, each event once, for followers and for customers."""

import asyncio
import random
import uuid

import pytest
import pytest_asyncio

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.orders import Order
from engine.feed.feed import Feed
from models.documents.delivery import Delivery, Place
from models.documents.event import Event
from models.ids import new_id
from models.store.events import EventRepository
from models.store.motion import MotionRepository
from models.store.outbox import Announcement, OutboxRepository
from models.store.scope import Scope
from models.store.transactions import in_transaction
from tests.feed import number
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually


@pytest.fixture
def database(alone):
    """Return a database of this test alone: the feed is one for all tenants."""
    return alone


def an_event(tenant, kind="delivery.created", aggregate=None, sequence=1):
    aggregate = aggregate or new_id("dlv")
    fields = {"id": new_id("evt"), "tenant": tenant, "type": kind, "aggregate": aggregate, "sequence": sequence}
    return Event(**fields, time="2026-11-25T08:00:00Z", actor="usr_test")


async def store(database, *events):
    outbox = OutboxRepository(database)
    await in_transaction(database, lambda session: outbox.put(session, [Announcement(event) for event in events]))


class Collecting:
    """Notes the ids of what it takes, in the transaction."""

    def __init__(self, database, begins="oldest", fail_at=()):
        self.name, self.begins = "collecting", begins
        self.patience_s = 0.0
        self._notes, self._fail_at, self._turn = database["noted"], set(fail_at), 0

    async def sift(self, events):
        return [event for event in events if event.type != "delivery.ignored"]

    async def take(self, events, session):
        self._turn += 1
        await self._notes.insert_many(
            [{"event": event.id, "number": event.number} for event in events], session=session
        )
        if self._turn in self._fail_at:
            raise RuntimeError("the follower fails after writing")


async def noted(database):
    return [note["event"] async for note in database["noted"].find().sort("number", 1)]


async def test_a_follower_takes_each_event_once_in_the_order_of_storing(database, tenant):
    feed = Feed(database, [Collecting(database)])
    await feed.start()
    events = [an_event(tenant) for _ in range(40)]
    for event in events:
        await store(database, event)
    assert await eventually(lambda: _has(database, 40))
    await feed.stop()
    assert await noted(database) == [event.id for event in events]


async def test_a_failing_follower_and_a_restarted_feed_repeat_and_skip_nothing(database, tenant):
    events = [an_event(tenant) for _ in range(30)]
    feed = Feed(database, [Collecting(database, fail_at=(1, 3))])
    await feed.start()
    for event in events[:15]:
        await store(database, event)
    assert await eventually(lambda: _has(database, 15), within_s=10)
    await feed.stop()
    for event in events[15:]:
        await store(database, event)
    again = Feed(database, [Collecting(database)])
    await again.start()
    assert await eventually(lambda: _has(database, 30), within_s=10)
    await again.stop()
    assert await noted(database) == [event.id for event in events]


async def test_what_a_follower_makes_nothing_of_is_passed_by(database, tenant):
    feed = Feed(database, [Collecting(database)])
    await feed.start()
    events = [an_event(tenant, "delivery.ignored" if n % 3 else "delivery.created") for n in range(60)]
    for event in events:
        await store(database, event)
    assert await eventually(lambda: _has(database, 20))
    await store(database, last := an_event(tenant, "delivery.ignored"))

    async def is_noted():
        number = (await database.events.find_one({"_id": last.id})).get("number")
        return (await database.cursors.find_one({"_id": "collecting"}))["number"] == number

    await eventually(is_noted)
    await feed.stop()
    again = Feed(database, [Collecting(database)])
    await again.start()
    await store(database, an_event(tenant))
    assert await eventually(lambda: _has(database, 21))
    await again.stop()
    assert (await noted(database))[:20] == [event.id for event in events[::3]]


async def test_a_new_follower_may_begin_with_what_happens_from_now_on(database, tenant):
    await store(database, *(an_event(tenant) for _ in range(3)))
    await number(database, 100)
    feed = Feed(database, [Collecting(database, begins="newest")])
    await feed.start()
    await eventually(lambda: database.cursors.find_one({"_id": "collecting"}))
    event = an_event(tenant)
    await store(database, event)
    assert await eventually(lambda: _has(database, 1))
    await feed.stop()
    assert await noted(database) == [event.id]


async def test_two_that_number_at_once_give_each_event_one_number(database, tenant):
    events = [an_event(tenant) for _ in range(200)]
    await store(database, *events)
    repository = EventRepository(database)
    await asyncio.gather(*(number(database, 60) for _ in range(8)))
    while await number(database, 60):
        pass
    numbers = [event.number async for event in _numbered(repository)]
    assert len(numbers) == 200
    assert len(set(numbers)) == 200
    assert max(numbers) <= await repository.newest()


async def test_events_of_one_change_keep_their_sequence(database, tenant):
    aggregate = new_id("dlv")
    steps = [an_event(tenant, aggregate=aggregate, sequence=n) for n in (1, 2, 3, 4)]
    shuffled = random.Random(7).sample(steps, 4)
    await store(database, *shuffled)
    await number(database, 10)
    found = await EventRepository(database).after(Scope(tenant, "x"), 0, 10)
    assert [event.sequence for event in found] == [1, 2, 3, 4]


async def test_a_late_motion_event_comes_after_what_was_read_before_it(database, tenant):
    """Its id is made of fix time, long ago; a cursor over ids would miss it."""
    repository, scope = EventRepository(database), Scope(tenant, "x")
    await store(database, an_event(tenant))
    await number(database, 10)
    [seen] = await repository.after(scope, 0, 10)
    late = {**an_event(tenant, "driver.stopped").stored(), "_id": "evt_0000000000aa"}
    del late["actor"]
    await MotionRepository(database).add_events([late])
    await number(database, 10)
    assert [event.id for event in await repository.after(scope, seen.number, 10)] == ["evt_0000000000aa"]


async def test_the_feed_reads_ranges_of_an_index(database, tenant):
    await store(database, *(an_event(tenant) for _ in range(50)))
    await number(database, 100)
    plan = await database.events.find({"tenant": tenant, "number": {"$gt": 10}}).sort("number", 1).limit(5).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 5


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services), client_of(app) as http:
        yield http, services


async def test_customers_pull_what_followers_see(api):
    http, services = api
    admin, other = await Caller(http).registered(), await Caller(http).registered()
    scope = Scope((await admin.ask("GET", "auth/profile")).json()["tenantId"], "usr_test")
    place = Place(latitude=41.0, longitude=-8.0)
    made = [Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=place) for _ in range(7)]
    await DeliveryCommands(services.database, 64).create(scope, [Order(delivery) for delivery in made])
    while await number(services.database, 500):
        pass
    pages, cursor = [], None
    while True:
        params = {"limit": 3, "type": "delivery.*"} | ({"cursor": cursor} if cursor else {})
        answer = (await admin.ask("GET", "events", params=params)).json()
        pages += answer["items"]
        cursor = answer["next"]
        if not answer["more"]:
            break
    assert [event["aggregate"] for event in pages] == [delivery.id for delivery in made]
    assert (await admin.ask("GET", "events", params={"cursor": cursor})).json()["items"] == []
    types = {event["type"] for event in (await other.ask("GET", "events")).json()["items"]}
    assert types == {"tenant.registered"}


@pytest.mark.parametrize("cursor", ["%%%", "bm90IGEgbnVtYmVy", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
async def test_a_cursor_of_somebody_elses_making_is_refused(api, cursor):
    admin = await Caller(api[0]).registered()
    answer = await admin.ask("GET", "events", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


async def _has(database, count):
    return await database["noted"].count_documents({}) == count


async def _numbered(repository):
    for event in await repository.following(0, 10_000):
        yield event
