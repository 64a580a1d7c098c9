"""Development secrets in `var/secrets`, readable by this user alone: a file each, a secret a line, the newest first."""

import os
import secrets
from pathlib import Path

from models.replacing import replacing

__all__ = ["add_secret", "keep_newest", "read_secrets", "secrets_file"]

_KEEP = 4  # three more than sign: tokens of a key live for hours, and nobody rotates more often than that


def secrets_file(var: Path, name: str) -> Path:
    """Return the file of the secrets of a name."""
    return var / "secrets" / name


def read_secrets(var: Path, name: str) -> tuple[str, ...]:
    """Return the secrets of a name, newest first; the first time, one is made."""
    path = secrets_file(var, name)
    if not path.exists():
        _write(path, [_fresh()])
    return tuple(path.read_text().split())


def add_secret(var: Path, name: str, *, keep: int = _KEEP) -> int:
    """Put a new secret before those that are there, of which the newest few stay; return how many there are now."""
    found = [_fresh(), *read_secrets(var, name)][:keep]
    _write(secrets_file(var, name), found)
    return len(found)


def keep_newest(var: Path, name: str) -> int:
    """Drop all secrets but the newest; return how many are gone."""
    newest, *gone = read_secrets(var, name)
    _write(secrets_file(var, name), [newest])
    return len(gone)


def _fresh() -> str:
    return secrets.token_urlsafe(48)


def _write(path: Path, lines: list[str]) -> None:
    """Write a file that is whole or not there, and never readable by others."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        replacing(path) as partial,
        os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
    ):
        file.write("\n".join(lines))
