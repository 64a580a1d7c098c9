"""Recorded drives become legs whose length nothing gives away."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import InvalidInput
from models.eta.base_time import PACES
from pipelines.drives import great_circle_ways, legs_of_drives, read_drives, split_drives
from tests.legs import JUNE

WAYS = great_circle_ways(PACES["car"])
STEP = 0.001  # degrees of latitude in 15 s: 111 m, 7.4 m/s


def a_file(tmp_path, *drives):
    """Write drives of (start in seconds, number of fixes, degrees a step), a fix each 15 s."""
    rows = [
        (number, JUNE + int((start_s + 15 * fix) * 1000), 41.15 + step * fix, -8.61)
        for number, (start_s, fixes, step) in enumerate(drives)
        for fix in range(fixes)
    ]
    columns = dict(zip(("trip", "time_ms", "lat", "lon"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "drives.parquet")
    return tmp_path / "drives.parquet"


def test_what_is_left_of_a_drive_at_each_moment_that_it_reaches(tmp_path):
    drives = read_drives(a_file(tmp_path, (0, 21, STEP), (1_000, 10, STEP)))  # 300 s and 135 s
    legs = legs_of_drives(drives, (0.0, 180.0), WAYS).legs
    np.testing.assert_array_equal(legs["duration_s"], [300.0, 120.0, 135.0])
    np.testing.assert_array_equal(legs["elapsed_s"], [0.0, 180.0, 0.0])
    assert legs["recent_mps"][1] == pytest.approx(7.4, abs=0.1)
    assert np.isnan(legs["recent_mps"][0])
    assert np.isnan(legs["driven_ratio"][0])
    assert legs["base_s"][1] < legs["base_s"][0]


def test_nothing_after_the_moment_is_in_a_leg_but_its_end(tmp_path):
    whole = read_drives(a_file(tmp_path, (0, 21, STEP)))
    slower = read_drives(a_file(tmp_path, (0, 21, STEP)))
    slower.time_ms[0][14:] += 600_000  # held up after 195 s
    before, after = (legs_of_drives(drives, (180.0,), WAYS).legs for drives in (whole, slower))
    assert after["duration_s"][0] == before["duration_s"][0] + 600
    for name in set(before) - {"duration_s"}:
        np.testing.assert_array_equal(before[name], after[name])


def test_short_drives_and_jumps_are_left_out(tmp_path):
    assert len(read_drives(a_file(tmp_path, (0, 8, STEP), (100, 12, 0.01), (200, 9, STEP)))) == 1


def test_training_drives_end_before_the_others_begin(tmp_path):
    drives = read_drives(a_file(tmp_path, *((60 * number, 12, STEP) for number in range(40))))
    train, test = split_drives(drives)
    assert max(times[-1] for times in train.time_ms) < min(times[0] for times in test.time_ms)
    assert len(test) == 12


def test_a_file_without_drives_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no drive"):
        read_drives(a_file(tmp_path, (0, 3, STEP)))
