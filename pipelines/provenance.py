"""What a model was made of: a digest of its data, and the version of the code."""

import hashlib
import importlib.metadata
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.trips import Trips

__all__ = ["code_version", "snapshot_digest"]


def snapshot_digest(trips: Trips) -> str:
    """Return the SHA-256 of all columns, the same for the same trips."""
    digest = hashlib.sha256()
    for name in sorted(trips.legs):
        values = trips.legs[name]
        digest.update(name.encode())
        if values.dtype == object:
            digest.update("\0".join("" if value is None else str(value) for value in values).encode())
        else:
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def code_version() -> dict[str, Any]:
    """Return the release, the libraries that decide what trees look like, and the commit where there is one."""
    versions = {name: importlib.metadata.version(name) for name in ("outrider", "lightgbm", "numpy")}
    return {**versions, "commit": _commit()}


def _commit() -> str | None:
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git there is
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
