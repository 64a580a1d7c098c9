"""The demo as a user starts it."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from pipelines.registry import Registry
from tests.stack import eventually

pytestmark = pytest.mark.long

KEYS = {
    *("pings", "drivers", "deliveries", "stops_done", "etas", "p50_ms", "p99_ms", "refused", "filtered", "url"),
    *("model", "promises", "promises_held", "promise_error_s", "leg_error_s"),
}


@pytest.fixture
def var():
    # a short path: sockets lie below it, and theirs have a limit
    with tempfile.TemporaryDirectory(prefix="or-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def a_demo(var, *arguments):
    """Start a demo as a user would; one that is still there in the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "outrider", "demo", "--var", str(var), "--json", *arguments],
        env={**os.environ, "OUTRIDER_API__PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(240)
def test_the_demo_plans_and_drives_a_fleet_and_ends_with_its_figures(var):
    with a_demo(var, "--seconds", "20", "--speed", "60", "--vans", "24") as process:
        out, err = process.communicate(timeout=220)
    assert process.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert set(result) == KEYS
    assert result["drivers"] == 24 + 225
    assert result["pings"] > 1500
    assert result["deliveries"] > 24 * 14
    assert result["stops_done"] > 0
    assert result["etas"] > 0
    assert result["refused"] == 0
    assert 0 < result["p50_ms"] <= result["p99_ms"]
    login = var / "demo-login.json"
    assert stat.S_IMODE(login.stat().st_mode) == 0o600


@pytest.mark.timeout(340)
async def test_a_model_comes_to_serve_and_ctrl_c_stops_the_demo_cleanly(var):
    registry = Registry(var / "models")
    with a_demo(var, "--speed", "10", "--vans", "12") as process:
        await eventually(lambda: registry.standing().tenants or process.poll() is not None, within_s=240)
        started = [pid for role in json.loads((var / "pids.json").read_text()).values() for pid in role]
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, err
    assert set(json.loads(out.splitlines()[-1])) == KEYS
    assert set(registry.standing().tenants.values()) == set(registry.names())
    assert not [pid for pid in started if psutil.pid_exists(pid)]
