"""The feed at work: a sequencer that numbers events, and followers that take each numbered event exactly once.

A follower's writes and its place in the feed are one transaction, so a crash repeats nothing and skips nothing. One
host of all does this at a time, by a lease; were it two, the counter and the cursors would still let only one through.
"""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from typing import Literal, Protocol

from engine.leased import Leased
from engine.telemetry.metrics import FEED_LAG, FEED_NUMBERED
from models.documents.event import Event
from models.store.connections import Database
from models.store.cursors import CursorRepository
from models.store.events import EventRepository
from models.store.transactions import Session, in_transaction

__all__ = ["Feed", "Follower"]

_NUMBERED_AT_ONCE = 1000
_TAKEN_AT_ONCE = 500
_GATHER_S = 0.02  # what is stored within a blink goes together: ten times fewer transactions when much happens
_SWEEP_S = 5.0  # finds what a change stream missed; normally nothing


class Follower(Protocol):
    """Makes something of events, in the order of the feed."""

    name: str
    """Under which its place is kept."""
    begins: Literal["oldest", "newest"]
    """Where a follower that has never run begins: with all that is kept, or with what happens from now on."""

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Store what follows from some events of any tenants, in the transaction of `session` and nowhere else.

        The same events come again when the transaction has to be repeated, so nothing but `session` may remember them.
        """


class Feed(Leased):
    """Numbers events and lets followers take them."""

    def __init__(self, database: Database, followers: Sequence[Follower]) -> None:
        self._database = database
        self._events = EventRepository(database)
        self._cursors = CursorRepository(database)
        self._stored = asyncio.Event()
        self._numbered = {follower.name: asyncio.Event() for follower in followers}
        work = {"feed-listen": self._listen, "feed-number": self._number}
        work |= {f"feed-{follower.name}": functools.partial(self._follow, follower) for follower in followers}
        super().__init__(database, "feed", work)

    async def _listen(self) -> None:
        async for _ in self._events.arrivals():
            self._stored.set()

    async def _number(self) -> None:
        while True:
            self._stored.clear()
            while numbered := await self._events.number(_NUMBERED_AT_ONCE):
                FEED_NUMBERED.inc(numbered)
                for bell in self._numbered.values():
                    bell.set()
            await _rung(self._stored)

    async def _follow(self, follower: Follower) -> None:
        bell = self._numbered[follower.name]
        place = await self._begun(follower)
        while True:
            bell.clear()
            while events := await self._events.following(place, _TAKEN_AT_ONCE):
                place = await self._take(follower, place, events)
                FEED_LAG.labels(follower.name).set(await self._events.newest() - place)
            await _rung(bell)

    async def _begun(self, follower: Follower) -> int:
        if (place := await self._cursors.get(follower.name)) is not None:
            return place
        await self._cursors.begin(follower.name, await self._events.newest() if follower.begins == "newest" else 0)
        return await self._cursors.get(follower.name) or 0

    async def _take(self, follower: Follower, place: int, events: Sequence[Event]) -> int:
        last = events[-1].number or place

        async def taken(session: Session) -> None:
            await follower.take(events, session)
            await self._cursors.advance(follower.name, place, last, session)

        await in_transaction(self._database, taken)
        return last


async def _rung(bell: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SWEEP_S):
            await bell.wait()
    await asyncio.sleep(_GATHER_S)
