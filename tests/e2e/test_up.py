"""`outrider up` from start to stop, with the processes that it promises to keep running."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.stack import RunningOutrider, eventually, lives, running_outrider

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningOutrider]:
    with running_outrider(OUTRIDER_SHARDS__COUNT="1") as outrider:
        yield outrider


@pytest.fixture(scope="module")
def left_behind(running: RunningOutrider) -> set[psutil.Process]:
    """Kill the host itself; return the processes that it had started."""
    children = {psutil.Process(pid) for role, pids in running.pids().items() if role != "host" for pid in pids}
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    return children


@pytest.fixture(scope="module")
def started_again(running: RunningOutrider, left_behind: set[psutil.Process]) -> Iterator[RunningOutrider]:
    """Start one on the folder of the one whose host was killed."""
    with running_outrider(var=running.var, OUTRIDER_SHARDS__COUNT="1") as outrider:
        yield outrider


async def _answers(url: str) -> bool:
    try:
        async with httpx2.AsyncClient(timeout=5) as client:
            return (await client.get(f"{url}/api/v1/health")).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize("role", ["api", "redis", "mongod"])
async def test_a_killed_process_is_back_at_the_same_address(running: RunningOutrider, role: str):
    (before,) = running.pids()[role]
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: running.pids().get(role, [before]) not in ([before], []), 60)
    await eventually(lambda: _answers(running.url), 60)


def test_secrets_and_data_are_for_this_user_alone(running: RunningOutrider):
    assert running.var.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (running.var / "secrets").iterdir()} == {0o600}


def test_who_has_no_model_carries_no_lightgbm(running: RunningOutrider):
    pids = running.pids()
    for pid in (pids["host"], pids["api"], pids["shards"]):
        assert "lightgbm" not in Path("/proc", str(pid[0]), "maps").read_text()


async def test_every_log_line_is_json_without_secrets(running: RunningOutrider):
    text = (running.var / "host.log").read_text()
    assert len(running.log_lines()) == len(text.splitlines())
    assert (running.var / "secrets" / "jwt").read_text() not in text


async def test_a_second_one_on_the_folder_is_refused_in_one_line(running: RunningOutrider):
    with pytest.raises(AssertionError, match="another Outrider") as refused:
        await asyncio.to_thread(_start_on, running)
    assert "Traceback" not in str(refused.value)


def _start_on(running: RunningOutrider) -> None:
    with running_outrider(OUTRIDER_VAR=str(running.var)):
        pass


async def test_a_killed_host_leaves_nothing(left_behind: set[psutil.Process]):
    """From here on the first one is gone. Ray's own two agents notice after a minute; they hold nothing of ours."""
    assert len(left_behind) == 4
    await eventually(lambda: not any(map(lives, left_behind)), 30)


def test_the_folder_of_a_killed_host_is_good(started_again: RunningOutrider):
    assert started_again.log_lines()[-1]["event"] == "host.ready"


def test_sigterm_to_the_whole_group_ends_everything(started_again: RunningOutrider):
    """As `timeout` and systemd send it, so that Ray's own processes are gone before their work is done.

    Others are ended by a signal to the host alone, which `running_outrider` looks at.
    """
    children = [psutil.Process(pid) for pids in started_again.pids().values() for pid in pids]
    everything = psutil.Process(started_again.process.pid).children(recursive=True)
    os.killpg(started_again.process.pid, signal.SIGTERM)
    assert started_again.process.wait(60) == 0
    assert [process for process in {*children, *everything} if lives(process)] == []
    assert started_again.log_lines()[-1]["event"] != "task.failed"
