"""Several writes to MongoDB, all or none."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.errors import PyMongoError

from models.store.connections import Database

__all__ = ["Session", "Write", "in_transaction"]

_COMMITS = 8
_PAUSE_S = 0.05

Session = AsyncIOMotorClientSession
"""What every write of a transaction is handed."""

Write = Callable[[Session], Awaitable[None]]
"""Further writes of a transaction."""


async def in_transaction(database: Database, work: Write) -> None:
    """Run `work` in a transaction. It runs again after a write conflict, so it must not act on anything else."""

    async def attempt(session: Any) -> None:
        await work(session)

    async with await database.client.start_session() as session:
        for left in reversed(range(_COMMITS)):
            try:
                await session.with_transaction(attempt)
            except PyMongoError as fault:
                # Motor commits while it leaves its block and looks at no fault there: what a commit refuses is ours
                if not left or not fault.has_error_label("TransientTransactionError"):
                    raise
                await asyncio.sleep(_PAUSE_S * random.random())  # noqa: S311 - parts two that met, no secret
            else:
                return
