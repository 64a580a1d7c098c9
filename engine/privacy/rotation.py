"""A new data key for every tenant, wrapped by the newest master key, and everything sealed anew under it.

The system runs on meanwhile: what is not yet sealed anew opens with the older key. Started again after it was broken
off, it goes on with the keys it had made.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from models.errors import TryLater
from models.store.connections import Database
from models.store.personal import PERSONAL
from models.store.resealing import ResealRepository
from models.store.vault import KEPT_S

__all__ = ["DataRotation"]

_BATCH = 200
_ROUNDS = 10  # of what somebody changes at that very moment, again and again


class DataRotation:
    """One rotation.

    Parameters
    ----------
    database
        Connected with all master keys, the newest first.
    settle_s
        How long other processes may still seal with the older keys, seconds.
    """

    def __init__(self, database: Database, *, settle_s: float = KEPT_S) -> None:
        self._vault, self._stored = database.vault, ResealRepository(database)
        self._settle_s = settle_s

    async def run(self, progress: Callable[[int, int], None]) -> int:
        """Rotate the keys of all tenants; return how many documents were sealed anew.

        Parameters
        ----------
        progress
            Told the number of documents done and of all, again and again.

        Raises
        ------
        TryLater
            If documents kept changing; asked again, it goes on with the same keys.
        """
        numbers = {tenant: await self._renewed(tenant) for tenant in await self._stored.tenants()}
        old_keys_end = time.monotonic() + self._settle_s
        total = sum([await self._stored.stale(tenant, number) for tenant, number in numbers.items()])
        done = 0
        progress(done, total)
        for again in (False, True):
            if again:
                await asyncio.sleep(max(0.0, old_keys_end - time.monotonic()))
            for tenant, number in numbers.items():
                async for count in self._sealed_anew(tenant, number):
                    done += count
                    progress(done, max(done, total))
        for tenant, number in numbers.items():
            done += await self._finished(tenant, number)
        return done

    async def _sealed_anew(self, tenant: str, number: int) -> AsyncIterator[int]:
        """Go once through all of a tenant; yields how many documents were sealed anew, again and again."""
        for collection in PERSONAL:
            after = ""
            while True:
                after, count = await self._stored.reseal(collection, tenant, number, after, _BATCH)
                yield count
                if not after:
                    break

    async def _finished(self, tenant: str, number: int) -> int:
        """Seal anew what changed just when its turn had come, and note that all is; return how many those were."""
        count = 0
        for _ in range(_ROUNDS):
            if not await self._stored.stale(tenant, number):
                await self._stored.settle(tenant, number, settled=True)
                return count
            count += sum([one async for one in self._sealed_anew(tenant, number)])
        raise TryLater(f"documents of {tenant} kept changing while they were sealed anew: rotate again")

    async def _renewed(self, tenant: str) -> int:
        """Return the number of the tenant's new data key; one that a broken-off rotation made counts."""
        await self._vault.rewrap(tenant)
        if not await self._stored.is_settled(tenant):
            return (await self._vault.reread(tenant)).number
        return (await self._vault.renew(tenant)).number
