"""A person's data: sealed in every collection, handed out whole, erased without a trace."""

import datetime
import json
import uuid

import bson
import pytest
import pytest_asyncio

from engine.privacy.erasure import ERASURE, erasure_kind
from engine.sinks.archive import archive_lease
from engine.sinks.archive_files import day_file, read_days, write_day
from models.documents.document import now
from models.documents.task import Task
from models.errors import Postponed, StoreUnavailable
from models.store.outbox import OutboxRepository
from models.store.personal import opened
from models.store.tasks import Room, TaskRepository
from tests.builders import a_fix, fixes_of, stored
from tests.rest import PASSWORD, Caller, client_of, running_api

PLACE = {"latitude": 41.151234, "longitude": -8.611234}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores, tmp_path_factory):
    """Return the application on a database of this file alone, because all of it is searched."""
    name = f"privacy{uuid.uuid4().hex[:8]}"
    var = tmp_path_factory.mktemp("var")
    async with running_api(stores, f"test-{name}", database=name, var=var) as (app, services):
        yield app, services
        await services.database.client.drop_database(name)


@pytest.fixture
def database(running):
    return running[1].database


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


class Customer:
    """Somebody whose every word can be looked for."""

    def __init__(self):
        mark = uuid.uuid4().hex[:12]
        self.digits = f"9{uuid.uuid4().int % 10**8:08d}"
        self.phone, self.email = f"+351 {self.digits[:3]} {self.digits[3:]}", f"{mark}@mail.pt"
        self.words = [f"{kind}{mark}" for kind in ("name", "street", "yard", "note", "moved")]

    def order(self, **fields):
        name, street, yard, note, _ = self.words
        customer = {"name": name, "phone": self.phone, "email": self.email}
        places = {"dropoff": PLACE | {"address": street}, "pickup": PLACE | {"address": yard}}
        return {"customer": customer, "notes": note} | places | fields

    @property
    def traces(self):
        return [word.encode() for word in (*self.words, self.digits, self.phone, self.email)]


async def everything(database):
    """Return all documents of all collections as bytes."""
    return [(name, bson.encode(fields)) async for name, fields in documents(database)]


async def documents(database):
    """Yield all documents with the names of their collections, of the shared database and of companies' own."""
    own = [database.of(tenant) for tenant in await database.tenants.distinct("_id")] if database.apart else []
    for place in (database.shared, *own):
        for name in await place.list_collection_names():
            async for fields in place[name].find({}):
                yield name, fields


async def traces_in_clear(database, customer):
    return {(name, trace) for name, raw in await everything(database) for trace in customer.traces if trace in raw}


async def traces_behind_the_seal(database, customer):
    """Return where a customer is still found when everything is opened."""
    found = set()
    async for name, fields in documents(database):
        if "dataKey" in fields and name != "data_keys":
            fields = await opened(database.vault, name, fields["tenant"], fields)
        raw = bson.encode({name: value for name, value in fields.items() if name != "dataKey"})
        found |= {(name, trace) for trace in customer.traces if trace in raw}
    return found


async def closed_delivery(admin, customer, **headers):
    driver = await admin.make("drivers", {"name": "Ana"})
    answer = await admin.ask("POST", "deliveries", json=customer.order(driverId=driver["id"]), headers=headers)
    delivery = answer.json()
    for status in ("accepted", "picked_up", "failed"):
        body = {"status": status, "notes": customer.words[4], "location": PLACE}
        assert (await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json=body)).status_code == 200
    return delivery


async def erase(running, admin, person):
    """Order an erasure and do its task; return what is then said of it."""
    services = running[1]
    ordered = await admin.ask("POST", "privacy/erasures", json=person)
    assert ordered.status_code == 201, ordered.text
    kind = erasure_kind(services.database, services.redis, services.settings)
    for task in await TaskRepository(services.database).claim({ERASURE: Room(10, 60)}):
        await kind.handle(task)
        await TaskRepository(services.database).done([task])
    return (await admin.ask("GET", f"privacy/erasures/{ordered.json()['id']}")).json()


async def redis_values(redis, prefix):
    """Return what Redis keeps under a prefix, as text."""
    readers = {b"string": redis.get, b"hash": redis.hgetall, b"stream": redis.xrange, b"set": redis.smembers}
    keys = [key async for key in redis.scan_iter(f"*{prefix}*")]
    return [repr(await readers[kind](key)) for key in keys if (kind := await redis.type(key)) in readers]


