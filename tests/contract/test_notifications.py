"""From a change of a delivery to a message at its customer: rules, fallback, quiet hours, crashes."""

import asyncio
import contextlib
import datetime
import json
import signal
import subprocess
import sys
import uuid
from datetime import UTC

import pytest
import pytest_asyncio
from pydantic import SecretStr

from engine.feed.feed import Feed
from engine.notifications.follower import ALERT_PAUSE, MESSAGE, NotificationFollower
from engine.notifications.messenger import message_kind
from engine.settings import EmailSettings, NotificationSettings, PushSettings, Settings, SmsSettings
from engine.tasks.worker import TaskWorker
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.errors import Undoable
from models.ids import new_id
from models.store.connections import connect_mongo
from models.store.indexes import ensure_indexes
from models.store.outbox import Announcement, OutboxRepository
from models.store.tasks import TaskRepository
from models.store.transactions import in_transaction
from tests.gateway import running_gateway
from tests.rest import Caller, client_of, running_api
from tests.smtp import mail_server
from tests.stack import MASTER_KEYS, eventually

DATABASE = f"test-notifications-{uuid.uuid4().hex[:12]}"
CUSTOMER = {"name": "Ana", "phone": "+351 912 345 678", "email": "ana@test.pt"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(stores):
    """Return a caller of an API on a database of this module alone: feed and worker serve all tenants of one."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    async with running_api(stores, prefix, database=DATABASE) as (app, _), client_of(app) as http:
        yield Caller(http)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(stores):
    own = connect_mongo(stores.mongo_url, DATABASE, MASTER_KEYS)
    await ensure_indexes(own)
    yield own
    await own.client.drop_database(DATABASE)
    own.client.close()


@pytest.fixture
def gateway():
    with running_gateway() as gateway:
        yield gateway


@contextlib.asynccontextmanager
async def telling(database, **providers):
    """Run follower and worker of messages with these providers."""
    settings = Settings(notifications=NotificationSettings(**providers))
    feed = Feed(database, [NotificationFollower(database, settings)])
    worker = TaskWorker(database, {MESSAGE: message_kind(database, settings, delays_s=(0.02, 0.02))})
    await feed.start()
    await worker.start()
    try:
        await eventually(lambda: database.cursors.find_one({"_id": "notifications"}))
        yield
    finally:
        await worker.stop()
        await feed.stop()


def sms_of(gateway, **fields):
    return SmsSettings(url=SecretStr(gateway.url()), **{"timeout_s": 1.0} | fields)


async def an_office(api, *channels, urgent=True, template="delivery-created", **settings):
    """Return the admin of a new company that tells its customers of new deliveries over these channels."""
    admin = await api.registered()
    rules = {template: {"channels": channels or ["sms"], "urgent": urgent}}
    answer = await admin.ask("PUT", "notification-rules", json={"rules": rules})
    assert answer.status_code == 200, answer.text
    if settings:
        assert (await admin.ask("PATCH", "tenant", json={"settings": settings})).status_code == 200
    return admin


async def a_delivery(admin, customer=CUSTOMER, **fields):
    place = {"address": "Rua de Cedofeita 1", "latitude": 41.15, "longitude": -8.61}
    return await admin.make("deliveries", {"dropoff": place, "reference": "A-17", "customer": customer} | fields)


async def told(admin, state=None, **wanted):
    params = wanted | ({"state": state} if state else {})
    return (await admin.ask("GET", "notifications", params=params)).json()["items"]


async def settled(admin, state, **wanted):
    [one] = await eventually(lambda: told(admin, state, **wanted))
    return one


async def test_a_customer_is_told_once_in_the_language_of_choice(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway), tracking_url="https://t.test/{token}"):
        delivery = await a_delivery(admin, CUSTOMER | {"language": "de"})
        one = await settled(admin, "sent")
    [message] = gateway.received
    assert (message["to"], message["key"]) == ("+351912345678", one["id"])
    link = await admin.make(f"tracking/{delivery['id']}/link", {})
    assert message["text"] == f"Test hat Ihre Bestellung A-17 erhalten. https://t.test/{link['token']}"
    assert (one["channel"], one["deliveryId"], one["tries"][0]["outcome"]) == ("sms", delivery["id"], "sent")


async def test_a_message_leads_to_where_the_customer_can_follow(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway)):
        delivery = await a_delivery(admin)
        await settled(admin, "sent")
    link = gateway.received[0]["text"].split()[-1]
    path = link.removeprefix("http://127.0.0.1:8000/")
    followed = await api.ask("GET", path)
    assert followed.json()["reference"] == delivery["reference"]


async def test_a_driver_is_told_what_comes_and_what_goes(api, database, gateway):
    admin = await api.registered()
    drivers = [await admin.make("drivers", {"name": name, "pushToken": name}) for name in ("Rui", "Eva")]
    async with telling(database, push=PushSettings(url=SecretStr(gateway.url("/push")))):
        delivery = await a_delivery(admin, customer={}, driverId=drivers[0]["id"])
        await eventually(lambda: len(gateway.received) == 1)
        path = f"deliveries/{delivery['id']}/assignment"
        assert (await admin.ask("PUT", path, json={"driverId": drivers[1]["id"]})).status_code == 200
        await eventually(lambda: len(gateway.sent) == 3)
    said = {(message["to"], message["subject"]) for message in gateway.received}
    assert said == {("Rui", "New delivery A-17"), ("Rui", "Delivery A-17 taken back"), ("Eva", "New delivery A-17")}


async def test_nobody_is_told_what_the_rules_leave_out_or_nowhere_to_be_reached(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin, customer={"name": "Ana", "email": "ana@test.pt"})
        quiet = await api.registered()
        await a_delivery(quiet)
        await a_delivery(admin)
        await settled(admin, "sent")
    assert len(gateway.received) == 1
    assert await told(quiet) == []


async def test_without_a_provider_nothing_fails_and_everything_is_seen(api, database):
    admin = await an_office(api)
    async with telling(database):
        await a_delivery(admin)
        one = await settled(admin, "unsent")
    assert one["reason"] == "no provider"
    assert await told(admin, channel="sms") == []


async def test_neither_phone_nor_name_is_kept_with_a_notification(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "sent")
    [tenant] = [(await admin.ask("GET", "tenant")).json()["id"]]
    for collection in ("notifications", "tasks"):
        stored = [str(found) async for found in database.shared[collection].find({"tenant": tenant})]
        assert stored
        assert not any("912" in text or "Ana" in text for text in stored)
    assert "912" not in json.dumps(one)


async def test_a_gateway_that_fails_for_a_moment_gets_the_same_message_again(api, database, gateway):
    admin = await an_office(api)
    gateway.answers.extend([500, 503])
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "sent")
    assert [each["outcome"] for each in one["tries"]] == ["down", "down", "sent"]
    assert len(gateway.received) == 3
    assert list(gateway.sent) == [one["id"]]


async def test_an_sms_falls_back_to_mail_when_all_attempts_fail(api, database, gateway):
    admin = await an_office(api, "sms", "email")
    gateway.answers.extend([500] * 3)
    async with (
        mail_server() as mails,
        telling(database, sms=sms_of(gateway), email=EmailSettings(url=SecretStr(mails.url))),
    ):
        await a_delivery(admin)
        one = await settled(admin, "sent")
    assert (one["channel"], len(gateway.received), gateway.sent) == ("email", 3, {})
    assert len(_mails_to(mails, CUSTOMER["email"])) == 1


async def test_while_the_circuit_is_open_the_next_channels_take_over_at_once(api, database, gateway):
    admin = await an_office(api, "sms", "email", "push", template="driver-assigned")
    driver = await admin.make(
        "drivers", {"name": "Rui", "phone": "+351912345678", "pushToken": "rui", "email": "r@t.pt"}
    )
    gateway.answers.append(500)
    async with mail_server() as mails:
        mails.answers["RCPT"] = "450 not now"
        async with telling(
            database,
            sms=sms_of(gateway, failures=1),
            email=EmailSettings(url=SecretStr(mails.url), failures=1),
            push=PushSettings(url=SecretStr(gateway.url("/push"))),
        ):
            for count in (1, 2):
                await a_delivery(admin, customer={}, driverId=driver["id"])
                await eventually(lambda count=count: len(gateway.sent) == count, within_s=10)
            both = await eventually(lambda: _both_sent(admin))
            health = (await admin.ask("GET", "health/detailed")).json()["parts"]["providers"]
    assert (health["status"], health["circuits"]["sms"], health["circuits"]["push"]) == ("degraded", "open", "closed")
    assert {one["channel"] for one in both} == {"push"}
    assert [message["path"] for message in gateway.received].count("/sms") == 1


async def _both_sent(admin):
    sent = await told(admin, "sent")
    return sent if len(sent) == 2 else None


async def test_a_number_that_is_refused_is_not_asked_again(api, database, gateway):
    admin = await an_office(api, "sms", "email")
    gateway.answers.append(422)
    async with (
        mail_server() as mails,
        telling(database, sms=sms_of(gateway), email=EmailSettings(url=SecretStr(mails.url))),
    ):
        await a_delivery(admin)
        one = await settled(admin, "sent")
    assert [each["outcome"] for each in one["tries"]] == ["refused", "sent"]


async def test_what_nobody_takes_is_a_dead_letter_that_can_be_replayed(api, database, gateway):
    admin = await an_office(api)
    gateway.answers.extend([500] * 3)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "failed")
        [letter] = await eventually(lambda: dead_letters(admin))
        assert letter["attempts"] == 3
        assert (await admin.ask("POST", f"dead-letters/{letter['id']}/replay")).status_code == 202
        again = await settled(admin, "sent")
    assert again["id"] == one["id"]


async def dead_letters(admin):
    return (await admin.ask("GET", "dead-letters")).json()["items"]


async def test_a_slow_gateway_gets_a_repeat_under_the_same_key_and_no_other_channel_takes_over(api, database, gateway):
    admin = await an_office(api, "sms", "email")
    gateway.holding.clear()
    async with (
        mail_server() as mails,
        telling(database, sms=sms_of(gateway, timeout_s=0.3), email=EmailSettings(url=SecretStr(mails.url))),
    ):
        await a_delivery(admin)
        one = await settled(admin, "unknown")
    assert list(gateway.sent) == [one["id"]]
    assert len(gateway.received) == 3
    assert _mails_to(mails, CUSTOMER["email"]) == []


async def test_a_gateway_without_keys_gets_no_repeat_of_what_it_may_have_sent(api, database, gateway):
    admin = await an_office(api)
    gateway.holding.clear()
    async with telling(database, sms=sms_of(gateway, timeout_s=0.3, idempotent=False)):
        await a_delivery(admin)
        await settled(admin, "unknown")
        [letter] = await eventually(lambda: dead_letters(admin))
    assert "nobody knows" in letter["error"]
    assert len(gateway.received) == 1


async def test_customers_are_left_in_peace_in_quiet_hours_and_urgent_messages_go_out(api, database, gateway):
    moment = now()
    hours = {"start": f"{moment:%H:%M}", "end": f"{moment + datetime.timedelta(hours=2):%H:%M}"}
    patient = await an_office(api, urgent=False, quietHours=hours)
    hurried = await an_office(api, urgent=True, quietHours=hours)
    async with telling(database, sms=sms_of(gateway)):
        waiting = await a_delivery(patient)
        await a_delivery(hurried)
        await settled(hurried, "sent")
        [task] = await eventually(lambda: _put_off(database, patient))
    assert len(gateway.received) == 1
    [one] = await told(patient, deliveryId=waiting["id"])
    assert (one["state"], task["attempts"]) == ("waiting", 0)
    assert moment < task["due"] <= moment + datetime.timedelta(hours=2)


async def _put_off(database, admin):
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    later = {"tenant": tenant, "kind": MESSAGE, "due": {"$gt": now()}, "attempts": 0}
    return await database.tasks.find(later).to_list(None)


async def test_what_waited_until_the_delivery_was_over_is_not_sent(api, database, gateway):
    admin = await an_office(api)
    async with telling(database):
        pass  # the follower has a place in the feed from now on
    delivery = await a_delivery(admin)
    assert (await admin.ask("DELETE", f"deliveries/{delivery['id']}")).status_code == 200
    async with telling(database, sms=sms_of(gateway)):
        one = await settled(admin, "unsent")
    assert (one["reason"], gateway.received) == ("overtaken", [])


@contextlib.contextmanager
def messenger_process(stores, gateway):
    options = {"mongo_url": stores.mongo_url, "database_name": DATABASE, "sms_url": gateway.url()}
    command = [sys.executable, "-m", "tests.messenger_process", json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


async def ready(process):
    assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"


async def test_a_process_killed_while_it_sends_neither_loses_nor_doubles_the_message(api, stores, database, gateway):
    admin = await an_office(api)
    gateway.holding.clear()
    with messenger_process(stores, gateway) as process:
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


async def test_what_is_stored_while_nobody_relays_is_told_once_when_somebody_does(api, stores, database, gateway):
    admin = await an_office(api)
    with messenger_process(stores, gateway) as process:
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
        await eventually(lambda: _both_sent(admin))
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


async def test_an_admin_sends_a_message_once_more(api, database, gateway):
    admin = await an_office(api)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "sent")
        headers = {"Idempotency-Key": "again"}
        answers = [await admin.ask("POST", f"notifications/{one['id']}/resend", headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[0].json()["resends"] == one["id"]
        await eventually(lambda: len(gateway.sent) == 2)


async def test_a_message_under_way_is_not_sent_twice_by_hand(api, database, gateway):
    moment = now()
    hours = {"start": f"{moment:%H:%M}", "end": f"{moment + datetime.timedelta(hours=2):%H:%M}"}
    admin = await an_office(api, urgent=False, quietHours=hours)
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin)
        one = await settled(admin, "waiting")
    assert (await admin.ask("POST", f"notifications/{one['id']}/resend")).status_code == 409


async def test_mails_about_accounts_go_out_and_leave_no_address_behind(api, database):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    payload = {
        "template": "password-reset",
        "language": "es",
        "to": {"email": "rui@test.pt"},
        "channels": ["email"],
        "values": {"link": "https://o.test/reset#secret", "minutes": 30},
    }
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        await TaskRepository(database).put([Task(id=new_id("tsk"), tenant=tenant, kind=MESSAGE, payload=payload)])
        one = await settled(admin, "sent")
    [mail] = _mails_to(mails, "rui@test.pt")
    assert mail["Subject"] == "Una contraseña nueva"
    assert "https://o.test/reset#secret El enlace vale 30 minutos." in mail.get_content()
    stored = await database.notifications.find_one({"_id": one["id"], "tenant": tenant})
    assert "rui" not in str(stored)
    assert "secret" not in str(stored)
    assert (await admin.ask("POST", f"notifications/{one['id']}/resend")).status_code == 409


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"template": "nonsense", "to": {"email": "a@t.pt"}},
        {"template": "invitation", "channels": ["fax"]},
        {"template": "invitation", "to": {"email": "a@t.pt"}, "values": {}},
        {"notification": "ntf_0"},
        {"notification": 7, "to": [], "values": "x"},
    ],
)
async def test_a_task_that_makes_no_sense_is_given_up_at_once(api, database, tenant, payload):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        await TaskRepository(database).put([Task(id=new_id("tsk"), tenant=tenant, kind=MESSAGE, payload=payload)])
        [letter] = await eventually(lambda: dead_letters(admin))
    assert letter["attempts"] == 1
    assert "a@t.pt" not in {mail["To"] for mail in mails.mails}  # admins are alerted


async def test_admins_hear_of_dead_letters_once_a_kind_and_quarter_of_an_hour(api, database):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    email = (await admin.ask("GET", "auth/profile")).json()["email"]
    first = datetime.datetime.now(tz=UTC)
    moments = [first, first + ALERT_PAUSE / 2, first + ALERT_PAUSE * 1.1]
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        for kind, moment in [("webhook", moments[0]), ("import", moments[0])]:
            await _fail(database, tenant, kind, moment)
        await eventually(lambda: len(_mails_to(mails, email)) == 2)
        for moment in moments[1:]:
            await _fail(database, tenant, "webhook", moment)
        await eventually(lambda: len(_mails_to(mails, email)) == 3)
        assert len(await told(admin, template="task-failed")) == 3
    assert {mail["Subject"] for mail in _mails_to(mails, email)} == {
        "A task of the kind “webhook” has failed",
        "A task of the kind “import” has failed",
    }


def _mails_to(mails, email):
    """Return the mails to one person; admins of earlier tests may be alerted still."""
    return [mail for mail in mails.mails if mail["To"] == email]


async def _fail(database, tenant, kind, moment):
    task = new_id("tsk")
    data = {"taskId": task, "kind": kind, "attempts": 3, "error": "x"}
    event = Event(
        id=new_id("evt"), tenant=tenant, time=moment, type="task.failed", aggregate=task, sequence=1, data=data
    )
    outbox = OutboxRepository(database)
    await in_transaction(database, lambda session: outbox.put(session, [Announcement(event)]))


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


async def test_rules_are_replaced_at_their_version_and_the_rest_stays_usual(api):
    admin = await api.registered()
    before = await admin.ask("GET", "notification-rules")
    assert before.headers["ETag"] == '"1"'
    assert before.json()["rules"]["delivery-on-the-way"]["channels"] == ["sms", "email", "push"]
    body = {"rules": {"delivery-on-the-way": {"channels": []}}, "version": 1}
    changed = (await admin.ask("PUT", "notification-rules", json=body)).json()
    assert (changed["version"], changed["rules"]["delivery-on-the-way"]["channels"]) == (2, [])
    assert changed["rules"]["delivery-failed"] == before.json()["rules"]["delivery-failed"]
    lost = await admin.ask("PUT", "notification-rules", json=body)
    assert (lost.status_code, lost.json()["current"]) == (409, 2)
    by_header = await admin.ask("PUT", "notification-rules", json={"rules": {}}, headers={"If-Match": '"2"'})
    assert by_header.json()["rules"] == before.json()["rules"]


async def test_two_first_choices_at_once_are_a_lost_race_for_one(api):
    admin = await api.registered()
    body = {"rules": {}, "version": 1}
    answers = await asyncio.gather(*(admin.ask("PUT", "notification-rules", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"delivery-created": {"channels": ["fax"]}}, "rules.delivery-created.channels.0"),
        ({"delivery-created": {"channels": ["sms", "sms"]}}, "rules.delivery-created.channels"),
        ({"password-reset": {"channels": ["sms"]}}, "rules"),
        ({"$where": {"channels": []}}, "rules.$where"),
    ],
)
async def test_rules_that_make_no_sense_are_refused_by_field(api, rules, field):
    admin = await api.registered()
    answer = await admin.ask("PUT", "notification-rules", json={"rules": rules})
    assert answer.status_code in (400, 422)
    if answer.status_code == 422:
        assert field in {error["field"] for error in answer.json()["errors"]}


async def test_a_message_can_be_seen_before_anybody_gets_it(api):
    admin = await api.registered()
    window = {"start": "2026-11-25T09:00:00Z", "end": "2026-11-25T11:00:00Z"}
    delivery = await a_delivery(admin, CUSTOMER | {"language": "de"}, timeWindow=window)
    await admin.ask("PATCH", "tenant", json={"settings": {"timeZone": "Europe/Berlin"}})
    body = {"template": "delivery-rescheduled", "deliveryId": delivery["id"], "channel": "email"}
    shown = (await admin.ask("POST", "notifications/preview", json=body)).json()
    assert "zwischen 25.11.2026, 10:00 und 12:00" in shown["text"]
    assert shown["text"].startswith("Guten Tag, Ana,")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"template": "delivery-created"}, 422, "values.reference"),
        ({"template": "nonsense"}, 422, "template"),
        ({"template": "delivery-created", "values": {"reference": "x", "windowStart": "soon"}}, 422, "values"),
        ({"template": "delivery-created", "deliveryId": "dlv_0"}, 404, None),
    ],
)
async def test_a_preview_that_lacks_something_says_what(api, body, status, field):
    admin = await api.registered()
    answer = await admin.ask("POST", "notifications/preview", json=body)
    assert answer.status_code == status
    if field is not None:
        assert field in {error["field"] for error in answer.json()["errors"]}


async def test_lists_of_notifications_are_filtered_and_paged(api, database, gateway):
    admin = await an_office(api)
    async with telling(database):
        made = [(await a_delivery(admin))["id"] for _ in range(3)]
        await eventually(lambda: _as_many(admin, 3))
    [one] = await told(admin, deliveryId=made[1])
    assert one["deliveryId"] == made[1]
    first = (await admin.ask("GET", "notifications", params={"limit": 2})).json()
    second = (await admin.ask("GET", "notifications", params={"limit": 2, "cursor": first["next"]})).json()
    assert [item["deliveryId"] for item in first["items"] + second["items"]] == made[::-1]
    assert (await admin.ask("GET", "notifications", params={"state": "lost"})).status_code == 422


async def _as_many(admin, count):
    return len(await told(admin)) == count
