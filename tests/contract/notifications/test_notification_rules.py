"""What a company chooses to tell, and how it reads before anybody gets it."""

import asyncio

import pytest

from tests.telling import (
    CUSTOMER,
    a_delivery,
)


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
