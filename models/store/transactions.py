"""Several writes to MongoDB, all or none."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from models.store.connections import Database
from models.store.together import THREADS, on_thread

__all__ = ["Session", "Write", "in_one_go", "in_transaction"]

_COMMITS = 8
_PAUSE_S = 0.05

Session = AsyncIOMotorClientSession
"""What every write of a transaction is handed."""

Write = Callable[[Session], Awaitable[None]]
"""Further writes of a transaction."""

PreparedWrites = Callable[[ClientSession], None]
"""Writes of which everything is decided: they need the session only, and block (`Database.blocking`)."""


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


async def in_one_go(database: Database, work: PreparedWrites) -> None:
    """Run prepared writes in a transaction, as `in_transaction` does.

    Motor goes to a thread and back for each command; here one thread does them all, for a good part of the cost.
    """

    def run() -> None:
        with database.client.delegate.start_session() as session:
            session.with_transaction(work)

    await on_thread(THREADS, run)
