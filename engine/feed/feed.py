"""The feed at work: a sequencer that numbers events, and followers that take each numbered event exactly once.

A follower's writes and its place in the feed are one transaction, so a crash repeats nothing and skips nothing. One
host of all does this at a time, by a lease; were it two, the counter and the cursors would still let only one through.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from engine.feed.recent import RecentEvents
from engine.feed.sequencer import Herald, sequenced
from engine.leased import Leased
from engine.telemetry.metrics import FEED_LAG
from models.documents.event import Event
from models.store.connections import Database
from models.store.cursors import CursorRepository
from models.store.events import EventRepository
from models.store.transactions import Session, in_transaction

__all__ = ["Feed", "Follower"]

_READ_AT_ONCE = 1000
_TAKEN_AT_ONCE = 500
_NOTE_S = 1.0  # how often the place of a follower that makes nothing of what happens is written down
_SWEEP_S = 5.0  # how long a follower rests at most


class Follower(Protocol):
    """Makes something of events, in the order of the feed."""

    name: str
    """Under which its place is kept."""
    begins: Literal["oldest", "newest"]
    """Where a follower that has never run begins: with all that is kept, or with what happens from now on."""
    patience_s: float
    """How long events may gather where nobody waits for what it makes of them: many go together in one transaction."""

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return those of some events that it makes something of; without any, no transaction is needed."""

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Store what follows from sifted events of any tenants, in the transaction of `session` and nowhere else.

        The same events come again when the transaction has to be repeated, so nothing but `session` may remember them.
        """


@dataclass(slots=True)
class _Place:
    """How far a follower is."""

    seen: int
    """The last event that it has taken or left."""
    noted: int
    """What is written down, which a restart begins after."""
    noted_at: float = 0.0


class Feed(Leased):
    """Numbers events and lets followers take them.

    Parameters
    ----------
    database
        Holds the events.
    followers
        Who takes them.
    herald
        Who tells the rest of the engine of them before they get their numbers; without one they stay late.
    """

    def __init__(self, database: Database, followers: Sequence[Follower], herald: Herald | None = None) -> None:
        self._database = database
        self._herald = herald
        self._events = EventRepository(database)
        self._cursors = CursorRepository(database)
        self._recent = RecentEvents()
        self._read = {follower.name: asyncio.Event() for follower in followers}
        work = {"feed-sequence": self._sequence}
        work |= {f"feed-{follower.name}": functools.partial(self._follow, follower) for follower in followers}
        super().__init__(database, "feed", work)

    async def _sequence(self) -> None:
        """Have events numbered, and hand them to all followers that keep up without reading them again."""
        self._recent.begin(await self._events.newest())
        self._ring()  # for what was numbered before, which is read from the store
        async with contextlib.aclosing(sequenced(self._database, self._herald)) as batches:
            async for batch in batches:
                if batch.events is not None and batch.first == self._recent.last + 1:
                    self._recent.add(batch.events)
                    self._ring()
                else:  # somebody else numbers as well, or has just done so
                    await self._read_on()

    async def _read_on(self) -> None:
        while events := await self._events.following(self._recent.last, _READ_AT_ONCE):
            self._recent.add(events)
            self._ring()

    def _ring(self) -> None:
        for bell in self._read.values():
            bell.set()

    async def _follow(self, follower: Follower) -> None:
        bell = self._read[follower.name]
        begun = await self._begun(follower)
        place = _Place(begun, begun)
        while True:
            bell.clear()
            while events := await self._after(place.seen):
                await self._pass(follower, place, events)
            FEED_LAG.labels(follower.name).set(max(0, self._recent.last - place.seen))
            is_behind = place.noted < place.seen
            if not await _rung(bell, follower.patience_s, _NOTE_S if is_behind else _SWEEP_S) and is_behind:
                await self._note(follower, place)

    async def _begun(self, follower: Follower) -> int:
        if (place := await self._cursors.get(follower.name)) is not None:
            return place
        await self._cursors.begin(follower.name, await self._events.newest() if follower.begins == "newest" else 0)
        return await self._cursors.get(follower.name) or 0

    async def _after(self, number: int) -> Sequence[Event]:
        recent = self._recent.after(number, _TAKEN_AT_ONCE)
        return await self._events.following(number, _TAKEN_AT_ONCE) if recent is None else recent

    async def _pass(self, follower: Follower, place: _Place, events: Sequence[Event]) -> None:
        """Let a follower take what it makes something of, and go on behind all of them."""
        last = events[-1].number or place.seen
        wanted = await follower.sift(events)
        if wanted:

            async def taken(session: Session) -> None:
                await follower.take(wanted, session)
                await self._cursors.advance(follower.name, place.noted, last, session)

            await in_transaction(self._database, taken)
            place.seen = place.noted = last
            return
        place.seen = last
        if time.monotonic() - place.noted_at > _NOTE_S:
            await self._note(follower, place)

    async def _note(self, follower: Follower, place: _Place) -> None:
        await self._cursors.advance(follower.name, place.noted, place.seen)
        place.noted, place.noted_at = place.seen, time.monotonic()


async def _rung(bell: asyncio.Event, patience_s: float, within_s: float = _SWEEP_S) -> bool:
    """Wait for a bell, then let more come together, and tell whether it rang in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await bell.wait()
    await asyncio.sleep(patience_s)
    return bell.is_set()
