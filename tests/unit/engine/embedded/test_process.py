"""A supervised child process: ready, dead, back, ended."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from engine.embedded.process import ChildProcess, DiedEarly, end_orphan
from tests.stack import eventually

FOREVER = "import signal; signal.pause()"


async def _at_once() -> None:
    return None


async def _never() -> None:
    await asyncio.Event().wait()


def _child(tmp_path: Path, code: str, **options: object) -> ChildProcess:
    defaults = {"log_file": tmp_path / "log", "ready": _at_once, "pid_file": tmp_path / "pid"}
    return ChildProcess("child", [sys.executable, "-c", code], **{**defaults, **options})  # type: ignore[arg-type]


async def test_a_dead_child_comes_back_and_is_counted(tmp_path):
    child = _child(tmp_path, FOREVER)
    await child.start()
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: child.restarts == 1 and child.pid not in (None, first))
    assert (tmp_path / "pid").read_text() == str(child.pid)
    await child.stop()


async def test_stop_ends_it_for_good_and_may_be_called_twice(tmp_path):
    child = _child(tmp_path, FOREVER)
    await child.start()
    await child.stop()
    await child.stop()
    assert child.pid is None
    assert not (tmp_path / "pid").exists()


async def test_early_death_carries_code_and_last_words(tmp_path):
    child = _child(tmp_path, "print('no room'); raise SystemExit(3)", ready=_never)
    with pytest.raises(DiedEarly, match="code 3: no room"):
        await child.start()


async def test_a_child_that_is_never_ready_is_ended(tmp_path):
    child = _child(tmp_path, FOREVER, ready=_never, start_within_s=0.2)
    with pytest.raises(TimeoutError):
        await child.start()
    assert child.pid is None


async def test_a_child_that_ignores_the_request_is_killed(tmp_path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"

    async def is_deaf() -> None:
        await eventually(lambda: b"deaf" in (tmp_path / "log").read_bytes())

    child = _child(tmp_path, deaf, ready=is_deaf, stop_within_s=0.2)
    await child.start()
    await child.stop()
    assert child.pid is None


async def test_an_orphan_is_ended_only_when_the_number_is_still_its_own(tmp_path):
    # a grandchild, so that nobody here waits for it: that is what makes an orphan
    script = f'{sys.executable} -c "{FOREVER}" my-folder >/dev/null & echo $!'
    shell = await asyncio.create_subprocess_exec("sh", "-c", script, stdout=asyncio.subprocess.PIPE)
    orphan = int((await shell.communicate())[0])
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(orphan))
    assert not await asyncio.to_thread(end_orphan, pid_file, "another-folder")
    assert psutil.pid_exists(orphan)
    pid_file.write_text(str(orphan))
    assert await asyncio.to_thread(end_orphan, pid_file, "my-folder")
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert not end_orphan(pid_file, "my-folder")
