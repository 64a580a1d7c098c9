import contextlib
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.gateway.conflate import FleetState
from api.gateway.feed import TenantFeed
from api.gateway.frames import encode_drivers, json_frame, names_message, packed_frame
from api.gateway.subscription import Subscription
from api.gateway.topics import Subscribe, parse_message, parse_viewport
from api.gateway.viewport import Selection
from models.errors import InvalidInput
from models.messages.live import LIVE
from outrider.client import Frame


def a_state():
    state = FleetState()
    record = np.zeros(1, LIVE)
    record["driver"], record["lat"], record["lon"], record["time"] = 7, 411_500_000, -86_100_000, 1000
    record["speed"], record["heading"], record["accuracy"], record["battery"] = 8.3, np.nan, np.nan, 255
    record["motion"], record["flags"], record["stops"] = 2, 1, 3
    state.apply(record, shard=0)
    state.name([(7, "drv_7", "Van 7")])
    return state


def test_a_frame_reads_back_in_the_client():
    state = a_state()
    rows = np.array([0])
    data = json_frame(17, "map", 99, full=True, drivers=encode_drivers(state, rows))
    frame = msgspec.json.decode(data, type=Frame)
    driver = frame.drivers[0]
    assert (frame.n, frame.id, frame.full, frame.at, frame.missed) == (17, "map", True, 99, 0)
    assert (driver.id, driver.latitude, driver.longitude) == ("drv_7", 41.15, -8.61)
    assert (driver.speed, driver.heading, driver.battery) == (8.3, None, None)
    assert (driver.motion, driver.online, driver.open_stops) == ("moving", True, 3)


def test_a_packed_frame_has_the_documented_header():
    state = a_state()
    data = packed_frame(5, "map", state.records[:1].tobytes(), 1, full=True)
    assert data[:2] == b"O1"
    version, full, n, length, zero, count = struct.unpack_from("<BBIHHI", data, 2)
    assert (version, full, n, length, zero, count) == (1, 1, 5, 3, 0, 1)
    assert data[16:19] == b"map"
    assert np.frombuffer(data, LIVE, offset=19)["driver"].tolist() == [7]


def test_names_tell_who_a_number_is():
    said = msgspec.json.decode(names_message(a_state(), np.array([0])))
    assert said == {"type": "names", "drivers": {"7": {"id": "drv_7", "name": "Van 7"}}}


def test_a_subscription_is_behind_until_it_has_taken_the_change():
    feed = TenantFeed("ten_1", state=a_state())
    subscription = Subscription("map", "fleet", 0.1, Selection())
    first = subscription.take_update(feed, now=10.0)
    assert first.full
    assert first.view.delta.rows.size == 1
    assert subscription.next_at == pytest.approx(10.1)
    assert not subscription.is_behind(feed)
    subscription.restart()
    assert subscription.take_update(feed, now=11.0).full


def test_two_who_look_alike_share_one_encoded_change():
    feed = TenantFeed("ten_1", state=a_state())
    views = [Subscription(name, "fleet", 0.1, Selection()).take_update(feed, 0).view for name in "ab"]
    assert views[0] is views[1]


def test_a_publication_out_of_turn_asks_for_the_snapshot():
    feed = TenantFeed("ten_1")
    none = np.zeros(0, LIVE)
    feed.take_snapshot(0, "life", 4, none)
    feed.take_published(0, "life", 5, none)
    assert not feed.to_refresh.is_set()
    feed.take_published(0, "life", 7, none)
    assert feed.to_refresh.is_set()
    feed.to_refresh.clear()
    feed.take_published(0, "next life", 1, none)
    assert feed.to_refresh.is_set()


def test_events_that_fell_out_of_the_buffer_are_counted():
    feed = TenantFeed("ten_1")
    subscription = Subscription("news", "alerts", 0.1)
    assert subscription.take_update(feed, 0).full
    for number in range(1200):
        feed.take_event({"id": f"evt_{number}", "type": "driver.stopped", "aggregate": "drv_7"})
    update = subscription.take_update(feed, 1)
    assert (len(update.events), update.missed) == (1000, 200)
    assert update.events[-1]["id"] == "evt_1199"


def test_a_driver_hears_only_of_itself():
    feed = TenantFeed("ten_1")
    subscription = Subscription("news", "alerts", 0.1, about="drv_7")
    subscription.take_update(feed, 0)
    feed.take_event({"id": "evt_1", "type": "driver.stopped", "aggregate": "drv_8", "data": {"driver": "drv_8"}})
    feed.take_event({"id": "evt_2", "type": "delivery.arrived", "aggregate": "dlv_1", "data": {"driver": "drv_7"}})
    assert [event["id"] for event in subscription.take_update(feed, 1).events] == ["evt_2"]


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_garbage_is_refused_in_two_ways_only(data):
    with contextlib.suppress(InvalidInput, msgspec.DecodeError, UnicodeDecodeError):
        parse_message(data)


def test_a_subscription_is_read():
    said = parse_message('{"type":"subscribe","id":"map","topic":"viewport","bbox":[41,-9,42,-8],"intervalMs":50}')
    assert said == Subscribe(id="map", topic="viewport", bbox=(41, -9, 42, -8), interval_ms=50)


@pytest.mark.parametrize("corners", [None, (42, -9, 41, -8), (-91, 0, 0, 1), (0, -181, 1, 0), (0, 0, 1, 200)], ids=str)
def test_a_box_that_is_none_is_refused(corners):
    with pytest.raises(InvalidInput):
        parse_viewport(corners)
