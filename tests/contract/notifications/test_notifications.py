"""From a change of a delivery to a message at its customer: rules, fallback, quiet hours."""

import datetime
import json

from pydantic import SecretStr

from engine.notifications.follower import MESSAGE
from engine.settings import EmailSettings, PushSettings
from models.documents.document import now
from tests.smtp import mail_server
from tests.stack import eventually
from tests.telling import (
    CUSTOMER,
    a_delivery,
    an_office,
    both_sent,
    dead_letters,
    mails_to,
    settled,
    sms_of,
    telling,
    told,
)


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
    admin, name = await an_office(api), "Ana Quaresma"
    async with telling(database, sms=sms_of(gateway)):
        await a_delivery(admin, CUSTOMER | {"name": name})
        one = await settled(admin, "sent")
    [tenant] = [(await admin.ask("GET", "tenant")).json()["id"]]
    for collection in ("notifications", "tasks"):
        stored = [str(found) async for found in database[collection].find({"tenant": tenant})]
        assert stored
        assert not any(word in text for text in stored for word in (name, "912345678", CUSTOMER["phone"]))
    assert not any(word in json.dumps(one) for word in (name, "912345678", CUSTOMER["phone"]))


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
    assert len(mails_to(mails, CUSTOMER["email"])) == 1


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
            both = await eventually(lambda: both_sent(admin))
            health = (await admin.ask("GET", "health/detailed")).json()["parts"]["providers"]
    assert (health["status"], health["circuits"]["sms"], health["circuits"]["push"]) == ("degraded", "open", "closed")
    assert {one["channel"] for one in both} == {"push"}
    assert [message["path"] for message in gateway.received].count("/sms") == 1


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
    assert mails_to(mails, CUSTOMER["email"]) == []


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