async def test_nothing_of_a_customer_is_in_clear_in_any_store(running, admin, database):
    customer = Customer()
    delivery = await closed_delivery(admin, customer, **{"Idempotency-Key": uuid.uuid4().hex})
    body = customer.order() | {"dropoff": PLACE | {"address": f"{customer.words[1]} 2"}}
    await admin.ask("PUT", f"deliveries/{delivery['id']}", json=body)
    lines = "\n".join(json.dumps(customer.order(reference=f"r{number}")) for number in range(3))
    headers = {"Content-Type": "application/x-ndjson"}
    imported = await admin.ask("POST", "deliveries/import", content=lines.encode(), headers=headers)
    assert imported.is_success, imported.text
    await admin.make("deliveries", customer.order() | {"dropoff": {"address": customer.words[1]}})
    await admin.ask("POST", f"tracking/{delivery['id']}/link")
    await admin.ask("GET", "deliveries", params={"phone": customer.phone})
    assert await traces_in_clear(database, customer) == set()
    kept = await redis_values(running[1].redis, running[1].settings.prefix)
    assert not [value for value in kept for trace in customer.traces if trace.decode() in value]
    assert {name for name, _ in await traces_behind_the_seal(database, customer)} >= {"deliveries", "audit"}


async def test_an_export_holds_everything_about_a_customer(admin):
    customer = Customer()
    delivery = await closed_delivery(admin, customer)
    await admin.make("deliveries", Customer().order())
    answer = await admin.ask("POST", "privacy/exports", json={"phone": f"00351{customer.digits}"})
    [held] = answer.json()["deliveries"]
    assert held["id"] == delivery["id"]
    assert held["record"]["customer"] == {"name": customer.words[0], "phone": customer.phone, "email": customer.email}
    assert held["audit"][0]["action"] == "delivery.created"
    by_mail = await admin.ask("POST", "privacy/exports", json={"email": customer.email.upper()})
    assert by_mail.json() == answer.json()
    nobody = await admin.ask("POST", "privacy/exports", json={"phone": "+351900000000"})
    assert nobody.json() == {}


async def test_an_export_of_a_driver_tells_its_track_and_no_customers(admin, database):
    customer = Customer()
    delivery = await closed_delivery(admin, customer)
    driver = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()["driverId"]
    number = (await admin.ask("GET", f"drivers/{driver}")).json()["number"]
    await database.history.insert_one({"_id": uuid.uuid4().hex, "d": number, "from": 5, "to": 9, "b": b""})
    answer = await admin.ask("POST", "privacy/exports", json={"driverId": driver})
    [held] = answer.json()["drivers"]
    assert held["record"]["name"] == "Ana"
    assert held["positions"] == {"from": 5, "to": 9, "chunks": 1, "trips": 0, "visits": 0, "legs": 0}
    assert [one["id"] for one in answer.json()["carried"]] == [delivery["id"]]
    assert not any(trace in answer.content for trace in customer.traces)


async def test_an_erasure_leaves_no_trace_of_a_customer(running, admin, database):
    customer, other = Customer(), Customer()
    key = {"Idempotency-Key": uuid.uuid4().hex}
    delivery, kept = await closed_delivery(admin, customer, **key), await closed_delivery(admin, other)
    done = await erase(running, admin, {"phone": f"00351{customer.digits}"})
    assert (done["state"], done["deliveries"]) == ("done", 1)
    assert await traces_behind_the_seal(database, customer) == set()
    left = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
    assert (left["status"], left["version"], left["customer"]["name"]) == ("failed", 6, None)
    assert (left["dropoff"]["latitude"], left["dropoff"]["address"]) == (41.15, "[erased]")
    assert b"41.151234" not in (await admin.ask("GET", f"deliveries/{delivery['id']}/history")).content
    repeated = await admin.ask("POST", "deliveries", json=customer.order(driverId=left["driverId"]), headers=key)
    assert repeated.status_code == 409
    assert (await admin.ask("GET", f"deliveries/{kept['id']}")).json()["customer"]["name"] == other.words[0]


async def test_plans_keep_no_door_of_a_customer_either(running, admin, database):
    customer = Customer()
    door = {"latitude": 41.1598761, "longitude": -8.6298761}
    driver = await admin.make("drivers", {"name": "Ana"})
    orders = [customer.order(dropoff=door | {"address": "x"}, pickup=None), {"dropoff": PLACE}]
    delivery, other = [(await admin.make("deliveries", one))["id"] for one in orders]
    stops = [{"deliveryId": one} for one in (delivery, other)]
    body = {"origin": PLACE, "driverId": driver["id"], "stops": stops}
    gone = await admin.make("routes", body)
    await admin.ask("DELETE", f"routes/{gone['id']}")
    route = await admin.make("routes", body)
    await admin.ask("POST", f"routes/{route['id']}/dispatch")
    assert (await admin.make("routes/proposals", {"cancel": [other]}))["routes"]
    for status in ("accepted", "picked_up", "failed"):
        await admin.ask("PATCH", f"deliveries/{delivery}/status", json={"status": status})
    assert await places_behind_the_seal(database, door) >= {"audit", "proposals", "routes", "deliveries"}
    await erase(running, admin, {"phone": customer.phone})
    assert await places_behind_the_seal(database, door) == set()
    left = (await admin.ask("GET", f"routes/{route['id']}")).json()
    assert [stop["latitude"] for stop in left["stops"]] == [41.16, PLACE["latitude"]]
    assert left["version"] > route["version"]


