"""Events on their way to the shards and dashboards, against a real MongoDB and Redis."""

import asyncio

import msgspec
import pytest

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Move
from engine.deliveries.orders import Order
from engine.feed.feed import Feed
from engine.outbox.relay import OutboxRelay
from engine.settings import LogSettings, Settings
from models.documents.delivery import Delivery, Place
from models.documents.document import now
from models.documents.geofence import FenceShape
from models.ids import new_id
from models.messages.commands import DeliveryAssigned, DeliveryChanged, FencesChanged, decode
from models.messages.log import EVENT_FIELD, stream_key
from models.store.backlog import BacklogRepository
from models.store.drivers import DriverRepository, NewDriver
from models.store.geofences import GeofenceRepository
from models.store.leases import Lease
from tests.stack import eventually

PARTITIONS = 4


@pytest.fixture
def database(alone):
    """Return a database of this test alone: a relay serves all tenants of one."""
    return alone


def a_relay(database, redis, prefix):
    return OutboxRelay(database, redis, Settings(prefix=prefix, log=LogSettings(partitions=PARTITIONS)))


@pytest.fixture
async def feed(database, redis, prefix):
    feed = Feed(database, [], a_relay(database, redis, prefix))
    yield feed
    await feed.stop()


async def an_assigned_delivery(database, scope):
    driver = (await DriverRepository(database, PARTITIONS).create_many(scope, [NewDriver("Ana")]))[0]
    place = Place(latitude=41.15, longitude=-8.61)
    delivery = Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=place)
    await DeliveryCommands(database, PARTITIONS).create(scope, [Order(delivery, driver.id)])
    return driver, delivery


async def messages_in(redis, prefix, partition):
    entries = await redis.xrange(stream_key(prefix, partition))
    return [decode(fields[EVENT_FIELD]) for _, fields in entries]


async def test_an_assignment_reaches_the_drivers_partition(database, redis, prefix, scope, feed):
    await feed.start()
    driver, delivery = await an_assigned_delivery(database, scope)
    found = await eventually(lambda: messages_in(redis, prefix, driver.partition))
    assert isinstance(found[0], DeliveryAssigned)
    assert (found[0].driver, found[0].delivery, found[0].version) == (driver.number, delivery.id, 2)
    assert [stop.kind for stop in found[0].stops] == ["dropoff"]


async def test_what_was_stored_while_no_relay_ran_is_caught_up(database, redis, prefix, scope, feed):
    driver, _ = await an_assigned_delivery(database, scope)
    await feed.start()
    await eventually(lambda: messages_in(redis, prefix, driver.partition))

    await eventually(lambda: _nothing_waits(database))


async def test_dashboards_hear_of_it(database, redis, prefix, scope, feed):
    pubsub = redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe(f"{prefix}:live:{scope.tenant}")
    await feed.start()
    _, delivery = await an_assigned_delivery(database, scope)
    heard = []

    async def all_heard():
        if (said := await pubsub.get_message(timeout=0.1)) is not None:
            assert said["data"][:1] == b"E"
            heard.extend(msgspec.msgpack.decode(said["data"][1:]))
        return len(heard) == 3

    await eventually(all_heard)
    assert [event["type"] for event in heard] == ["driver.created", "delivery.created", "delivery.assigned"]
    assert {event["aggregate"] for event in heard[1:]} == {delivery.id}
    await pubsub.aclose()


async def test_a_fence_reaches_all_partitions(database, redis, prefix, scope, feed):
    await feed.start()
    shape = FenceShape(name="depot", kind="circle", points=({"latitude": 41.1, "longitude": -8.6},), radius_m=100)
    await GeofenceRepository(database).create(scope, shape)
    for partition in range(PARTITIONS):
        found = await eventually(lambda partition=partition: messages_in(redis, prefix, partition))
        assert isinstance(found[0], FencesChanged)


async def test_two_hosts_tell_everything_once(database, redis, prefix, scope, feed):
    second = Feed(database, [], a_relay(database, redis, prefix))
    await asyncio.gather(feed.start(), second.start())
    driver, _ = await an_assigned_delivery(database, scope)
    found = await eventually(lambda: messages_in(redis, prefix, driver.partition))
    await asyncio.gather(feed.stop(), second.stop())
    assert len(found) == 1
    assert len(await messages_in(redis, prefix, driver.partition)) == 1


class Silent:
    """A Redis that refuses everything for some time."""

    def __init__(self, redis):
        self._redis, self.away = redis, True

    def pipeline(self, **options):
        if self.away:
            raise ConnectionRefusedError
        return self._redis.pipeline(**options)


async def test_what_could_not_be_told_is_numbered_and_told_later_before_what_came_after(database, redis, prefix, scope):
    silent = Silent(redis)
    feed = Feed(database, [], a_relay(database, silent, prefix))
    await feed.start()
    driver, delivery = await an_assigned_delivery(database, scope)
    [last] = await database.events.find({"aggregate": delivery.id}).sort("sequence", -1).limit(1).to_list(1)

    async def is_numbered():
        return (await database.events.find_one({"_id": last["_id"]})).get("number")

    await eventually(is_numbered)
    assert await messages_in(redis, prefix, driver.partition) == []
    assert (await BacklogRepository(database).events()).outbox > 0
    silent.away = False
    await DeliveryCommands(database, PARTITIONS).move(scope, delivery.id, Move("accepted", now(), "usr_test"), None)

    async def both():
        found = await messages_in(redis, prefix, driver.partition)
        return found if len(found) == 2 else None

    found = await eventually(both)
    assert [type(message) for message in found] == [DeliveryAssigned, DeliveryChanged]
    await eventually(lambda: _nothing_waits(database))
    await feed.stop()


async def _nothing_waits(database):
    return (await BacklogRepository(database).events()).outbox == 0


async def test_a_lease_has_one_holder_until_it_is_given_up(database):
    one, two = Lease(database, "work", "one", 60), Lease(database, "work", "two", 60)
    assert await one.acquire()
    assert await one.acquire()
    assert not await two.acquire()
    await one.release()
    assert await two.acquire()


async def test_a_lease_runs_out(database):
    assert await Lease(database, "work", "one", 0.05).acquire()
    assert await eventually(Lease(database, "work", "two", 60).acquire)
