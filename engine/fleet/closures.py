"""A company's closures as those who ask for ways need them."""

from collections.abc import Iterable

from engine.roads.barriers import Barrier
from models.documents.closure import Closure
from models.store.connections import Database
from models.store.fleet import ClosureRepository
from models.store.scope import Scope

__all__ = ["barriers", "closed_to"]


def barriers(closures: Iterable[Closure]) -> tuple[Barrier, ...]:
    """Return closures as barriers, in an order that does not depend on theirs."""
    return tuple(_barrier(one) for one in sorted(closures, key=lambda one: one.id))


async def closed_to(database: Database, scope: Scope) -> tuple[Barrier, ...]:
    """Return what a company's vehicles have to drive around, now and later."""
    return barriers(await ClosureRepository(database).coming(scope.tenant))


def _barrier(closure: Closure) -> Barrier:
    return Barrier(
        closure.kind,
        tuple((point.latitude, point.longitude) for point in closure.points),
        closure.half_width_m,
        frozenset(closure.profiles),
        float("-inf") if closure.begins_at is None else closure.begins_at.timestamp(),
        float("inf") if closure.ends_at is None else closure.ends_at.timestamp(),
    )