async def places_behind_the_seal(database, place):
    """Return the collections in which a latitude is found when everything is opened."""
    found = set()
    async for name, fields in documents(database):
        if "dataKey" in fields and name != "data_keys":
            fields = await opened(database.vault, name, fields["tenant"], fields)
        if str(place["latitude"]) in str(fields):
            found.add(name)
    return found


async def test_an_erasure_is_audited_without_the_data(running, admin):
    customer = Customer()
    await closed_delivery(admin, customer)
    done = await erase(running, admin, {"email": customer.email})
    log = await admin.ask("GET", "audit", params={"entity": done["id"]})
    [entry] = log.json()["items"]
    assert entry["action"] == "privacy.erasure"
    assert {"field": "person", "before": None, "after": "email"} in entry["changes"]
    assert not any(trace in log.content for trace in customer.traces)


async def test_an_open_delivery_keeps_its_data_unless_forced(running, admin, database):
    customer = Customer()
    delivery = await admin.make("deliveries", customer.order())
    refused = await admin.ask("POST", "privacy/erasures", json={"phone": customer.phone})
    assert refused.status_code == 409
    assert delivery["id"] in refused.json()["detail"]
    done = await erase(running, admin, {"phone": customer.phone, "force": True})
    assert done["deliveries"] == 1
    assert await traces_behind_the_seal(database, customer) == set()
    left = (await admin.ask("GET", f"deliveries/{delivery['id']}")).json()
    assert (left["status"], left["dropoff"]["latitude"]) == ("pending", PLACE["latitude"])


async def test_what_an_open_delivery_still_needed_is_erased_once_it_is_closed(running, admin, database):
    customer = Customer()
    door = {"latitude": 41.1598761, "longitude": -8.6298761}
    driver = await admin.make("drivers", {"name": "Ana"})
    order = customer.order(dropoff=door | {"address": "x"}, pickup=None, driverId=driver["id"])
    delivery = (await admin.make("deliveries", order))["id"]
    await erase(running, admin, {"phone": customer.phone, "force": True})
    with pytest.raises(Postponed):
        await finish_erasures(running, admin)
    assert (await admin.ask("GET", f"deliveries/{delivery}")).json()["dropoff"]["latitude"] == door["latitude"]
    for status in ("accepted", "picked_up", "failed"):
        body = {"status": status, "notes": customer.words[4], "location": PLACE}
        assert (await admin.ask("PATCH", f"deliveries/{delivery}/status", json=body)).status_code == 200
    await finish_erasures(running, admin)
    assert await places_behind_the_seal(database, door) == set()
    assert await traces_behind_the_seal(database, customer) == set()


async def finish_erasures(running, admin):
    """Do the tasks that an erasure has left for later, as if their time had come."""
    services = running[1]
    mine = {"tenant": (await admin.ask("GET", "auth/profile")).json()["tenantId"], "kind": ERASURE, "state": "waiting"}
    await services.database.tasks.update_many(mine, {"$set": {"due": now()}})
    [task] = await TaskRepository(services.database).claim({ERASURE: Room(10, 60)})
    await erasure_kind(services.database, services.redis, services.settings).handle(task)


async def test_an_erasure_goes_on_after_a_crash_and_may_be_asked_again(running, admin, database, monkeypatch):
    customer = Customer()
    for _ in range(3):
        await closed_delivery(admin, customer)
    calls = 0
    real = OutboxRepository.prepared

    async def crash_at_the_second(self, announcements):
        nonlocal calls
        calls += any(one.event.type == "delivery.erased" for one in announcements)
        if calls == 2:
            raise InterruptedError
        return await real(self, announcements)

    with monkeypatch.context() as patched:
        patched.setattr(OutboxRepository, "prepared", crash_at_the_second)
        with pytest.raises(InterruptedError):
            await erase(running, admin, {"phone": customer.phone})
    assert await traces_behind_the_seal(database, customer) != set()
    mine = {"tenant": (await admin.ask("GET", "auth/profile")).json()["tenantId"], "kind": ERASURE}
    await database.tasks.update_many(mine, {"$set": {"due": datetime.datetime(2020, 1, 1)}})  # noqa: DTZ001  # long ago
    done = await erase(running, admin, {"phone": customer.phone})
    assert await traces_behind_the_seal(database, customer) == set()
    assert done["state"] == "done"
    again = await erase(running, admin, {"phone": customer.phone})
    assert (again["state"], again["deliveries"]) == ("done", 0)


