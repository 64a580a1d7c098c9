"""The decorator of compiled rules, and where their machine code is kept.

numba keeps a compiled function until its own file changes, though the code of what it calls is inside: after an update
that touched `motion/stops.py` alone, `shards/advance.py` would go on with the old stops. So the code is kept in a
folder named after the contents of all rules together; another content is another folder. The rules of roads call
none of the shards' and have a folder of their own, so that a change of one does not compile the other anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

__all__ = ["estimate_rule", "road_rule", "rule", "search_rule"]

_ENGINE = Path(__file__).parent
_ROOMS = ("shards", "motion", "geofences", "deliveries", "routing")
_ROAD_ROOMS = ("roads",)
_SEARCH_ROOMS = ("routing/ruin",)
_ESTIMATE_ROOMS = ("eta",)


def _digest(rooms: tuple[str, ...] = _ROOMS) -> str:
    """Return a digest of the source of every module that holds a rule of these rooms."""
    files = sorted(file for room in rooms for file in (_ENGINE / room).glob("*.py"))
    sources = [source for source in (file.read_bytes() for file in files) if b"rule" in source]
    sources.append((_ENGINE.parent / "models" / "geo.py").read_bytes())
    return hashlib.blake2b(b"".join(sources), digest_size=8).hexdigest()


def _kept_by_content(rooms: tuple[str, ...], name: str, **options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles, and keeps the code in the folder of these rooms' content."""
    folder = _ENGINE / "__pycache__" / f"{name}-{_digest(rooms)}"

    def compiled(function: Any) -> Any:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            pass  # installed read-only: numba falls back to the user's cache, where each release has its own path
        else:
            numba.config.CACHE_DIR = str(folder)  # looked at when a function is decorated
        return numba.njit(cache=True, nogil=True, **options)(function)

    return compiled


road_rule: Any = _kept_by_content(_ROAD_ROOMS, "roads")
"""As `rule`, in the rooms of roads."""

estimate_rule: Any = _kept_by_content(_ESTIMATE_ROOMS, "estimates")
"""As `rule`, in the room of estimates."""

search_rule: Any = _kept_by_content(_SEARCH_ROOMS, "search", _nrt=False)
"""As `rule`, in the search for plans. It allocates nothing, so references are not counted: that took half its time."""

rule: Any = _kept_by_content(_ROOMS, "rules")
"""Compile a rule: kept on disk, and run without the interpreter's lock."""
