"""Makes all figures of a tenant anew, from its deliveries and trips, while events go on.

A rebuild fills a new book. Events go into it as well from its first moment, and a fact is inserted only where no event
was faster, so each delivery is counted once and as it is now. Buckets are sums, and sums take additions in any order.
The last step makes the new book the current one; a rebuild that dies leaves the old one as it was.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.analytics.keeper import facts_of_deliveries, facts_of_trips
from engine.analytics.sums import add_to, spread
from models.documents.analytics import Book, BucketKey, Cells
from models.errors import Conflict
from models.ids import new_id
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.leases import Lease
from models.store.scope import Scope
from models.store.stories import StoryRepository

__all__ = ["FigureRebuild", "Progress"]

_LEASE_S = 60.0
_MOST_SUMS = 5_000  # waiting to be written, a kilobyte each


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come."""

    deliveries: int
    of: int
    """Deliveries at its beginning."""


class FigureRebuild:
    """Rebuilds one tenant's figures, driver by driver, so that nearly every bucket is written once."""

    def __init__(self, database: Database, scope: Scope) -> None:
        self._scope = scope
        self._books = BookRepository(database)
        self._stories = StoryRepository(database)
        self._lease = Lease(database, f"analytics-rebuild/{scope.tenant}", new_id("rbd"), _LEASE_S)
        self._sums: dict[BucketKey, dict[str, int]] = {}

    async def run(self, told: Callable[[Progress], None] = lambda _: None) -> None:
        """Rebuild, in the tenant's time zone of now.

        Raises
        ------
        Conflict
            If another rebuild of this tenant is at work.
        """
        await self._hold()
        try:
            book = await self._books.begin(self._scope, await self._books.zone(self._scope))
            try:
                await self._write(book, told)
            except BaseException:
                await self._books.give_up(self._scope, book)
                raise
            await self._books.finish(self._scope, book)
        finally:
            await self._lease.release()

    async def _write(self, book: Book, told: Callable[[Progress], None]) -> None:
        zone, done, count = ZoneInfo(book.zone), 0, await self._stories.count(self._scope)
        for driver in await self._stories.drivers(self._scope):
            async for stories in self._stories.of_driver(self._scope, driver):
                await self._take(book, await asyncio.to_thread(facts_of_deliveries, stories, zone))
                done += len(stories)
                told(Progress(done, count))
            if driver is not None:
                trips = await self._stories.trips(self._scope, driver)
                await self._take(book, await asyncio.to_thread(facts_of_trips, trips, zone))
            await self._flush(book, at_least=_MOST_SUMS)
        await self._flush(book)

    async def _hold(self) -> None:
        if not await self._lease.acquire():
            raise Conflict(f"another rebuild of {self._scope.tenant}'s figures is at work")

    async def _take(self, book: Book, facts: Mapping[str, Cells]) -> None:
        if not facts:
            return
        await self._hold()
        fresh = await self._books.insert_facts(self._scope, book, facts)
        for key, amounts in spread(facts[subject] for subject in fresh).items():
            add_to(self._sums.setdefault(key, {}), amounts)

    async def _flush(self, book: Book, *, at_least: int = 0) -> None:
        """Write the sums, if they are many: those of the fleet are met again with every driver."""
        if len(self._sums) >= at_least:
            await self._books.put_sums(self._scope, book, self._sums)
            self._sums = {}
