"""Over which channels a message may go: a property over all histories of tries."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.notifications.choice import choose, is_overtaken, stuck_channel
from models.documents.delivery import Delivery, Place, Status
from models.documents.document import now
from models.documents.notification import Notification, Template, Try

CHANNELS = ("sms", "email", "push")
TRIES = st.lists(st.tuples(st.sampled_from(CHANNELS), st.sampled_from(["begun", "down", "refused", "unknown"])))
SOME = st.lists(st.sampled_from(CHANNELS), unique=True)


def a_notification(channels=CHANNELS, tries=(), template=Template.DELIVERY_CREATED, **fields):
    return Notification(
        id="ntf_1",
        tenant="ten_1",
        template=template,
        audience="customer",
        channels=channels,
        tries=tuple(Try(channel=channel, at=now(), outcome=outcome) for channel, outcome in tries),
        **fields,
    )


@given(TRIES, SOME, st.dictionaries(st.sampled_from(CHANNELS), st.booleans()), SOME.filter(bool))
def test_only_what_may_carry_a_message_once_is_chosen(tries, addresses, idempotent, channels):
    notification = a_notification(tuple(channels), tries)
    choice = choose(notification, dict.fromkeys(addresses, "x"), idempotent)
    assert bool(choice.channels) != (choice.given_up is not None)
    for channel in choice.channels:
        assert channel in idempotent
        assert channel in addresses
    unclear = {channel for channel, outcome in tries if outcome in ("begun", "unknown")}
    if unclear:
        assert list(choice.channels) in ([], [stuck_channel(notification)])
        assert all(idempotent[channel] for channel in choice.channels)
    else:
        assert not {channel for channel, outcome in tries if outcome == "refused"} & set(choice.channels)
        assert list(choice.channels) == [channel for channel in channels if channel in choice.channels]


@pytest.mark.parametrize(
    ("addresses", "idempotent", "why"),
    [
        ({}, {"sms": True}, "no address"),
        ({"sms": "1"}, {}, "no provider"),
        ({"sms": "1"}, {"email": True}, "no provider"),
    ],
)
def test_why_nothing_is_sent_is_said(addresses, idempotent, why):
    assert choose(a_notification(), addresses, idempotent).given_up == why


@pytest.mark.parametrize(
    ("template", "status", "driver", "expected"),
    [
        (Template.DELIVERY_ON_THE_WAY, Status.IN_TRANSIT, "drv_1", False),
        (Template.DELIVERY_ON_THE_WAY, Status.DELIVERED, "drv_1", True),
        (Template.DELIVERY_DELIVERED, Status.DELIVERED, "drv_1", False),
        (Template.DRIVER_ASSIGNED, Status.ASSIGNED, "drv_1", False),
        (Template.DRIVER_ASSIGNED, Status.ASSIGNED, "drv_2", True),
        (Template.DRIVER_UNASSIGNED, Status.ASSIGNED, "drv_2", False),
        (Template.DRIVER_OFFER, Status.PENDING, None, False),
        (Template.DRIVER_OFFER, Status.ASSIGNED, "drv_2", True),
    ],
)
def test_a_message_that_says_nothing_any_more_is_overtaken(template, status, driver, expected):
    dropoff = Place(latitude=41, longitude=-8)
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=dropoff, status=status, driver=driver)
    assert is_overtaken(a_notification(template=template, driver="drv_1"), delivery, now()) is expected


def test_an_offer_that_has_run_out_is_overtaken():
    dropoff = Place(latitude=41, longitude=-8)
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=dropoff)
    offer = a_notification(template=Template.DRIVER_OFFER, driver="drv_1", minutes=2)
    later = offer.created_at + datetime.timedelta(minutes=3)
    assert not is_overtaken(offer, delivery, offer.created_at)
    assert is_overtaken(offer, delivery, later)
