"""`outrider replay` against a whole Outrider: a recorded trace arrives with all its faults, and is accounted for."""

import asyncio
import json
import sys
import uuid

import pyarrow as pa
import pyarrow.csv
import pytest

from outrider.client import OutriderClient
from outrider.data import TAXI_TRACE

PASSWORD = "correct horse battery"


async def a_tenant(outrider_running):
    email = f"{uuid.uuid4().hex}@outrider.example"
    async with OutriderClient(outrider_running.url) as client:
        await client.register("Replayed", email, PASSWORD)
    return email


async def replay(outrider_running, email, file, *arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outrider", "replay", str(file), "--json", "--url", outrider_running.url),
        *("--email", email, "--password", PASSWORD, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def write_trace(path, rows):
    pyarrow.csv.write_csv(pa.table(rows), path)
    return path


async def test_every_fault_of_a_trace_is_accounted_for(outrider_running, tmp_path):
    """Ten good fixes, one at (0, 0), one exact repeat, one that comes late, one worse than 200 m."""
    start, step = 1_700_000_000_000, 15_000
    times = [start + n * step for n in range(10)]
    rows = {
        "vehicle": ["bus"] * 14,
        "time_ms": [*times[:5], times[4], *times[5:], times[9] + step, times[2] + 500, times[9] + 2 * step],
        "lat": [
            *(41.15 + n * 1e-4 for n in range(5)),
            41.1504,
            *(41.1505 + n * 1e-4 for n in range(5)),
            0,
            41.1502,
            41.2,
        ],
        "lon": [-8.6] * 11 + [0.0, -8.6, -8.6],
        "accuracy_m": [5.0] * 11 + [None, 5.0, 500.0],
    }
    email = await a_tenant(outrider_running)
    code, out, err = await replay(outrider_running, email, write_trace(tmp_path / "t.csv", rows), "--speed", "60")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    assert (result["sent"], result["accepted"], result["refused"]) == (14, 13, {"null-island": 1})
    assert (result["live"], result["late"], result["filtered"], result["repeated"]) == (10, 1, 1, 1)


async def test_the_demo_trace_replays(outrider_running):
    email = await a_tenant(outrider_running)
    code, out, err = await replay(outrider_running, email, TAXI_TRACE, "--speed", "400")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    assert (result["vehicles"], result["sent"], result["refused"]) == (225, 10_936, {})
    assert result["live"] + result["late"] + result["filtered"] == 10_936


@pytest.mark.parametrize("content", ["", "not,a,trace\n1,2,3\n"])
async def test_what_is_no_trace_is_one_clear_line(outrider_running, tmp_path, content):
    email = await a_tenant(outrider_running)
    file = tmp_path / "broken.csv"
    file.write_text(content)
    code, _, err = await replay(outrider_running, email, file)
    assert code == 1
    assert len(err.splitlines()) == 1


async def test_a_wrong_password_is_one_clear_line(outrider_running):
    code, _, err = await replay(outrider_running, "nobody@outrider.example", TAXI_TRACE)
    assert code == 1
    assert "401" in err
    assert len(err.splitlines()) == 1
