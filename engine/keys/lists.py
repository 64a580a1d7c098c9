"""Keys that may change while a process runs: of a file that is looked at again, or else as the settings have them."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from engine.settings import Settings

__all__ = ["KeyList", "signing_keys", "wrapping_keys"]

log = structlog.get_logger(__name__)

_LOOK_S = 1.0


def signing_keys(settings: Settings) -> "KeyList":
    """Return the keys of access tokens, the one that signs first."""
    return KeyList(settings.signing_secrets, settings.jwt_secrets_file)


def wrapping_keys(settings: Settings) -> "KeyList":
    """Return the keys that wrap those of personal data, the newest first."""
    return KeyList(tuple(key.get_secret_value() for key in settings.master_keys), settings.master_keys_file)


class KeyList:
    """Some secrets, the newest first.

    Parameters
    ----------
    given
        What there is without a file, or while it can't be read.
    file
        Holds a secret a line. A file that is being written, or gone, changes nothing.
    clock
        Monotonic seconds; given by tests.
    """

    def __init__(
        self, given: Sequence[str], file: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._secrets, self._file, self._clock = tuple(given), file, clock
        self._seen: tuple[int, int, int] | None = None
        self._next = -1.0

    def __call__(self) -> tuple[str, ...]:
        """Return them as they are now, or were a second ago at most: the same object while nothing has changed."""
        if self._file is not None and (now := self._clock()) >= self._next:
            self._next = now + _LOOK_S
            self._look(self._file)
        return self._secrets

    def _look(self, file: Path) -> None:
        try:
            found = file.stat()
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if state == self._seen:
                return
            secrets = tuple(file.read_text().split())
        except (OSError, UnicodeDecodeError) as fault:
            log.warning("keys.unread", file=str(file), error=str(fault))
            return
        if secrets:
            if self._seen is not None and secrets != self._secrets:
                log.info("keys.changed", file=str(file), count=len(secrets))
            self._seen, self._secrets = state, secrets
