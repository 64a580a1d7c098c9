"""Repositories against a real MongoDB: tenants apart, pages stable, versions kept."""

import asyncio
import uuid

import pytest

from engine.deliveries.commands import DeliveryCommands, StopEdge
from engine.deliveries.lifecycle import Move
from engine.deliveries.orders import Order
from engine.registry import DriverRegistry
from models.documents.delivery import Delivery, Place, Status
from models.documents.depot import Depot
from models.documents.document import now
from models.documents.geofence import FenceShape
from models.documents.tenant import Tenant, TenantSettings
from models.documents.user import User
from models.documents.vehicle import Vehicle
from models.errors import Conflict, InvalidInput, NotFound, VersionConflict
from models.ids import new_id
from models.messages.log import partition_of
from models.store.accounts import AccountRepository
from models.store.at_once import find_at_once
from models.store.deliveries import DeliveryFilter, DeliveryRepository
from models.store.drivers import DriverRepository, NewDriver
from models.store.fleet import DepotRepository, VehicleRepository
from models.store.geofences import GeofenceRepository
from models.store.indexes import ensure_indexes, ensure_tenant_indexes
from models.store.outbox import EVERYWHERE
from models.store.paging import PageRequest
from models.store.scope import Scope
from tests.stack import connected

PARTITIONS = 8
PORTO = Place(latitude=41.15, longitude=-8.61)


@pytest.fixture
async def alone(stores):
    """Return a database of one test alone, whose questions can be counted."""
    own = connected(stores.mongo_url, f"test-{uuid.uuid4().hex[:12]}")
    await ensure_indexes(own)
    yield own
    await own.client.drop_database(own.name)
    own.client.close()


@pytest.fixture
def drivers(store):
    return DriverRepository(store, PARTITIONS)


@pytest.fixture
def commands(store):
    return DeliveryCommands(store, PARTITIONS)


def a_delivery(scope, **fields):
    return Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=PORTO, pickup=PORTO, **fields)


async def an_account(store, scope, **settings):
    tenant = Tenant(id=scope.tenant, tenant=scope.tenant, name="Test", settings=TenantSettings(**settings))
    user = User(id=new_id("usr"), tenant=scope.tenant, email=f"{scope.tenant}@test.pt", password_hash="-", role="admin")
    await AccountRepository(store).register(tenant, user)
    return user


def a_departure(scope, driver, delivery):
    return StopEdge(
        new_id("evt"), scope.tenant, driver.id, delivery.id, "pickup", "left", 1_750_000_000_000, 41.15, -8.61
    )


async def an_assigned_delivery(commands, drivers, scope):
    driver = (await drivers.create_many(scope, [NewDriver("Ana")]))[0]
    return driver, (await commands.create(scope, [Order(a_delivery(scope), driver.id)]))[0]


async def test_drivers_get_numbers_in_a_row_and_their_partition(drivers, scope):
    made = await drivers.create_many(scope, [NewDriver(f"van {n}", external_id=f"v{n}") for n in range(5)])
    assert [driver.number for driver in made] == list(range(made[0].number, made[0].number + 5))
    assert all(driver.partition == partition_of(scope.tenant, driver.id, PARTITIONS) for driver in made)
    assert (await drivers.get(scope, made[2].id)) == made[2]


async def test_a_taken_external_id_creates_none_of_the_batch(drivers, scope):
    await drivers.create_many(scope, [NewDriver("Ana", external_id="a")])
    with pytest.raises(Conflict, match="external id a"):
        await drivers.create_many(scope, [NewDriver("Rui", external_id="b"), NewDriver("Eva", external_id="a")])
    assert len((await drivers.page(scope, PageRequest(10))).items) == 1


async def test_another_tenants_driver_is_not_found(drivers, scope):
    made = await drivers.create_many(scope, [NewDriver("Ana")])
    with pytest.raises(NotFound):
        await drivers.get(Scope("ten_other", "usr_x"), made[0].id)


async def test_pages_hold_every_driver_once_while_others_come_in(drivers, scope):
    first = [driver.id for driver in await drivers.create_many(scope, [NewDriver(f"d{n}") for n in range(7)])]
    seen, after, more = [], None, True
    while more:
        page = await drivers.page(scope, PageRequest(3, after))
        seen += [driver.id for driver in page.items]
        after, more = seen[-1], page.more
        if len(seen) == 3:
            first += [driver.id for driver in await drivers.create_many(scope, [NewDriver("late")])]
    assert seen == first


async def test_an_email_address_signs_up_once(store, scope):
    await an_account(store, scope)
    with pytest.raises(Conflict):
        await an_account(store, scope)


async def test_a_change_stores_its_event_and_its_errand(store, commands, drivers, scope):
    driver, delivery = await an_assigned_delivery(commands, drivers, scope)
    assert (delivery.status, delivery.version) == (Status.ASSIGNED, 2)
    events = await store.events.find({"aggregate": delivery.id}).sort("sequence", 1).to_list(None)
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("delivery.created", 1),
        ("delivery.assigned", 2),
    ]
    assert [message["partition"] for message in events[1]["messages"]] == [driver.partition]


async def test_a_stale_version_is_a_conflict_that_says_the_current_one(commands, drivers, scope):
    _, delivery = await an_assigned_delivery(commands, drivers, scope)
    with pytest.raises(VersionConflict) as caught:
        await commands.move(scope, delivery.id, Move("accepted", now(), "usr_test"), 1)
    assert caught.value.current == 2


async def test_of_racing_commands_with_a_version_one_wins(commands, drivers, scope):
    _, delivery = await an_assigned_delivery(commands, drivers, scope)
    moves = [commands.move(scope, delivery.id, Move("accepted", now(), f"usr_{n}"), 2) for n in range(5)]
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(result, Delivery) for result in results) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 4


