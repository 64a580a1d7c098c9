"""Files that others see whole or as they were before: written beside their place, under own names, and renamed.

Two who write the same file, or two files of one folder, never share what they write to.
"""

import contextlib
import glob
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing"]

_LEFT_S = 3600.0  # who has not written for so long is gone, killed before it could rename


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write what takes the place of `path` in one step once the block has ended well.

    Folders on the way are made. If the block fails, `path` stays as it was and what was written is gone; what somebody
    left who was killed goes after an hour. A block that has to survive a loss of power flushes to disk by itself.

    Parameters
    ----------
    path
        The file to appear.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with contextlib.suppress(FileNotFoundError):  # another one sweeps too
            if time.time() - other.stat().st_mtime > _LEFT_S:
                other.unlink()
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
