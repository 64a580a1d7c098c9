"""Every command of the tutorial does what it says, on a whole Outrider."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import running_outrider

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "first-integration.md"
ADDRESS = "http://127.0.0.1:8000"
_BLOCK = re.compile(r"^```(sh|python)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_a_stranger_who_follows_the_page_is_told_of_a_moving_delivery(tmp_path):
    script = []
    for language, name, code in _BLOCK.findall(PAGE.read_text()):
        if language == "python":
            (tmp_path / name).write_text(code)
        else:
            script.append(code)
    with running_outrider(OUTRIDER_SHARDS__COUNT="1", OUTRIDER_WEBHOOKS__ALLOW_PRIVATE="true") as outrider:
        assert script[0].count(ADDRESS) == 1
        whole = "\n".join(["set -euo pipefail; trap 'kill $(jobs -p)' EXIT", *script]).replace(ADDRESS, outrider.url)
        done = subprocess.run(
            ["bash", "-c", whole],  # noqa: S607  # whichever a reader has
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Rui" in (tmp_path / "watched.txt").read_text()
    assert not (tmp_path / "receiver.log").read_text().count("Traceback")