async def test_an_unknown_driver_creates_no_delivery(store, commands, scope):
    delivery = a_delivery(scope)
    with pytest.raises(InvalidInput):
        await commands.create(scope, [Order(a_delivery(scope)), Order(delivery, "drv_none")])
    assert await store.deliveries.count_documents({"tenant": scope.tenant}) == 0


async def test_leaving_the_pickup_puts_it_in_transit_once(store, commands, drivers, scope):
    await an_account(store, scope)
    driver, delivery = await an_assigned_delivery(commands, drivers, scope)
    await commands.move(scope, delivery.id, Move("accepted", now(), driver.id), None)
    edge = a_departure(scope, driver, delivery)
    assert await commands.follow(edge)
    assert not await commands.follow(edge)
    after = await DeliveryRepository(store).get(scope, delivery.id)
    assert (after.status, after.version) == (Status.IN_TRANSIT, 5)
    assert after.history[-1].by == "engine"


async def test_an_edge_of_a_driver_who_lost_it_changes_nothing(store, commands, drivers, scope):
    await an_account(store, scope)
    driver, delivery = await an_assigned_delivery(commands, drivers, scope)
    await commands.move(scope, delivery.id, Move("accepted", now(), driver.id), None)
    other = (await drivers.create_many(scope, [NewDriver("Rui")]))[0]
    edge = StopEdge(
        new_id("evt"), scope.tenant, other.id, delivery.id, "pickup", "left", 1_750_000_000_000, 41.15, -8.6
    )
    assert not await commands.follow(edge)


async def test_a_tenant_may_keep_statuses_to_people(store, commands, drivers, scope):
    await an_account(store, scope, auto_status=False)
    driver, delivery = await an_assigned_delivery(commands, drivers, scope)
    await commands.move(scope, delivery.id, Move("accepted", now(), driver.id), None)
    edge = StopEdge(
        new_id("evt"), scope.tenant, driver.id, delivery.id, "pickup", "left", 1_750_000_000_000, 41.1, -8.6
    )
    assert not await commands.follow(edge)


async def test_a_fence_tells_every_partition(store, scope):
    fences = GeofenceRepository(store)
    shape = FenceShape(name="depot", kind="circle", points=({"latitude": 41.1, "longitude": -8.6},), radius_m=100)
    fence = await fences.create(scope, shape)
    event = await store.events.find_one({"aggregate": fence.id})
    assert [message["partition"] for message in event["messages"]] == [EVERYWHERE]
    await fences.delete(scope, fence.id)
    with pytest.raises(NotFound):
        await fences.delete(scope, fence.id)


async def test_who_is_named_is_found_without_a_look_at_all_the_others(alone, tenant):
    """What is really asked, noted by MongoDB's profiler: a company may have a hundred thousand drivers."""
    await ensure_tenant_indexes(alone, tenant)
    scope, drivers, deliveries = Scope(tenant, "usr_1"), DriverRepository(alone, PARTITIONS), DeliveryRepository(alone)
    made = await drivers.create_many(scope, [NewDriver("Ana", external_id=f"van-{n}") for n in range(40)])
    await deliveries.create([a_delivery(scope, reference=f"ORD-{n}") for n in range(40)], [])
    named = [{"id": f"one_{n}", "tenant": tenant, "name": "one", "external_id": f"ext-{n}"} for n in range(40)]
    await alone.vehicles.insert_many([Vehicle(**fields).stored() for fields in named])
    await alone.depots.insert_many([Depot(**fields, place=PORTO).stored() for fields in named])
    places = {place.name: place for place in (alone.shared, alone.of(tenant))}.values()
    for place in places:
        await place.command("profile", 2)
    registry = DriverRegistry(alone, PARTITIONS)
    assert set(await registry.resolve(tenant, [made[3].id, "van-7", "van-99"])) == {made[3].id, "van-7"}
    assert [one.id for one in (await drivers.page(scope, PageRequest(10), external_id="van-9")).items] == [made[9].id]
    assert set(await deliveries.by_reference(scope, ["ORD-5", "ORD-6"])) == {"ORD-5", "ORD-6"}
    wanted = DeliveryFilter(reference="ORD-8")
    assert len((await deliveries.page(scope, PageRequest(10), wanted, newest_first=True)).items) == 1
    vans = VehicleRepository(alone).page(scope, PageRequest(10), active=None, depot=None, external_id="ext-7")
    depots = DepotRepository(alone).page(scope, PageRequest(10), external_id="ext-7")
    assert [[one.external_id for one in (await page).items] for page in (vans, depots)] == [["ext-7"], ["ext-7"]]
    examined = []
    for place in places:
        await place.command("profile", 0)
        asked = {"op": "query", "ns": {"$regex": r"\.(drivers|deliveries|vehicles|depots)$"}}
        examined += [noted["docsExamined"] async for noted in place["system.profile"].find(asked)]
    assert len(examined) == 6
    assert max(examined) <= 3


@pytest.mark.parametrize("size", [10, 100_000], ids=["within one answer", "beyond one answer"])
async def test_what_is_read_at_once_is_what_a_cursor_reads(alone, size):
    things = alone.shared.things.delegate
    things.insert_many([{"_id": number, "kind": number % 2, "text": "x" * size} for number in range(500)])
    found = await asyncio.to_thread(find_at_once, things, {"kind": 1}, 210, {"_id": -1})
    assert [one["_id"] for one in found] == list(range(499, 79, -2))
    assert {len(one["text"]) for one in found} == {size}
    assert await asyncio.to_thread(find_at_once, things, {"kind": 2}, 5) == []
