import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from models.errors import InvalidInput
from models.messages.fixes import DEGREE
from outrider.data import TAXI_TRACE
from outrider.playback import Playback
from outrider.traces import read_trace

ROWS = {
    "vehicle": ["a", "b", "a", "b", "a"],
    "time_ms": [1000, 500, 3000, 2500, 2000],
    "lat": [41.1, 0.0, 41.2, 41.3, 41.15],
    "lon": [-8.6, 0.0, -8.6, -8.6, -8.6],
    "speed_mps": [1.0, None, 2.0, 3.0, None],
}


@pytest.fixture(params=["trace.csv", "trace.parquet"])
def file(request, tmp_path):
    path = tmp_path / request.param
    table = pa.table(ROWS)
    (pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table)(table, path)
    return path


def test_a_fix_that_came_late_stays_late(file):
    trace = read_trace(file)
    assert trace.fixes["time"].tolist() == [500, 1000, 2500, 3000, 2000]
    assert trace.release_ms.tolist() == [500, 1000, 2500, 3000, 3000]
    assert trace.duration_ms == 2500


def test_a_file_laid_out_trip_after_trip_plays_by_time(tmp_path):
    hour = 3_600_000
    rows = {
        "vehicle": ["a"] * 4,
        "time_ms": [2 * hour, 2 * hour + 1000, 1000, 2000],
        "lat": [1.0] * 4,
        "lon": [1.0] * 4,
    }
    path = tmp_path / "trips.parquet"
    pyarrow.parquet.write_table(pa.table(rows), path)
    trace = read_trace(path)
    assert trace.release_ms.tolist() == trace.fixes["time"].tolist() == sorted(rows["time_ms"])
    as_filed = read_trace(path, late_at_most_s=86_400)
    assert as_filed.fixes["time"].tolist() == rows["time_ms"]


def test_faults_and_gaps_stay_as_recorded(file):
    trace = read_trace(file)
    assert trace.fixes["lat"][:2].tolist() == [0, round(41.1 * DEGREE)]
    assert np.isnan(trace.fixes["speed"]).tolist() == [True, False, False, False, True]
    assert np.isnan(trace.fixes["accuracy"]).all()


@pytest.mark.parametrize("text", ["", "vehicle,time_ms\na,1\n", "vehicle,time_ms,lat,lon\na,noon,1,2\n"])
def test_what_is_no_trace_is_told(tmp_path, text):
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        read_trace(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InvalidInput, match="there is no file"):
        read_trace(tmp_path / "nothing.parquet")


async def test_a_playback_ends_now_and_keeps_the_intervals(file):
    playback = Playback(read_trace(file), speed=20)
    sent = np.concatenate([chunk.fixes async for chunk in playback.chunks()])
    now_ms = time.time_ns() // 1_000_000
    assert np.diff(sent["time"]).tolist() == np.diff(playback.trace.fixes["time"]).tolist()
    assert abs(int(sent["time"].max()) - now_ms) < 1000
    assert len(sent) == playback.count == 5


def test_a_playback_cut_short_counts_what_it_will_send(file):
    assert Playback(read_trace(file), speed=1, seconds=1.0).count == 2


def test_the_sample_is_what_its_attribution_says():
    trace = read_trace(TAXI_TRACE)
    assert (len(trace.fixes), len(trace.vehicles)) == (10_936, 225)
