"""A shard's closures: read when it begins, and again for companies that have changed theirs."""

from collections.abc import Awaitable, Callable, Iterable

from engine.fleet.closures import barriers
from engine.shards.memory import ShardMemory
from models.documents.closure import Closure

__all__ = ["ClosureDesk"]


class ClosureDesk:
    """Keeps what estimates drive around what the business side says.

    Parameters
    ----------
    memory
        Whose estimates they are.
    all_closures
        Returns the closures of all tenants that are not over.
    closures_of
        Returns those of a tenant.
    """

    def __init__(
        self,
        memory: ShardMemory,
        all_closures: Callable[[], Awaitable[Iterable[Closure]]],
        closures_of: Callable[[str], Awaitable[Iterable[Closure]]],
    ) -> None:
        self._memory, self._all_closures, self._closures_of = memory, all_closures, closures_of
        self._closures: dict[str, list[Closure]] | None = None
        self._stale: set[str] = set()

    def note_changed(self, tenant: str) -> None:
        """Read a tenant's closures again at the next refresh."""
        self._stale.add(tenant)

    async def refresh(self) -> None:
        """Read the closures of tenants that have changed theirs; those of all the first time."""
        if self._closures is None:
            self._closures = {}
            for closure in await self._all_closures():
                self._closures.setdefault(closure.tenant, []).append(closure)
        elif self._stale:
            self._closures |= {tenant: list(await self._closures_of(tenant)) for tenant in self._stale}
        else:
            return
        self._stale.clear()
        self._memory.etas.closures = {
            self._memory.tenant_index(tenant): barriers(closures)
            for tenant, closures in self._closures.items()
            if closures
        }
