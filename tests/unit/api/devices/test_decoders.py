"""Each protocol's own units and oddities, from its documentation; and that no garbage is ever an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.devices import gpslogger, osmand, overland, owntracks
from api.devices.report import DeviceFix, moment_ms
from models.messages.fixes import Source

SECOND = 1_377_177_267
PLACE = {"time_ms": SECOND * 1000, "latitude": 41.15, "longitude": -8.61}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["lat", "lon", "timestamp", "speed", "id", "location", "coords", "_type", "tst", "vel", "locations", "properties"]
)
bodies = st.dictionaries(names, json_values, max_size=6) | json_values


def test_osmand_speed_is_in_knots():
    report = osmand.read_fields(
        {"id": "van-1", "lat": "41.15", "lon": "-8.61", "timestamp": str(SECOND), "speed": "10", "bearing": "370",
         "accuracy": "5", "altitude": "80", "batt": "57.6"}
    )  # fmt: skip
    assert report.device == "van-1"
    expected = DeviceFix(
        **PLACE, speed_mps=pytest.approx(5.14444, abs=1e-4), heading_deg=10.0, accuracy_m=5.0, altitude_m=80.0,
        battery_pct=58,
    )  # fmt: skip
    assert report.fixes == (expected,)


def test_osmand_takes_the_place_in_one_parameter():
    report = osmand.read_fields({"deviceid": "7", "location": "41.15,-8.61", "timestamp": SECOND * 1000})
    assert report.fixes == (DeviceFix(**PLACE),)


@pytest.mark.parametrize(
    "written",
    [SECOND, str(SECOND), SECOND * 1000, "2013-08-22T13:14:27Z", "2013-08-22 13:14:27", "2013-08-22T15:14:27+02:00"],
)
def test_all_forms_of_a_timestamp_mean_the_same(written):
    assert moment_ms(written) == SECOND * 1000


def test_a_message_without_a_position_is_a_heartbeat():
    assert osmand.read_fields({"id": "van-1"}).events == ("heartbeat",)
    assert owntracks.read({"_type": "status"}, "van-1").events == ("heartbeat",)
    assert gpslogger.read({"id": "van-1"}).events == ("heartbeat",)


def test_traccar_client_9_speaks_metres_a_second_and_a_battery_from_0_to_1():
    coords = {"latitude": 41.15, "longitude": -8.61, "speed": 12.5, "heading": -1, "accuracy": 4}
    [report] = osmand.read_json(
        {"device_id": "van-1",
         "location": {"timestamp": "2013-08-22T13:14:27.000Z", "coords": coords, "battery": {"level": 0.42}}}
    )  # fmt: skip
    assert report.source is Source.TRACCAR
    assert report.fixes == (DeviceFix(**PLACE, speed_mps=12.5, accuracy_m=4.0, battery_pct=42),)


def test_traccar_client_10_may_send_an_array_of_flat_objects():
    flat = {"id": "van-1", "lat": 41.15, "lon": -8.61, "timestamp": SECOND, "speed": 1}
    reports = osmand.read_json([flat, flat])
    assert [report.fixes[0].speed_mps for report in reports] == [pytest.approx(0.51444, abs=1e-4)] * 2


def test_owntracks_speed_is_in_kilometres_an_hour():
    report = owntracks.read(
        {"_type": "location", "lat": 41.15, "lon": -8.61, "tst": SECOND, "vel": 36, "acc": 9, "batt": 77}, "phone"
    )
    assert report.fixes == (DeviceFix(**PLACE, speed_mps=10.0, accuracy_m=9.0, battery_pct=77),)


def test_owntracks_device_may_be_told_by_the_topic():
    body = {"_type": "location", "topic": "owntracks/ana/phone", "lat": 1, "lon": 2, "tst": SECOND}
    assert owntracks.read(body, None).device == "phone"


def test_overland_sorts_a_batch_by_device_and_takes_the_current_position_too():
    def feature(device, speed):
        properties = {"timestamp": "2013-08-22T13:14:27Z", "speed": speed, "device_id": device, "battery_level": 0.5}
        return {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [-8.61, 41.15]},
            "properties": properties,
        }

    reports = overland.read({"locations": [feature("a", 3), feature("b", -1)], "current": feature("a", 4)})
    assert {report.device: [fix.speed_mps for fix in report.fixes] for report in reports} == {"a": [3, 4], "b": [None]}
    assert reports[0].fixes[0].battery_pct == 50


def test_gpslogger_parameters_go_by_several_names():
    report = gpslogger.read({"LAT": "41.15", "lng": "-8.61", "time": "2013-08-22T13:14:27Z", "spd": "2", "AID": "x"})
    assert report.fixes == (DeviceFix(**PLACE, speed_mps=2.0),)
    assert report.device == "x"


@given(bodies)
def test_garbage_is_counted_and_never_an_error(body):
    reports = [*osmand.read_json(body), owntracks.read(body, None), *overland.read(body)]
    if isinstance(body, dict):
        reports += [osmand.read_fields(body), gpslogger.read(body)]
    assert all(report.bad >= 0 for report in reports)
