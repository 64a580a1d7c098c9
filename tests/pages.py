"""Runs the commands of a page of the documentation, as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

ADDRESS = "http://127.0.0.1:8000"
DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(sh|python)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: Path, folder: Path, url: str, within_s: float = 180.0) -> None:
    """Save the page's files in a folder and run its commands there, against an Outrider at `url`; fail as they do."""
    script = []
    for language, name, code in _BLOCK.findall(page.read_text()):
        if language == "python":
            (folder / name).write_text(code)
        else:
            script.append(code)
    assert script[0].count(ADDRESS) == 1
    whole = "\n".join(["set -euo pipefail; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *script])
    done = subprocess.run(
        ["bash", "-c", whole.replace(ADDRESS, url)],  # noqa: S607  # whichever a reader has
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(DOCS.parent),  # of the source that is tested, wherever another is installed
        },
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
