"""Which pings are bad, and that every way of sending one comes to the same judgement."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.ingest.validate import Fault, check_fixes, check_record, pack_record, refusals
from models.messages.fixes import FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE, Source

NOW_MS = int(time.time() * 1000)
LATEST_MS = NOW_MS + 300_000
GOOD = {"time_ms": NOW_MS, "latitude": 41.15, "longitude": -8.61}

reals = st.floats() | st.integers(-(2**70), 2**70).map(float)
optional = st.none() | reals


@st.composite
def anything(draw):
    return {
        "time_ms": draw(st.integers(-(2**80), 2**80) | st.just(NOW_MS)),
        "latitude": draw(reals | st.floats(-90, 90)),
        "longitude": draw(reals | st.floats(-180, 180)),
        "speed": draw(optional),
        "heading": draw(optional),
        "accuracy": draw(optional),
        "altitude": draw(optional),
        "battery": draw(optional),
        "sequence": draw(st.none() | st.integers(-(2**70), 2**70)),
        "device_time_ms": draw(st.none() | st.integers(-(2**70), 2**70)),
    }


def check_packed(*records):
    fixes = np.frombuffer(bytearray(b"".join(records)), FIX)
    partitions, faults, bad = check_fixes(
        fixes, np.array([7], np.int64), np.array([3], np.uint16), LATEST_MS, Source.WEBSOCKET
    )
    return fixes, partitions, faults, bad


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, Fault.NONE),
        ({"latitude": 90.00001}, Fault.LATITUDE),
        ({"latitude": -1e300}, Fault.LATITUDE),
        ({"latitude": math.inf}, Fault.LATITUDE),
        ({"latitude": math.nan}, Fault.LATITUDE_NAN),
        ({"longitude": 180.00001}, Fault.LONGITUDE),
        ({"longitude": math.nan}, Fault.LONGITUDE_NAN),
        ({"latitude": 0.0, "longitude": 0.0}, Fault.NULL_ISLAND),
        ({"latitude": 0.0, "longitude": 0.0, "accuracy": 5.0}, Fault.NONE),
        ({"time_ms": NOW_MS + 299_000}, Fault.NONE),
        ({"time_ms": NOW_MS + 301_000}, Fault.FUTURE),
        ({"time_ms": 2**90}, Fault.FUTURE),
        ({"time_ms": 946_684_799_999}, Fault.PAST),
        ({"speed": -1}, Fault.NONE),
        ({"speed": -2.0}, Fault.SPEED),
        ({"speed": math.inf}, Fault.SPEED),
        ({"heading": 361.0}, Fault.HEADING),
        ({"accuracy": -1.0}, Fault.ACCURACY),
        ({"altitude": 1e6}, Fault.ALTITUDE),
        ({"battery": 101}, Fault.BATTERY),
        ({"sequence": -1}, Fault.SEQUENCE),
        ({"sequence": 2**63}, Fault.SEQUENCE),
        ({"device_time_ms": 5}, Fault.DEVICE_TIME),
    ],
)
def test_each_fault_is_named(fields, fault):
    assert check_record(pack_record(**(GOOD | fields)), LATEST_MS) == fault


@settings(deadline=None)  # the first call compiles the rule
@given(anything())
def test_rows_and_packed_records_are_judged_alike(fields):
    record = pack_record(**fields)
    fault = check_record(record, LATEST_MS)
    _, _, faults, bad = check_packed(record)
    assert (faults[0], bad) == (fault, int(fault != 0))


def test_good_fixes_get_number_partition_and_source():
    fixes, partitions, _, bad = check_packed(pack_record(**GOOD), pack_record(**GOOD, speed=3.0))
    assert bad == 0
    assert fixes["driver"].tolist() == [7, 7]
    assert fixes["source"].tolist() == [Source.WEBSOCKET] * 2
    assert partitions.tolist() == [3, 3]
    assert np.isnan(fixes["speed"][0])
    assert fixes["speed"][1] == 3.0
    assert fixes["battery"][0] == UNKNOWN_BATTERY
    assert fixes["seq"][0] == UNKNOWN_SEQUENCE


def test_a_place_outside_the_list_is_an_unknown_driver():
    _, _, faults, _ = check_packed(pack_record(**GOOD, driver=1), pack_record(**GOOD, driver=2**32 - 1))
    assert [refusal.reason for refusal in refusals(faults)] == ["unknown-driver", "unknown-driver"]


@settings(deadline=None)
@given(st.binary(min_size=56, max_size=56 * 4).filter(lambda data: len(data) % 56 == 0))
def test_any_bytes_are_judged_without_an_error(data):
    _, _, faults, bad = check_packed(data)
    assert bad == np.count_nonzero(faults) == len(refusals(faults))
