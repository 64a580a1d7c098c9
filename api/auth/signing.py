"""Keys that sign access tokens: the first signs, all of them verify, and a token says by `kid` which one it was."""

import hashlib
import hmac
from collections.abc import Sequence

from models.errors import BadSettings

__all__ = ["SigningKeys"]

_MIN_BYTES = 32  # as long as the hash, RFC 7518 section 3.2


class SigningKeys:
    """Secrets by their `kid`.

    Parameters
    ----------
    secrets
        The one that signs first, then those that tokens of before were signed with.

    Raises
    ------
    BadSettings
        If there is none, or one is too short.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or any(len(secret.encode()) < _MIN_BYTES for secret in secrets):
            raise BadSettings(f"OUTRIDER_JWT_SECRET and each of OUTRIDER_JWT_SECRETS need {_MIN_BYTES} bytes or more")
        self._by_kid = {hashlib.sha256(secret.encode()).hexdigest()[:8]: secret for secret in secrets}
        self.kid = next(iter(self._by_kid))
        """Which key signs."""
        self.secret = self._by_kid[self.kid]
        """The key that signs."""

    def named(self, kid: object) -> str | None:
        """Return the key that a token's header names, if it is one of ours."""
        return self._by_kid.get(kid) if isinstance(kid, str) else None

    def fingerprints(self, data: bytes) -> list[str]:
        """Return a keyed digest of `data` by each key, that of the signing key first."""
        return [hmac.digest(secret.encode(), data, "sha256").hex() for secret in self._by_kid.values()]
