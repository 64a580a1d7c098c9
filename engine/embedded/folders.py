"""A folder that one process owns: private, locked, on a disk with room; and short places for sockets."""

import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO

from models.errors import BadSettings

__all__ = ["FolderLock", "free_port", "port_is_free", "require_space", "socket_path"]

_SOCKET_PATH_MAX = 100  # sockaddr_un holds 108 bytes, and Redis appends a suffix while it starts
_MIB = 2**20


class FolderLock:
    """The right to use a folder. The kernel drops it with the process, so a crash leaves no stale lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Make the folder (mode 700) and lock it.

        Raises
        ------
        BadSettings
            If another process holds it, or the folder can't be written.
        """
        path = self._folder / "outrider.lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.chmod(0o700)
            file = path.open("a+")
        except OSError as error:
            raise BadSettings(
                f"can't write to the folder {self._folder} ({error.strerror}); set OUTRIDER_VAR to a folder of yours"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise BadSettings(
                f"another Outrider (process {holder}) uses the folder {self._folder}; "
                "stop it, or set OUTRIDER_VAR to another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the folder up. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


def require_space(folder: Path, mib: int) -> None:
    """Check that the disk under `folder` has room.

    Raises
    ------
    BadSettings
        If less than `mib` MiB are free.
    """
    free = shutil.disk_usage(folder).free // _MIB
    if free < mib:
        raise BadSettings(
            f"the disk under {folder} has {free} MiB free and {mib} MiB are needed; "
            "free some space, or set OUTRIDER_VAR to a folder on another disk"
        )


def socket_path(folder: Path, name: str) -> Path:
    """Return where to put the unix socket `name` of `folder`: inside it, or in the temp folder where that is too long.

    The same folder gives the same path, and different folders different ones.
    """
    inside = folder.resolve() / name
    if len(os.fsencode(inside)) <= _SOCKET_PATH_MAX:
        return inside
    digest = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=6).hexdigest()
    outside = Path(tempfile.gettempdir()) / f"outrider-{os.getuid()}-{digest}"
    outside.mkdir(mode=0o700, exist_ok=True)
    if outside.stat().st_uid != os.getuid():
        raise BadSettings(f"{outside} belongs to another user; set OUTRIDER_VAR to a folder with a shorter path")
    return outside / name


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Tell whether `port` could be bound on loopback just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
