"""The decorator of compiled rules, and where their machine code is kept.

numba keeps a compiled function until its own file changes, though the code of what it calls is inside: after an update
that touched `motion/stops.py` alone, `shards/advance.py` would go on with the old stops. So the code is kept in a
folder named after the contents of all rules together; another content is another folder.
"""

import hashlib
from pathlib import Path
from typing import Any

import numba

__all__ = ["rule"]

_ENGINE = Path(__file__).parent
_ROOMS = ("shards", "motion", "geofences", "deliveries", "routing")


def _digest() -> str:
    """Return a digest of the source of every module that holds a rule."""
    files = sorted(file for room in _ROOMS for file in (_ENGINE / room).glob("*.py"))
    sources = [source for source in (file.read_bytes() for file in files) if b"@rule" in source]
    sources.append((_ENGINE.parent / "models" / "geo.py").read_bytes())
    return hashlib.blake2b(b"".join(sources), digest_size=8).hexdigest()


def _keep_code_by_content() -> None:
    folder = _ENGINE / "__pycache__" / f"rules-{_digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # installed read-only: numba falls back to the user's cache, where each release has its own path
    numba.config.CACHE_DIR = str(folder)


_keep_code_by_content()

rule: Any = numba.njit(cache=True, nogil=True)
"""Compile a rule: kept on disk, and run without the interpreter's lock."""