async def test_a_user_is_erased_but_the_last_admin(running, admin, database):
    customer = Customer()
    body = {"email": customer.email, "password": PASSWORD, "role": "planner", "name": customer.words[0]}
    user = await admin.make("users", body)
    await erase(running, admin, {"userId": user["id"]})
    assert (await admin.ask("GET", f"users/{user['id']}")).status_code == 404
    assert await traces_behind_the_seal(database, customer) == set()
    me = (await admin.ask("GET", "auth/profile")).json()["id"]
    assert (await admin.ask("POST", "privacy/erasures", json={"userId": me})).status_code == 409
    assert (await admin.ask("POST", "privacy/erasures", json={"userId": "usr_nobody"})).status_code == 404


async def test_a_driver_is_erased_with_its_positions_on_request(running, admin, database):
    customer = Customer()
    driver = await admin.make("drivers", {"name": customer.words[0], "phone": customer.phone})
    number, tenant = driver["number"], (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    archive = running[1].settings.var / "archive"
    mine, theirs = (stored(fixes_of(a_fix(0, driver=n), a_fix(9, driver=n))) for n in (number, number + 1))
    day = int(mine["time"][0]) // 86_400_000
    write_day(day_file(archive, tenant, day), [(driver["id"], mine), ("drv_other", theirs)])
    await database.history.insert_one({"_id": uuid.uuid4().hex, "d": number, "from": 5, "to": 9, "b": b""})
    await erase(running, admin, {"driverId": driver["id"]})
    assert await database.history.count_documents({"d": number}) == 1
    await erase(running, admin, {"driverId": driver["id"], "positions": True})
    assert await database.history.count_documents({"d": number}) == 0
    assert read_days(archive, tenant, number, 0, 2**41).size == 0
    assert read_days(archive, tenant, number + 1, 0, 2**41).tobytes() == theirs.tobytes()
    assert await traces_behind_the_seal(database, customer) == set()
    assert (await admin.ask("GET", f"drivers/{driver['id']}")).json()["name"] == "[erased]"


async def test_an_erasure_waits_for_whoever_writes_the_archive(running, admin, database):
    driver = await admin.make("drivers", {"name": "Ana"})
    number, tenant = driver["number"], (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    archive, mine = running[1].settings.var / "archive", stored(fixes_of(a_fix(0, driver=driver["number"])))
    file = day_file(archive, tenant, int(mine["time"][0]) // 86_400_000)
    writing = archive_lease(database, tenant)
    assert await writing.acquire()
    person = {"driverId": driver["id"], "positions": True}
    with pytest.raises(StoreUnavailable):
        await erase(running, admin, person)
    write_day(file, [(driver["id"], mine)])  # of what was read before the erasure began
    await writing.release()
    await erase(running, admin, person)
    assert read_days(archive, tenant, number, 0, 2**41).size == 0


async def test_messages_that_wait_for_a_person_are_dropped(running, admin, database):
    customer, other = Customer(), Customer()
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    tasks = [
        Task(id=f"tsk_{uuid.uuid4().hex}", tenant=tenant, kind="message", payload={"to": to})
        for to in ({"phone": f"00351{customer.digits}"}, {"email": customer.email}, {"phone": other.phone})
    ]
    await TaskRepository(database).put(tasks)
    await erase(running, admin, {"phone": customer.phone})
    await erase(running, admin, {"email": customer.email})
    assert await database.tasks.distinct("_id", {"tenant": tenant, "kind": "message"}) == [tasks[2].id]


async def test_an_erasure_that_is_given_up_says_so(running, admin):
    services = running[1]
    customer = Customer()
    await closed_delivery(admin, customer)
    ordered = (await admin.ask("POST", "privacy/erasures", json={"phone": customer.phone})).json()
    kind = erasure_kind(services.database, services.redis, services.settings)
    [task] = await TaskRepository(services.database).claim({ERASURE: Room(10, 60)})
    await kind.on_death(task, "the disk is full")
    assert (await admin.ask("GET", f"privacy/erasures/{ordered['id']}")).json()["state"] == "failed"
    await kind.handle(task)
    assert (await admin.ask("GET", f"privacy/erasures/{ordered['id']}")).json()["state"] == "done"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"phone": "+351912345678", "email": "a@b.pt"}, ""),
        ({"phone": ["1"]}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"name": "Rui"}, "name"),
    ],
)
async def test_a_person_is_named_in_one_way(admin, body, field):
    for path in ("privacy/exports", "privacy/erasures"):
        answer = await admin.ask("POST", path, json=body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.json()["errors"]]


async def test_an_export_is_no_erasure(admin, database):
    await admin.ask("POST", "privacy/exports", json={"phone": "+351912345678"})
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    [made] = await database.privacy_requests.find({"tenant": tenant}).to_list(None)
    assert (await admin.ask("GET", f"privacy/erasures/{made['_id']}")).status_code == 404
