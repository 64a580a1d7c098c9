"""Makes all figures of a tenant anew, from its deliveries and trips, while events go on.

A rebuild fills a new book. Events go into it as well from its first moment, and a fact is inserted only where no event
was faster, so each delivery is counted once and as it is now. Buckets are sums, and sums take additions in any order.
The last step makes the new book the current one; a rebuild that dies leaves the old one as it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.analytics.cells import cells_of_delivery, cells_of_trips, days_of_trips
from engine.analytics.keeper import subject_of
from engine.analytics.sums import spread
from models.documents.analytics import Amounts, Book, BucketKey, Cells, TripSpan
from models.errors import Conflict
from models.ids import new_id
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.leases import Lease
from models.store.scope import Scope
from models.store.stories import StoryRepository

__all__ = ["FigureRebuild", "Progress"]

_LEASE_S = 60.0
_MOST_BUCKETS = 20_000  # of half a kilobyte in memory; deliveries come by age, so few buckets are met again
_TRIPS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come."""

    deliveries: int
    of: int
    """Deliveries at its beginning."""


class FigureRebuild:
    """Rebuilds one tenant's figures."""

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
            await self._take_deliveries(book, told)
            await self._take_trips(book)
            await self._flush(book)
            await self._books.finish(self._scope, book)
        finally:
            await self._lease.release()

    async def _hold(self) -> None:
        if not await self._lease.acquire():
            raise Conflict(f"another rebuild of {self._scope.tenant}'s figures is at work")

    async def _take_deliveries(self, book: Book, told: Callable[[Progress], None]) -> None:
        zone, done, count = ZoneInfo(book.zone), 0, await self._stories.count(self._scope)
        async for stories in self._stories.all(self._scope):
            await self._take(book, {story.id: cells_of_delivery(story, zone) for story in stories})
            done += len(stories)
            told(Progress(done, count))

    async def _take_trips(self, book: Book) -> None:
        waiting: list[TripSpan] = []
        async for trip in self._stories.all_trips(self._scope):
            if len(waiting) >= _TRIPS_AT_ONCE and trip.driver != waiting[-1].driver:
                await self._take_days(book, waiting)
                waiting = []
            waiting.append(trip)
        await self._take_days(book, waiting)

    async def _take_days(self, book: Book, trips: list[TripSpan]) -> None:
        zone = ZoneInfo(book.zone)
        days = days_of_trips(trips, zone).items()
        await self._take(book, {subject_of(day): cells_of_trips(day, trips, zone) for day, trips in days})

    async def _take(self, book: Book, facts: Mapping[str, Cells]) -> None:
        if not facts:
            return
        await self._hold()
        fresh = await self._books.insert_facts(self._scope, book, facts)
        for key, amounts in spread(facts[subject] for subject in fresh).items():
            self._add(key, amounts)
        if len(self._sums) > _MOST_BUCKETS:
            await self._flush(book)

    def _add(self, key: BucketKey, amounts: Amounts) -> None:
        sums = self._sums.setdefault(key, {})
        for name, amount in amounts.items():
            sums[name] = sums.get(name, 0) + amount

    async def _flush(self, book: Book) -> None:
        await self._books.add(self._scope, book, self._sums)
        self._sums = {}
