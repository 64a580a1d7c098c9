"""Who had a delivery, and when."""

import datetime

from engine.deliveries.custody import Span, spans_of
from engine.deliveries.lifecycle import Assign, Move, transition
from models.documents.delivery import Delivery, Place

_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_START_MS = int(_START.timestamp() * 1000)


def _after(*commands) -> Delivery:
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(latitude=1, longitude=1), created_at=_START)
    for minute, command in enumerate(commands):
        at = _START + datetime.timedelta(minutes=minute)
        made = Assign(command, at, "usr_1") if command.startswith("drv") else Move(command, at, "usr_1")
        delivery = transition(delivery, made).delivery
    return delivery


def _minutes(*spans: Span) -> list[tuple[str, float, float]]:
    return [(span.driver, (span.from_ms - _START_MS) / 60_000, (span.to_ms - _START_MS) / 60_000) for span in spans]


def test_a_driver_has_it_from_assignment_to_handing_over():
    delivery = _after("drv_1", "accepted", "picked_up", "in_transit", "arrived", "delivered")
    assert _minutes(*spans_of(delivery, 0, 2**45)) == [("drv_1", 0, 5)]


def test_a_decline_and_a_reassignment_end_a_span():
    delivery = _after("drv_1", "declined", "drv_2", "drv_3", "accepted")
    found = spans_of(delivery, _START_MS, _START_MS + 10 * 60_000)
    assert _minutes(*found) == [("drv_1", 0, 1), ("drv_2", 2, 3), ("drv_3", 3, 10)]


def test_spans_are_cut_to_what_is_asked():
    delivery = _after("drv_1", "accepted", "drv_2")
    found = spans_of(delivery, _START_MS + 60_000, _START_MS + 90_000)
    assert _minutes(*found) == [("drv_1", 1, 1.5)]
    assert spans_of(_after(), 0, 2**45) == []
