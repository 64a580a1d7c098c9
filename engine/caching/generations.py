"""Whether what is kept of MongoDB is still so: a random mark in Redis for each group of documents, the same to all.

Whoever changes a document of a group replaces the group's mark after the commit and before the answer goes out;
whoever reads asks for the mark after the question came in and takes only what was read under that very mark. So a
change is seen by every process's next request. The outbox relay replaces the marks once more, for writers that died
in between. A mark is random and no count, so that a Redis that has lost its data never comes back to an old one.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.store.kept import KeptGroup

__all__ = ["IDENTITIES", "Generations", "generations_of", "group_of"]

log = structlog.get_logger(__name__)

IDENTITIES = "identities"
"""The group of all users and keys: a key is looked up before its tenant is known."""

_IDENTITY_EVENTS = ("user.", "key.", "driver.deleted")  # a driver's device keys go with it
_GROUPS: Mapping[str, KeptGroup] = {
    "tenant": "tenant",
    "vehicle": "fleet",
    "depot": "fleet",
    "closure": "fleet",
    "geofence": "geofences",
    "webhook": "webhooks",
    "notification_rules": "rules",
}
"""First word of events → what they have changed."""
_NO_CHANGES = frozenset({"entered", "left", "crossed", "dwelled", "ping"})
"""Last word of events that only tell what somebody did, some of them many times a second."""
_WITHIN_S = 0.3
_AWAY_S = 1.0  # a Redis that did not answer is left alone for so long
_LIFE_S = 86_400  # a mark that has gone is made anew, and then nothing kept is good
_MARK_BYTES = 8


def group_of(kept: KeptGroup, tenant: str) -> str:
    """Return the name of what is kept of a tenant together."""
    return f"{kept}:{tenant}"


def generations_of(event: str, tenant: str) -> tuple[str, ...]:
    """Return the groups of documents that an event of this type has changed."""
    if event.startswith(_IDENTITY_EVENTS):
        return (IDENTITIES,)
    noun, _, change = event.partition(".")
    kept = _GROUPS.get(noun)
    return () if kept is None or change in _NO_CHANGES else (group_of(kept, tenant),)


@dataclass(slots=True)
class _Question:
    """Groups that requests ask for together."""

    groups: set[str] = field(default_factory=set)
    marks: dict[str, bytes] | None = None
    """Empty while Redis is away; none before it was asked."""
    answered: asyncio.Event | None = None
    """Set when whoever puts the question has done so, or was cancelled; none while nobody does."""


class Generations:
    """The marks.

    Parameters
    ----------
    redis
        Keeps them.
    prefix
        First part of their keys.
    """

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis, self._prefix = redis, f"{prefix}:generation:"
        self._asking = asyncio.Lock()
        self._next = _Question()
        self._owed: set[str] = set()
        self._away_until = 0.0

    async def current(self, group: str) -> bytes | None:
        """Return a group's mark as it was after this call began; None while Redis is away, when nothing kept is good.

        Calls that come while another question is out share the next one.
        """
        question = self._next
        question.groups.add(group)
        while question.marks is None:
            if question.answered is None:
                await self._put(question)
            else:
                await question.answered.wait()  # no lock: that would wake the waiting one by one
        return question.marks.get(group)

    async def renew(self, *groups: str) -> None:
        """Let every process read these groups anew.

        While Redis is away all of them do so anyway; this process asks it for nothing again before it is told.
        """
        self._owed.update(groups)
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._tell()
        except (RedisError, OSError, TimeoutError) as fault:
            log.warning("caching.unshared", error=str(fault))

    def add_renewal(self, pipeline: Any, groups: Iterable[str]) -> None:
        """Add the renewal of groups to a pipeline of Redis commands."""
        for group in groups:
            pipeline.set(self._prefix + group, secrets.token_bytes(_MARK_BYTES), ex=_LIFE_S)

    async def _put(self, question: _Question) -> None:
        """Put a question to Redis, after the one that is out."""
        answered = question.answered = asyncio.Event()
        try:
            async with self._asking:
                if self._next is question:  # whoever comes from now on needs a later answer
                    self._next = _Question()
                question.marks = await self._ask(sorted(question.groups))
        finally:
            question.answered = None
            answered.set()

    async def _tell(self) -> None:
        groups = frozenset(self._owed)
        pipeline = self._redis.pipeline(transaction=False)
        self.add_renewal(pipeline, groups)
        await pipeline.execute()
        self._owed -= groups

    async def _ask(self, groups: list[str]) -> dict[str, bytes]:
        if time.monotonic() < self._away_until:
            return {}
        try:
            async with asyncio.timeout(_WITHIN_S):
                if self._owed:
                    await self._tell()
                return await self._marks(groups)
        except (RedisError, OSError, TimeoutError) as fault:
            self._away_until = time.monotonic() + _AWAY_S
            log.warning("caching.unshared", error=str(fault))
            return {}

    async def _marks(self, groups: list[str]) -> dict[str, bytes]:
        keys = [self._prefix + group for group in groups]
        found = await self._redis.mget(keys)
        if None in found:
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.set(key, secrets.token_bytes(_MARK_BYTES), nx=True, ex=_LIFE_S)
            pipeline.mget(keys)
            found = (await pipeline.execute())[-1]
        return {group: mark for group, mark in zip(groups, found, strict=True) if mark is not None}
