"""Keeps a tenant's figures: reads what is true now, and corrects the books by the difference.

Events only say that something changed; what is counted comes from the documents. So neither the order of events nor
their repetition matters, and a change that comes late finds its old buckets through its fact.
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.analytics.cells import cells_of_delivery, cells_of_trips, days_of_trips
from engine.analytics.days import day_starts_ms, days_between
from engine.analytics.sums import difference, spread
from models.documents.analytics import Book, Cells, DayOfDriver, DeliveryStory, TripSpan
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.scope import Scope
from models.store.stories import StoryRepository
from models.store.transactions import Session

__all__ = ["FigureKeeper", "Travelled", "facts_of_deliveries", "facts_of_trips"]


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
        shelf = await self._books.shelf(scope, session)
        await self._books.keep(scope, shelf, session)
        stories = await self._stories.of(scope, deliveries, session) if deliveries else []
        for book in shelf.open:
            zone = ZoneInfo(book.zone)
            nothing: Cells = {}
            facts = dict.fromkeys(deliveries, nothing)  # a delivery that is gone adds nothing any more
            facts |= await asyncio.to_thread(facts_of_deliveries, stories, zone)
            facts |= await self._days(scope, travels, zone, session)
            await self._correct(scope, book, facts, session)

    async def _days(
        self, scope: Scope, travels: Collection[Travelled], zone: ZoneInfo, session: Session
    ) -> dict[str, Cells]:
        days = {
            DayOfDriver(travel.driver, day)
            for travel in travels
            for day in days_between(travel.from_ms, travel.to_ms, zone)
        }
        facts: dict[str, Cells] = {}
        for day in sorted(days):
            trips = await self._stories.trips(scope, day.driver, *day_starts_ms(day.day, zone), session)
            facts[_subject_of(day)] = cells_of_trips(day, trips, zone)
        return facts

    async def _correct(self, scope: Scope, book: Book, facts: dict[str, Cells], session: Session) -> None:
        before = await self._books.facts(scope, book, facts, session)
        changes = {subject: difference(before.get(subject, {}), cells) for subject, cells in facts.items()}
        changed = {subject: facts[subject] for subject, change in changes.items() if change}
        await self._books.put_facts(scope, book, changed, session)
        await self._books.add(scope, book, spread(changes.values()), session)


def _subject_of(day: DayOfDriver) -> str:
    return f"{day.driver}/{day.day}"
