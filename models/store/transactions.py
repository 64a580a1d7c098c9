"""Several writes to MongoDB, all or none."""

from collections.abc import Awaitable, Callable
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClientSession

from models.store.connections import Database

__all__ = ["Session", "Write", "in_transaction"]

Session = AsyncIOMotorClientSession
"""What every write of a transaction is handed."""

Write = Callable[[Session], Awaitable[None]]
"""Further writes of a transaction."""


async def in_transaction(database: Database, work: Write) -> None:
    """Run `work` in a transaction. It runs again after a write conflict, so it must not act on anything else."""

    async def attempt(session: Any) -> None:
        await work(session)

    async with await database.client.start_session() as session:
        await session.with_transaction(attempt)
