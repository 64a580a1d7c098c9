"""A shard's geofences: read when it begins, and again for companies that have changed theirs."""

from collections.abc import Awaitable, Callable, Iterable

from engine.shards.memory import ShardMemory
from models.documents.geofence import Geofence

__all__ = ["FenceDesk"]


class FenceDesk:
    """Keeps the compiled fences of memory what the business side says.

    Parameters
    ----------
    memory
        Whose fences they are.
    all_fences
        Returns the geofences of all tenants.
    fences_of
        Returns those of a tenant.
    """

    def __init__(
        self,
        memory: ShardMemory,
        all_fences: Callable[[], Awaitable[Iterable[Geofence]]],
        fences_of: Callable[[str], Awaitable[Iterable[Geofence]]],
    ) -> None:
        self._memory, self._all_fences, self._fences_of = memory, all_fences, fences_of
        self._fences: dict[str, list[Geofence]] | None = None
        self._stale: set[str] = set()

    def note_changed(self, tenant: str) -> None:
        """Read a tenant's fences again at the next refresh."""
        self._stale.add(tenant)

    async def refresh(self) -> None:
        """Read the fences of tenants that have changed theirs; those of all the first time."""
        if self._fences is None:
            found = await self._all_fences()
            self._fences = {fence.tenant: [] for fence in found}
            for fence in found:
                self._fences[fence.tenant].append(fence)
        elif self._stale:
            self._fences |= {tenant: list(await self._fences_of(tenant)) for tenant in self._stale}
        else:
            return
        self._stale.clear()
        self._memory.compile_fences(fence for fences in self._fences.values() for fence in fences)
