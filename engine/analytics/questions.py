"""Answers from the books: sums over days, by period, by driver, by route.

A range of days is read as the buckets of its whole months and of the single days at its edges, so that a question
touches some tens of small documents for each driver or route, however many deliveries stand behind them.
"""

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from engine.analytics.days import Days, Grain, Period, covering, names_of_days, period_of, periods
from engine.analytics.follower import FOLLOWER
from engine.analytics.sums import add_to
from models.documents.analytics import Amounts, Book, Level
from models.documents.document import now
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.cursors import CursorRepository
from models.store.events import EventRepository
from models.store.scope import Scope

__all__ = ["FLEET", "FigureQuestions", "Reading", "Subject"]

_NOTHING: Amounts = {}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose figures are wanted."""

    level: Level
    key: str = ""


FLEET = Subject("fleet")
"""All of a tenant."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The book that a question is answered from."""

    book: Book
    as_of: datetime.datetime
    """Everything that was stored before is counted."""

    @property
    def today(self) -> datetime.date:
        """Return the tenant's local day."""
        return now().astimezone(ZoneInfo(self.book.zone)).date()


class FigureQuestions:
    """Reads the figures of one tenant."""

    def __init__(self, database: Database, scope: Scope) -> None:
        self._scope = scope
        self._books = BookRepository(database)
        self._cursors = CursorRepository(database)
        self._events = EventRepository(database)

    async def open(self) -> Reading:
        """Return the book to ask, and how much of what has happened it knows."""
        shelf, place, queued_since = await asyncio.gather(
            self._books.shelf(self._scope), self._cursors.get(FOLLOWER), self._events.queued_since()
        )
        waiting = await self._events.after(self._scope, place or 0, 1)
        known = [event.time for event in waiting] + ([queued_since] if queued_since is not None else [])
        return Reading(shelf.current, min([now(), *known]))

    async def total(self, book: Book, days: Days, subject: Subject = FLEET) -> Amounts:
        """Return the sum of some days."""
        return (await self._sums(book, days, subject.level, [subject.key])).get(subject.key, _NOTHING)

    async def by_period(
        self, book: Book, days: Days, grain: Grain, subject: Subject = FLEET
    ) -> list[tuple[Period, Amounts]]:
        """Return the sum of each period in order, also of those in which nothing happened."""
        ranges = covering(days) if grain == "month" else [names_of_days(days)]
        sums: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for first, last in ranges:
            async for key, amounts in self._books.buckets(self._scope, book, subject.level, [subject.key], first, last):
                add_to(sums[period_of(key.period, grain)], amounts)
        return [(period, sums.get(period.name, _NOTHING)) for period in periods(days, grain)]

    async def by_key(
        self, book: Book, days: Days, level: Literal["driver", "route"], *, after: str = "", limit: int
    ) -> list[tuple[str, Amounts]]:
        """Return the sums of the first drivers or routes behind `after` that have any in these days, by id."""
        ranges = covering(days)
        found = await asyncio.gather(
            *(self._books.keys(self._scope, book, level, *ends, after=after, limit=limit) for ends in ranges)
        )
        keys = sorted({key for some in found for key in some})[:limit]
        sums = await self._sums(book, days, level, keys)
        return [(key, sums.get(key, _NOTHING)) for key in keys]

    async def count_drivers(self, book: Book, days: Days) -> int:
        """Return how many drivers have figures in these days."""
        found = await asyncio.gather(
            *(self._books.all_keys(self._scope, book, "driver", *ends) for ends in covering(days))
        )
        return len(frozenset().union(*found))

    async def knows(self, book: Book, subject: Subject) -> bool:
        """Tell whether there are any figures of a driver or a route."""
        return await self._books.has_key(self._scope, book, subject.level, subject.key)

    async def _sums(self, book: Book, days: Days, level: Level, keys: Sequence[str]) -> Mapping[str, Amounts]:
        sums: defaultdict[str, dict[str, int]] = defaultdict(dict)
        if keys:
            for first, last in covering(days):
                async for key, amounts in self._books.buckets(self._scope, book, level, keys, first, last):
                    add_to(sums[key.key], amounts)
        return sums
