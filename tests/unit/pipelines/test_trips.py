"""Files of trips are read as they were meant, or refused with the reason."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import InvalidInput
from pipelines.trip_schemas import TripSchema, built_in_schemas, load_schema
from pipelines.trips import read_trips
from tests.trips import SAMPLE, TOWN, the_sample

HEADER = "moment_ms,from_lat,from_lon,to_lat,to_lon,duration_s"
ROW = "41.15,-8.61,41.16,-8.60,600"
PLAIN = TripSchema(name="plain", columns=dict(TOWN.columns))
LISBON = TripSchema(name="plain", columns=dict(TOWN.columns), zone="Europe/Lisbon")


def a_file(tmp_path, *rows, header=HEADER):
    path = tmp_path / "trips.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_sample_is_read_in_the_order_of_time():
    trips = the_sample()
    assert len(trips) == 2_000
    assert np.all(np.diff(trips.legs["moment_ms"]) >= 0)
    first = np.datetime64(int(trips.legs["moment_ms"][0]), "ms")
    assert first == np.datetime64("2016-01-04T05:25:23")  # 00:25:23 on New York's clocks


def test_csv_and_parquet_say_the_same(tmp_path):
    trips, path = the_sample(), tmp_path / "trips.parquet"
    columns = {"start": pa.array(trips.legs["moment_ms"], pa.timestamp("ms", tz="UTC"))}
    for name in ("from_lat", "from_lon", "to_lat", "to_lon", "duration_s"):
        columns[name] = pa.array(trips.legs[name])
    pq.write_table(pa.table(columns), path)
    again = read_trips(path, TripSchema(name="own", columns={**TOWN.columns, "moment_ms": "start"}))
    np.testing.assert_array_equal(again.legs["moment_ms"], trips.legs["moment_ms"])


def test_times_without_a_zone_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no time zone"):
        read_trips(a_file(tmp_path, f"2026-06-01 08:00:00,{ROW}"), PLAIN)


@pytest.mark.parametrize(
    "text", ["2026-06-01 08:00:00", "2026-06-01T07:00:00Z", "2026-06-01T09:00:00+02:00", "1780297200000"]
)
def test_an_instant_is_the_same_however_it_is_written(tmp_path, text):
    assert read_trips(a_file(tmp_path, f"{text},{ROW}"), LISBON).legs["moment_ms"][0] == 1_780_297_200_000


def test_seconds_are_not_taken_for_milliseconds(tmp_path):
    with pytest.raises(InvalidInput, match="seconds"):
        read_trips(a_file(tmp_path, f"1780297200,{ROW}"), LISBON)


def test_what_is_no_time_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no time"):
        read_trips(a_file(tmp_path, f"yesterday,{ROW}"), LISBON)


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = a_file(
        tmp_path, "1780297200000,41.15,-8.61,41.16,600", header="moment_ms,from_lat,from_lon,to_lat,duration_s"
    )
    with pytest.raises(InvalidInput, match="lacks to_lon"):
        read_trips(path, LISBON)


def test_text_among_numbers_is_refused_by_column(tmp_path):
    with pytest.raises(InvalidInput, match="duration_s"):
        read_trips(a_file(tmp_path, "1780297200000,41.15,-8.61,41.16,-8.60,ten minutes"), LISBON)


def test_rows_that_were_no_trips_are_counted(tmp_path):
    path = a_file(
        tmp_path,
        f"1780297200000,{ROW}",
        "1780297200000,0,0,41.16,-8.60,600",
        "1780297200000,,-8.61,41.16,-8.60,600",
        "1780297200000,41.15,-8.61,41.16,-8.60,-5",
        f",{ROW}",
    )
    trips = read_trips(path, LISBON)
    assert len(trips) == 1
    assert sum(trips.refused.values()) == 4


def test_a_file_of_nothing_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no trip"):
        read_trips(a_file(tmp_path, "1780297200000,0,0,41.16,-8.60,600"), LISBON)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "trips.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InvalidInput, match="can't be read"):
        read_trips(tmp_path / "trips.parquet", LISBON)


def test_built_in_schemas_can_be_loaded():
    assert {"nyc_taxi", "chicago_taxi"} <= set(built_in_schemas())
    assert all(load_schema(name).zone for name in built_in_schemas() if name != "legs")  # whose zones are columns


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"columns": {"moment_ms": "t"}}, "from_lat"),
        ({"zone": "Lisbon"}, "time zone"),
        ({"numbers": {"metered_km": "arrive"}}, "arrival only"),
        ({"numbers": {"km": "later"}}, "one of"),
        ({"columns": {**TOWN.columns, "speed": "v"}}, "no leg column"),
        ({"colums": {}}, "colums"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(tmp_path, change, fault):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"columns": dict(TOWN.columns), **change}))
    with pytest.raises(InvalidInput, match=fault):
        load_schema(str(path))


def test_an_unknown_schema_names_those_that_there_are():
    with pytest.raises(InvalidInput, match="nyc_taxi"):
        load_schema("nyc_tax")


def test_the_sample_carries_its_attribution():
    assert "Taxi and Limousine Commission" in (SAMPLE.parent / "ATTRIBUTION.md").read_text()
