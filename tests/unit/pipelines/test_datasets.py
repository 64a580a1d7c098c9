"""Finished legs are kept once each, and the newest hours are not believed too early."""

import numpy as np
import pytest

from models.errors import InvalidInput
from pipelines.datasets import LegDataset
from tests.legs import JUNE, some_legs

HOUR_MS = 3_600_000


def finished(rows=300, seed=1, company="ten_1", prefix="leg"):
    return {
        **some_legs(rows, seed, days=3),
        "leg": np.array([f"{prefix}_{number}" for number in range(rows)], dtype=object),
        "company": np.full(rows, company, dtype=object),
    }


def test_what_was_added_is_read_back_by_company_in_order(tmp_path):
    legs = LegDataset(tmp_path)
    assert legs.add(finished()) == 300
    assert legs.add(finished(100, company="ten_2", prefix="other")) == 100
    trips = legs.read("ten_1")
    assert 290 <= len(trips) <= 300
    assert np.all(np.diff(trips.legs["moment_ms"]) >= 0)
    assert set(legs.read().legs["company"]) == {"ten_1", "ten_2"}


def test_adding_the_same_legs_again_changes_nothing(tmp_path):
    legs = LegDataset(tmp_path)
    legs.add(finished())
    before = legs.read("ten_1")
    assert legs.add(finished()) == 0
    np.testing.assert_array_equal(legs.read("ten_1").legs["duration_s"], before.legs["duration_s"])


def test_only_days_that_changed_are_written_anew(tmp_path):
    legs = LegDataset(tmp_path)
    legs.add(finished())
    files = sorted(tmp_path.glob("company=ten_1/day=*/legs.parquet"))
    assert len(files) >= 3
    before = {path: path.stat().st_mtime_ns for path in files}
    day = 86_400_000
    one = {name: values[:1] for name, values in finished(prefix="late").items()}
    legs.add({**one, "moment_ms": np.array([JUNE + day // 2])})
    changed = [path for path in files if path.stat().st_mtime_ns != before[path]]
    assert [path.parent.name for path in changed] == ["day=2026-06-01"]


def test_the_newest_hours_wait_for_their_long_legs(tmp_path):
    legs, new = LegDataset(tmp_path), finished()
    new["duration_s"][:] = 60.0
    new["duration_s"][:20] = 3_600.0  # of long ago: so long may a leg take
    new["moment_ms"][-1] = new["moment_ms"][-2] + 60_000
    legs.add(new)
    kept = legs.read("ten_1")
    end = int((new["moment_ms"] + new["duration_s"] * 1000).max())
    assert kept.legs["moment_ms"].max() <= end - HOUR_MS
    assert legs.newest_ms("ten_1") == end


def test_legs_of_unlike_columns_go_together(tmp_path):
    legs = LegDataset(tmp_path)
    legs.add(finished(50))
    legs.add({**finished(50, prefix="new"), "rain_mm_h": np.full(50, 2.0)})
    trips = legs.read("ten_1")
    assert np.isnan(trips.legs["rain_mm_h"]).any()
    assert (trips.legs["rain_mm_h"] == 2.0).any()


def test_waiting_for_a_window_is_no_service(tmp_path):
    """The driver stands there for 20 minutes after each leg of ten; the window opens after 15 of them, or was open."""
    rows = 40
    moments = JUNE + np.arange(rows) * 30 * 60_000
    ends = moments + 600_000
    legs = {
        "leg": np.array([f"leg_{number}" for number in range(rows)], dtype=object),
        "company": np.full(rows, "ten_1", dtype=object),
        "driver": np.full(rows, "ana", dtype=object),
        "moment_ms": moments,
        **dict.fromkeys(("from_lat", "to_lat"), np.full(rows, 41.15)),
        **dict.fromkeys(("from_lon", "to_lon"), np.full(rows, -8.61)),
        "duration_s": np.full(rows, 600.0),
        "opens_ms": np.select([np.arange(rows) % 3 == 0, np.arange(rows) % 3 == 1], [ends + 900_000, ends - 1], np.nan),
    }
    LegDataset(tmp_path).add(legs)
    trips = LegDataset(tmp_path).read("ten_1")
    known = np.isfinite(trips.legs["service_s"])
    assert known.sum() > 30
    waited = trips.legs["opens_ms"] > trips.legs["moment_ms"] + 600_000
    np.testing.assert_array_equal(trips.legs["service_s"][known], np.where(waited[known], 300.0, 1200.0))


def test_the_time_at_two_doors_is_the_service_of_neither(tmp_path):
    legs = finished(40) | {
        "driver": np.full(40, "drv_1", dtype=object),
        "moment_ms": 1_780_300_000_000 + np.arange(40) * 1_500_000,
        "duration_s": np.full(40, 1_200.0),
        "from_lat": np.full(40, 41.15),
        "to_lat": np.full(40, 41.15),
        "from_lon": np.full(40, -8.61),
        "to_lon": np.full(40, -8.61),
    }
    left = 80.0 - np.arange(40)
    left[20:] -= 1  # between these a door was reached on foot
    left[30:] += 5  # and here more was given to the driver
    dataset = LegDataset(tmp_path)
    dataset.add(legs | {"stops_left": left})
    served_s = dataset.read("ten_1").legs["service_s"]
    assert np.flatnonzero(np.isnan(served_s)).tolist() == [19, 39]
    assert set(served_s[np.isfinite(served_s)]) == {300.0}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"duration_s": np.zeros(5)}, "not ended"),
        ({"cell_pace": np.zeros(5)}, "after a leg's moment"),
        ({"cell_pace": np.zeros(5), "as_of_ms": np.full(5, JUNE * 2)}, "after a leg's moment"),
    ],
)
def test_what_could_not_be_known_is_not_taken(tmp_path, change, fault):
    with pytest.raises(InvalidInput, match=fault):
        LegDataset(tmp_path).add({**finished(5), **change})


def test_a_company_without_legs_is_told(tmp_path):
    with pytest.raises(InvalidInput, match="ten_9"):
        LegDataset(tmp_path).read("ten_9")
