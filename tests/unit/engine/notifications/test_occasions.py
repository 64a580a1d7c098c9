"""Which events are an occasion for which message."""

import pytest

from engine.notifications.occasions import Occasion, alert_of, occasions_of
from models.documents.document import now
from models.documents.event import Event
from models.documents.notification import Template


def told(kind, **data):
    event = Event(
        id="evt_1",
        tenant="ten_1",
        time=now(),
        type=kind,
        aggregate="dlv_1",
        sequence=1,
        actor="usr_1",
        data={"deliveryId": "dlv_1"} | data,
    )
    return [(one.template, one.driver) for one in occasions_of(event)]


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("delivery.created", {}, [("delivery-created", None)]),
        (
            "delivery.assigned",
            {"driverId": "drv_1"},
            [("delivery-assigned", None), ("driver-assigned", "drv_1")],
        ),
        (
            "delivery.assigned",
            {"driverId": "drv_2", "previousDriverId": "drv_1"},
            [
                ("delivery-assigned", None),
                ("driver-assigned", "drv_2"),
                ("driver-unassigned", "drv_1"),
            ],
        ),
        (
            "delivery.unassigned",
            {"previousDriverId": "drv_1", "driverId": None},
            [("driver-unassigned", "drv_1")],
        ),
        ("delivery.declined", {"previousDriverId": "drv_1"}, []),
        ("delivery.cancelled", {"driverId": "drv_1"}, [("driver-unassigned", "drv_1")]),
        ("delivery.changed", {"fields": ["reference"], "driverId": "drv_1"}, []),
        (
            "delivery.changed",
            {"fields": ["time_window"], "driverId": "drv_1"},
            [("delivery-rescheduled", None), ("driver-changed", "drv_1")],
        ),
        ("delivery.in_transit", {}, [("delivery-on-the-way", None)]),
        ("driver.stopped", {}, []),
    ],
)
def test_an_event_tells_those_whom_it_concerns(kind, data, expected):
    assert told(kind, **data) == expected


def test_minutes_are_whole_and_never_none():
    event = Event(
        id="evt_1",
        tenant="ten_1",
        time=now(),
        type="delivery.imminent",
        aggregate="dlv_1",
        sequence=1,
        actor="engine",
        data={"deliveryId": "dlv_1", "minutes": 0.2},
    )
    assert occasions_of(event) == [Occasion(Template.DELIVERY_ARRIVING_SOON, "dlv_1", minutes=1)]


def test_an_offer_says_how_long_it_stands():
    moment = now()
    until = int(moment.timestamp() * 1000) + 150_000
    event = Event(
        id="evt_1",
        tenant="ten_1",
        time=moment,
        type="offer.made",
        aggregate="rnd_1",
        sequence=1,
        data={"deliveryId": "dlv_1", "driverId": "drv_1", "until": until},
    )
    assert occasions_of(event) == [Occasion(Template.DRIVER_OFFER, "dlv_1", "drv_1", minutes=2)]


@pytest.mark.parametrize(
    ("kind", "data", "about"),
    [
        ("task.failed", {"kind": "webhook"}, "webhook"),
        ("eta.coverage_off", {"coverage": 0.7, "arrivals": 90, "day": "2026-03-02"}, "2026-03-02"),
        ("webhook.disabled", {"url": "https://example.com/", "whyDisabled": "gone"}, "https://example.com/"),
        ("webhook.disabled", {"url": "https://example.com/", "whyDisabled": "asked"}, None),
        ("delivery.created", {"deliveryId": "dlv_1"}, None),
    ],
)
def test_admins_are_told_of_what_needs_a_look(kind, data, about):
    event = Event(
        id="evt_1", tenant="ten_1", time=now(), type=kind, aggregate="x", sequence=1, actor="engine", data=data
    )
    alert = alert_of(event)
    assert (alert.about if alert else None) == about
