"""Passwords: Argon2id, hashed in threads so that the event loop goes on."""

import asyncio
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

__all__ = ["Passwords"]

_AT_ONCE = 4  # each takes 19 MiB and a core for about 23 ms
_MEMORY_KIB = 19_456  # OWASP's second recommendation; the library's own setting takes 200 ms here


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=_MEMORY_KIB, parallelism=1),))
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobody: Final = self._hasher.hash("nobody")

    async def hashed(self, password: str) -> str:
        """Return the hash of `password`."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Tell whether `password` belongs to the hash; without one it takes as long, and the answer is no."""
        async with self._turns:
            right = await asyncio.to_thread(self._hasher.verify, password, password_hash or self._nobody)
        return right and password_hash is not None
