"""What a shard keeps of its companies' business: read when it begins, and again for those that have changed theirs."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ["TenantDesk"]


class _OfTenant(Protocol):
    @property
    def tenant(self) -> str: ...


T = TypeVar("T", bound=_OfTenant)


class TenantDesk(Generic[T]):
    """Keeps a shard's memory in line with what the business side says.

    Parameters
    ----------
    everything
        Returns what there is of all tenants.
    of_tenant
        Returns what there is of one.
    take
        Takes what there is, by tenant, in place of what there was before.
    """

    def __init__(
        self,
        everything: Callable[[], Awaitable[Iterable[T]]],
        of_tenant: Callable[[str], Awaitable[Iterable[T]]],
        take: Callable[[Mapping[str, Sequence[T]]], None],
    ) -> None:
        self._everything, self._of_tenant, self._take = everything, of_tenant, take
        self._kept: dict[str, list[T]] | None = None
        self._stale: set[str] = set()

    def note_changed(self, tenant: str) -> None:
        """Read what a tenant has again at the next refresh."""
        self._stale.add(tenant)

    async def refresh(self) -> None:
        """Read what tenants have that changed it; of all until that has worked once."""
        if self._kept is None:
            kept: dict[str, list[T]] = {}
            for one in await self._everything():
                kept.setdefault(one.tenant, []).append(one)
        elif self._stale:
            kept = self._kept | {tenant: list(await self._of_tenant(tenant)) for tenant in self._stale}
        else:
            return
        self._kept = kept
        self._stale.clear()
        self._take(kept)
