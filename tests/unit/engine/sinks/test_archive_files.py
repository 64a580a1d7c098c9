"""What goes into a day's Parquet file comes out of it again."""

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from engine.sinks.archive_files import DAY_MS, day_file, day_name, read_day, read_days, write_day
from models.messages.fixes import STORED, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE

NOON = 19_000 * DAY_MS + DAY_MS // 2


def _track(number, times, *, speed=float("nan"), seq=UNKNOWN_SEQUENCE):
    stored = np.zeros(len(times), STORED)
    stored["driver"], stored["time"], stored["speed"], stored["seq"] = number, times, speed, seq
    for name in ("heading", "accuracy", "altitude"):
        stored[name] = float("nan")
    stored["battery"] = UNKNOWN_BATTERY
    stored["lat"], stored["lon"] = 411_496_000, -86_110_000
    return stored


@given(
    st.lists(st.integers(NOON, NOON + 3_600_000), min_size=1, unique=True).map(sorted),
    st.one_of(st.just(float("nan")), st.floats(0, 60, width=32)),
    st.integers(UNKNOWN_SEQUENCE, 2**40),
)
def test_a_track_survives_the_round_trip(tmp_path_factory, times, speed, seq):
    root = tmp_path_factory.mktemp("archive")
    track = _track(7, times, speed=speed, seq=seq)
    write_day(day_file(root, "tnt_a", 19_000), [("drv_a", track), ("drv_b", _track(8, times))])
    read = read_days(root, "tnt_a", 7, NOON - DAY_MS, NOON + DAY_MS)
    assert read.tobytes() == track.tobytes()
    whole = read_day(day_file(root, "tnt_a", 19_000))
    assert {number: driver for number, (driver, _) in whole.items()} == {7: "drv_a", 8: "drv_b"}
    assert whole[7][1].tobytes() == track.tobytes()


def test_only_the_hours_asked_for_come_back(tmp_path):
    write_day(day_file(tmp_path, "tnt_a", 19_000), [("drv_a", _track(7, [NOON, NOON + 1000, NOON + 2000]))])
    assert read_days(tmp_path, "tnt_a", 7, NOON + 500, NOON + 1500)["time"].tolist() == [NOON + 1000]


def test_another_tenants_files_are_never_opened(tmp_path):
    write_day(day_file(tmp_path, "tnt_a", 19_000), [("drv_a", _track(7, [NOON]))])
    assert len(read_days(tmp_path, "tnt_b", 7, NOON - DAY_MS, NOON + DAY_MS)) == 0


def test_unknown_values_are_null_to_others_who_read_the_file(tmp_path):
    path = day_file(tmp_path, "tnt_a", 19_000)
    assert write_day(path, [("drv_a", _track(7, [NOON]))]) == 1
    row = pq.read_table(path, partitioning=None).to_pylist()[0]
    assert row["speed_mps"] is None
    assert row["sequence"] is None
    assert row["driver"] == "drv_a"
    assert day_name(19_000) == "2022-01-08"


def test_a_file_is_replaced_whole(tmp_path):
    path = day_file(tmp_path, "tnt_a", 19_000)
    write_day(path, [("drv_a", _track(7, [NOON, NOON + 1]))])
    write_day(path, [("drv_a", _track(7, [NOON]))])
    assert len(read_days(tmp_path, "tnt_a", 7, NOON, NOON + 1)) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["fixes.parquet"]
