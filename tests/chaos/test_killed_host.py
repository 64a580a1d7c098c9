"""`kill -9` of the host itself: its children end, and the next start on its folder works."""

import signal

import psutil
import pytest

from tests.stack import eventually, running_outrider

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(500)]


def _living(pids: set[int]) -> list[str]:
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()[:4]))
        except psutil.NoSuchProcess:
            continue
    return found


async def test_a_killed_host_leaves_nothing_and_its_folder_is_good(tmp_path_factory: pytest.TempPathFactory):
    """Ray's own two agents notice after a minute; they hold nothing of ours."""
    var = tmp_path_factory.mktemp("v")
    with running_outrider(var=var, OUTRIDER_SHARDS__COUNT="1") as first:
        children = {pid for role, pids in first.pids().items() if role != "host" for pid in pids}
        assert len(children) == 4
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        await eventually(lambda: not _living(children), 30)
    with running_outrider(var=var, OUTRIDER_SHARDS__COUNT="1") as second:
        assert second.log_lines()[-1]["event"] == "host.ready"
