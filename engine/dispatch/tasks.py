"""Tasks of dispatch: offers whose time is over, and rounds that begin by themselves."""

import datetime
from collections.abc import Awaitable

from engine.dispatch.candidates import LiveDrivers
from engine.dispatch.commands import TIMEOUT, OfferCommands
from engine.dispatch.follower import BEGIN
from engine.tasks.worker import TaskKind
from models.documents.document import now
from models.documents.offer import OfferTerms
from models.documents.task import Task
from models.errors import Conflict, NotFound, Postponed, StoreUnavailable, VersionConflict
from models.store.connections import Database
from models.store.scope import Scope

__all__ = ["offer_kinds"]

_ACTOR = "engine"
_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_UNSEEN = datetime.timedelta(seconds=2)  # between two looks at drivers whom nobody can see: shards are away or start


def offer_kinds(database: Database, partitions: int, live: LiveDrivers) -> dict[str, TaskKind]:
    """Return how the tasks of dispatch are done, by kind."""
    commands = OfferCommands(database, partitions, live)

    async def expire(task: Task) -> None:
        try:
            await _when_seen(commands.expire(Scope(task.tenant, _ACTOR), task.payload["offer"]))
        except NotFound:
            return  # erased meanwhile

    async def begin(task: Task) -> None:
        try:
            await _when_seen(
                commands.start(Scope(task.tenant, _ACTOR), task.payload["delivery"], OfferTerms(), task.id)
            )
        except VersionConflict:
            raise
        except (NotFound, Conflict):
            return  # somebody has it, drivers are being asked, or its place is not known yet

    return {TIMEOUT: TaskKind(expire, _DELAYS_S), BEGIN: TaskKind(begin, _DELAYS_S)}


async def _when_seen(step: Awaitable[object]) -> None:
    """Take a step of a round, later if drivers can't be seen: given up, the round would stay as it is for ever.

    Raises
    ------
    Postponed
        If a shard is away.
    """
    try:
        await step
    except StoreUnavailable as fault:
        raise Postponed(now() + _UNSEEN) from fault
