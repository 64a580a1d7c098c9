"""Keeps a tenant's figures: reads what is true now, and corrects the books by the difference.

Events only say that something changed; what is counted comes from the documents. So neither the order of events nor
their repetition matters, and a change that comes late finds its old buckets through its fact.
"""

import asyncio
import datetime
from collections.abc import Collection, Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.analytics.cells import cells_of_delivery, cells_of_trips, days_of_trips
from engine.analytics.days import day_starts_ms, local_day
from engine.analytics.sums import difference, spread
from models.documents.analytics import Book, Cells, DayOfDriver, DeliveryStory, TripSpan
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.scope import Scope
from models.store.stories import StoryRepository
from models.store.transactions import Session

__all__ = ["FigureKeeper", "Travelled", "facts_of_deliveries", "facts_of_trips"]

_NOTHING: Cells = {}


class Travelled(NamedTuple):
    """A driver's trips that began in this span may be others than before."""

    driver: str
    from_ms: int
    to_ms: int
    """Included."""


def facts_of_deliveries(stories: Iterable[DeliveryStory], zone: ZoneInfo) -> dict[str, Cells]:
    """Return what deliveries add to the figures, by subject; a tenth of a second for a thousand of them."""
    return {story.id: cells_of_delivery(story, zone) for story in stories}


def facts_of_trips(trips: Iterable[TripSpan], zone: ZoneInfo) -> dict[str, Cells]:
    """Return what trips add to the figures, by subject."""
    days = days_of_trips(trips, zone)
    return {_subject_of(day): cells_of_trips(day, driven, zone) for day, driven in days.items()}


class FigureKeeper:
    """Corrects the books of tenants."""

    def __init__(self, database: Database) -> None:
        self._books = BookRepository(database)
        self._stories = StoryRepository(database)

    async def refresh(
        self, scope: Scope, deliveries: Collection[str], travels: Collection[Travelled], session: Session
    ) -> None:
        """Bring all open books up to what these deliveries and trips are now, in the transaction of `session`."""
        shelf = await self._books.kept_shelf(scope, session)
        stories = await self._stories.of(scope, deliveries, session) if deliveries else []
        for book in shelf.open:
            zone = ZoneInfo(book.zone)
            facts = dict.fromkeys(deliveries, _NOTHING)  # a delivery that is gone adds nothing any more
            facts |= await asyncio.to_thread(facts_of_deliveries, stories, zone)
            for driver, first, last in sorted({_days_of(travel, zone) for travel in travels}):
                facts |= await self._driven(scope, book, driver, first, last, session)
            await self._correct(scope, book, facts, session)

    async def _driven(
        self, scope: Scope, book: Book, driver: str, first: str, last: str, session: Session
    ) -> dict[str, Cells]:
        """Return what a driver's days from `first` to `last` add, also those without a trip that had some before."""
        zone = ZoneInfo(book.zone)
        from_ms, to_ms = day_starts_ms(first, zone)[0], day_starts_ms(last, zone)[1]
        trips = await self._stories.trips(scope, driver, from_ms, to_ms, session)
        earliest, latest = (_subject_of(DayOfDriver(driver, day)) for day in (first, last))
        known = await self._books.subjects(scope, book, earliest, latest, session)
        return dict.fromkeys(known, _NOTHING) | facts_of_trips(trips, zone)

    async def _correct(self, scope: Scope, book: Book, facts: dict[str, Cells], session: Session) -> None:
        before = await self._books.facts(scope, book, facts, session)
        changes = {subject: difference(before.get(subject, {}), cells) for subject, cells in facts.items()}
        changed = {subject: facts[subject] for subject, change in changes.items() if change}
        await self._books.put_facts(scope, book, changed, session)
        await self._books.add(scope, book, spread(changes.values()), session)


def _days_of(travel: Travelled, zone: ZoneInfo) -> tuple[str, str, str]:
    first, last = (
        local_day(datetime.datetime.fromtimestamp(ms / 1000, tz=datetime.UTC), zone)
        for ms in (travel.from_ms, travel.to_ms)
    )
    return travel.driver, first, max(first, last)


def _subject_of(day: DayOfDriver) -> str:
    return f"{day.driver}/{day.day}"
