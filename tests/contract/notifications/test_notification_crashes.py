"""Messages through crashes: neither lost nor sent twice."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys

import pytest

from engine.notifications.follower import MESSAGE, NotificationFollower
from engine.notifications.messenger import message_kind
from engine.settings import NotificationSettings, Settings
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.errors import Undoable
from models.ids import new_id
from models.store.transactions import in_transaction
from tests.stack import eventually
from tests.telling import a_delivery, an_office, both_sent, settled, sms_of, telling, told


@pytest.fixture
def messenger_process(stores, database_name, gateway):
    @contextlib.contextmanager
    def run():
        options = {"mongo_url": stores.mongo_url, "database_name": database_name, "sms_url": gateway.url()}
        command = [sys.executable, "-m", "tests.messenger_process", json.dumps(options)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)

    return run


async def ready(process):
    assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"


async def test_a_process_killed_while_it_sends_neither_loses_nor_doubles_the_message(
    api, database, gateway, messenger_process
):
    admin = await an_office(api)
    gateway.holding.clear()
    with messenger_process() as process:
        await ready(process)
        await a_delivery(admin)
        await eventually(lambda: gateway.received, within_s=20)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    [one] = await told(admin)
    assert (one["state"], one["tries"][0]["outcome"]) == ("sending", "begun")
    gateway.holding.set()
    await _leases_run_out(database, admin)
    async with telling(database, sms=sms_of(gateway)):
        await settled(admin, "sent")
    assert [message["key"] for message in gateway.received] == [one["id"]] * 2
    assert len(gateway.sent) == 1


async def test_what_is_stored_while_nobody_relays_is_told_once_when_somebody_does(
    api, database, gateway, messenger_process
):
    admin = await an_office(api)
    with messenger_process() as process:
        await ready(process)
        await eventually(lambda: database.cursors.find_one({"_id": "notifications"}))
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    await a_delivery(admin)
    await _leases_run_out(database, admin)
    async with telling(database, sms=sms_of(gateway)):
        await settled(admin, "sent")
    await _leases_run_out(database, admin)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin, reference="A-18")
        await eventually(lambda: both_sent(admin))
    assert len(gateway.received) == len(gateway.sent) == 2


async def _leases_run_out(database, admin):
    """Bring forward what time would bring: the leases of a process that is gone are over."""
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    await database.leases.delete_many({})
    await database.tasks.update_many({"tenant": tenant, "state": "waiting"}, {"$set": {"due": now()}})


async def test_a_crash_with_a_gateway_without_keys_leaves_the_message_for_people_to_decide(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "sent")
    begun = {"state": "sending", "tries.0.outcome": "begun"}
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    await database.notifications.update_one({"_id": one["id"], "tenant": tenant}, {"$set": begun})
    settings = Settings(notifications=NotificationSettings(sms=sms_of(gateway, idempotent=False)))
    kind = message_kind(database, settings)
    with pytest.raises(Undoable, match="nobody knows"):
        await kind.handle(Task(id=new_id("tsk"), tenant=tenant, kind=MESSAGE, payload={"notification": one["id"]}))
    await kind.close()
    assert len(gateway.received) == 1


async def test_a_follower_that_repeats_its_transaction_tells_nothing_twice(api, database, gateway):
    admin = await an_office(api)
    settings = Settings(notifications=NotificationSettings(sms=sms_of(gateway)))
    follower = NotificationFollower(database, settings)
    delivery = await a_delivery(admin)
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    found = await database.events.find({"tenant": tenant, "aggregate": delivery["id"]}).to_list(None)
    events = [Event.restored(fields) for fields in found]
    for _ in range(2):
        await in_transaction(database, lambda session: follower.take(events, session))
    assert len(await told(admin)) == 1
    assert len(await database.tasks.find({"tenant": tenant, "kind": MESSAGE}).to_list(None)) == 1
