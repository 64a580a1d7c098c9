"""What a follower keeps of each tenant, so that it need not read it for every batch of events."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from models.documents.event import Event

__all__ = ["KeptByTenant"]

T = TypeVar("T")

_LIFE_S = 10.0  # heals what changed without an event, such as by a migration
_ENTRIES = 20_000


class KeptByTenant(Generic[T]):
    """One thing of each tenant, read when it is asked for and kept until an event tells that it has changed.

    The feed itself brings that event, and before all that happened after the change, so a follower that heeds every
    batch never judges an event by what was true before it.

    Parameters
    ----------
    read
        Reads it for a tenant.
    changes
        First parts of the types of events that tell of a change, such as `webhook.`.
    """

    def __init__(self, read: Callable[[str], Awaitable[T]], changes: str) -> None:
        self._read, self._changes = read, changes
        self._kept: dict[str, tuple[T, float]] = {}

    def heed(self, events: Sequence[Event]) -> None:
        """Forget what these events change; to be called with each batch before it is judged."""
        for event in events:
            if event.type.startswith(self._changes):
                self._kept.pop(event.tenant, None)

    async def of(self, tenant: str) -> T:
        """Return it for a tenant."""
        kept = self._kept.get(tenant)
        if kept is not None and time.monotonic() < kept[1]:
            return kept[0]
        found = await self._read(tenant)
        if len(self._kept) >= _ENTRIES:
            self._kept.clear()
        self._kept[tenant] = found, time.monotonic() + _LIFE_S
        return found
