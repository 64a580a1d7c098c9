"""The time machine of deliveries: what the events say of an instant is what was stored at it."""

import datetime
import uuid

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import ALLOWED, Edit, Move
from engine.deliveries.orders import Order
from engine.deliveries.past import delivery_at, state_at
from models.documents.delivery import Customer, Delivery, Place, TimeWindow
from models.documents.document import now
from models.documents.tenant import Tenant
from models.errors import OutriderError
from models.ids import new_id
from models.store.audit import AuditRepository
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository, NewDriver
from models.store.motion import MotionRepository
from models.store.scope import Scope
from tests.rest import Caller, client_of, running_api

PLACE = Place(latitude=41.15, longitude=-8.61)
HOUR = datetime.timedelta(hours=1)
MILLISECOND = datetime.timedelta(milliseconds=1)
MOVES = sorted({wanted for following in ALLOWED.values() for wanted in following} - {"assigned"})

EDITS = [
    {"notes": "ring", "pickup": PLACE, "customer": Customer(name="Rui", phone="+351 912 345 678")},
    {"notes": None, "dropoff": Place(address="Rua 1"), "weight_kg": 2.5},
    {"customer": Customer(), "pickup": None, "time_window": TimeWindow(start=now(), end=now() + HOUR)},
    {"time_window": None, "dropoff": Place(address="Rua 2", latitude=41.2, longitude=-8.5), "priority": "urgent"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


steps = st.lists(
    st.tuples(
        st.sampled_from(["assign", "edit", "move"]),
        st.sampled_from(MOVES),
        st.sampled_from([0, 0, 0, 40, 3000]),  # how late it is told, seconds
    ),
    max_size=14,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_what_the_events_say_of_an_instant_is_what_was_stored(running, steps):
    database, scope = running[1].database, Scope(f"ten_{uuid.uuid4().hex[:20]}", "usr_1")
    commands, deliveries = DeliveryCommands(database, 4), DeliveryRepository(database)
    await database.tenants.insert_one(Tenant(id=scope.tenant, tenant=scope.tenant, name="Test").stored())
    drivers = await DriverRepository(database, 4).create_many(scope, [NewDriver("Ana"), NewDriver("Rui")])
    made = now()
    delivery = Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=PLACE, created_at=made, updated_at=made)
    stored = await commands.create(scope, [Order(delivery)])
    identifier = stored[0].id
    for turn, (what, wanted, late_s) in enumerate(steps):
        at = now() - datetime.timedelta(seconds=late_s)
        try:
            if what == "assign":
                await commands.assign(scope, identifier, drivers[turn % 2].id, None)
            elif what == "edit":
                await commands.edit(scope, identifier, Edit(EDITS[turn % len(EDITS)], at), None)
            else:
                await commands.move(scope, identifier, Move(wanted, at, "usr_1"), None)
        except OutriderError:
            continue  # the lifecycle forbids it
        stored.append(await deliveries.get(scope, identifier))
    events = await deliveries.events(scope, identifier)
    entries, present = await AuditRepository(database).of(scope, identifier), await deliveries.get(scope, identifier)
    for instant in {one.updated_at + shift for one in stored for shift in (-MILLISECOND, 0 * MILLISECOND)}:
        then = [one for one in stored if one.updated_at <= instant]
        found, whole = state_at(events, instant), delivery_at(present, events, entries, instant)
        if not then:
            assert found is whole is None
            continue
        last = then[-1]
        assert found is not None
        assert (found.version, found.status, found.driver, found.since) == (
            last.version,
            last.status,
            last.driver,
            last.updated_at,
        )
        assert whole == last


async def test_a_history_tells_all_changes_in_order_with_motion_where_it_happened(admin, running):
    driver = await admin.make("drivers", {"name": "Ana"})
    delivery = await admin.make("deliveries", {"dropoff": {"latitude": 41, "longitude": -8}, "driverId": driver["id"]})
    for status in ("accepted", "picked_up"):
        await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status})
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    came = {"_id": f"evt_{uuid.uuid4().hex}", "tenant": tenant, "type": "delivery.stop_arrived", "schema": 1}
    came |= {"aggregate": delivery["id"], "sequence": 2**60, "time": now(), "data": {"stop": "dropoff"}}
    await MotionRepository(running[1].database).add_events([came])
    for status in ("in_transit", "arrived"):
        await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status, "notes": status})
    told = (await admin.ask("GET", f"deliveries/{delivery['id']}/history")).json()
    kinds = ["created", "assigned", "accepted", "picked_up", "stop_arrived", "in_transit", "arrived"]
    assert [event["type"] for event in told["items"]] == [f"delivery.{kind}" for kind in kinds]
    assert [event["version"] for event in told["items"]] == [1, 2, 3, 4, None, 5, 6]
    assert (told["state"]["status"], told["state"]["version"]) == ("arrived", 6)
    accepted = told["items"][2]
    then = await admin.ask("GET", f"deliveries/{delivery['id']}/history", params={"at": accepted["time"]})
    assert (then.json()["state"]["status"], then.json()["state"]["driverId"]) == ("accepted", driver["id"])
    assert [event["id"] for event in then.json()["items"]] == [event["id"] for event in told["items"][:3]]


async def test_an_old_version_comes_back_whole_and_not_after_an_erasure(admin, running):
    made = await admin.make("deliveries", {"dropoff": {"address": "Rua 1"}, "customer": {"name": "Rui"}})
    path = f"deliveries/{made['id']}"
    changed = (await admin.ask("PUT", path, json={"dropoff": {"address": "Rua 2"}, "weightKg": 3})).json()
    at = {"at": made["updatedAt"]}
    then = (await admin.ask("GET", f"{path}/history", params=at)).json()["delivery"]
    assert (then["dropoff"]["address"], then["customer"]["name"], then["weightKg"]) == ("Rua 1", "Rui", None)
    assert (await admin.ask("GET", f"{path}/history")).json()["delivery"] == changed
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    await running[1].database.audit.delete_many({"tenant": tenant, "entity": made["id"]})
    unknown = (await admin.ask("GET", f"{path}/history", params=at)).json()
    assert (unknown["delivery"], unknown["state"]["version"]) == (None, 1)


async def test_there_is_nothing_before_it_was_made(admin):
    delivery = await admin.make("deliveries", {"dropoff": {"latitude": 41, "longitude": -8}})
    made = datetime.datetime.fromisoformat(delivery["createdAt"])
    path = f"deliveries/{delivery['id']}/history"
    at = int(made.timestamp() * 1000)
    assert (await admin.ask("GET", path, params={"at": at})).json()["state"]["status"] == "pending"
    assert (await admin.ask("GET", path, params={"at": at - 1})).status_code == 404


@pytest.mark.parametrize("at", ["-1", "yesterday", "", "9" * 30])
async def test_a_wrong_instant_is_named(admin, at):
    delivery = await admin.make("deliveries", {"dropoff": {"latitude": 41, "longitude": -8}})
    answer = await admin.ask("GET", f"deliveries/{delivery['id']}/history", params={"at": at})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "at")


async def test_the_far_future_is_the_present(admin):
    delivery = await admin.make("deliveries", {"dropoff": {"latitude": 41, "longitude": -8}})
    answer = await admin.ask("GET", f"deliveries/{delivery['id']}/history", params={"at": "9" * 15})
    assert (answer.status_code, answer.json()["state"]["version"]) == (200, 1)
