"""Ends dispatched routes: when none of a route's deliveries is under way any more, it is completed."""

from collections.abc import Sequence
from typing import Literal

from engine.routing.commands import announced
from models.documents.delivery import CLOSED
from models.documents.document import now
from models.documents.event import Event
from models.documents.route import RouteStatus
from models.store.connections import Database
from models.store.routes import RouteRepository
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["RouteFollower"]

_ENDS = frozenset(f"delivery.{status.value}" for status in CLOSED)


class RouteFollower:
    """Follows what ends deliveries."""

    name = "routes"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 0.5

    def __init__(self, database: Database) -> None:
        self._routes = RouteRepository(database)

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return what ended a delivery."""
        return [event for event in events if event.type in _ENDS]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Complete the routes whose last delivery has ended."""
        ended = {(event.tenant, event.aggregate) for event in events}
        for tenant, delivery in sorted(ended):
            scope = Scope(tenant, "engine")
            before = await self._routes.finished_by(scope, delivery, session)
            if before is None:
                continue
            after = before.model_copy(
                update={"status": RouteStatus.COMPLETED, "version": before.version + 1, "updated_at": now()}
            )
            told = announced(scope, before, after, "completed")
            await self._routes.replace(session, after, before.version, told)
