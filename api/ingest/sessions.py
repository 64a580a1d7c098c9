"""What the door remembers of ingest streams, so that a client that was cut off knows what to send again.

A session counts frames: up to `accepted` they are in the log, up to `durable` in history. It lives in the memory of
its process, and at the end of a connection in Redis, where another process finds it. Forgetting one is harmless: the
client then sends again whatever it has kept.
"""

import asyncio
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.auth.principal import Principal
from models.ids import new_id

__all__ = ["Session", "Sessions"]

log = structlog.get_logger(__name__)

_KEEP_S = 24 * 3600
_MAX_REMEMBERED = 20_000
_MAX_UNDURABLE = 256  # past it every second mark goes: durable is then said a little later, in bounded memory
_AT_ONCE = 4  # a thousand streams that come or go together must not open a thousand connections to Redis
_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")


@dataclass(slots=True, eq=False)
class Session:
    """The frames of one stream, across its connections."""

    name: str
    key: str
    """Key in Redis; holds tenant and subject, so that nobody finds another's."""
    accepted: int = 0
    durable: int = 0
    undurable: "deque[tuple[int, int]]" = field(default_factory=deque)
    """Pairs of (commit, last frame in it) above the durable watermark, rising."""

    def note_accepted(self, frame: int, commit: int) -> None:
        """Take that frames up to `frame` were accepted, the last with `commit`."""
        self.accepted = max(self.accepted, frame)
        self.undurable.append((commit, frame))
        if len(self.undurable) >= _MAX_UNDURABLE:
            self.undurable = deque(list(self.undurable)[1::2])

    def advance(self, durable_commit: int) -> bool:
        """Take the durable watermark; tell whether more frames are durable now."""
        before = self.durable
        while self.undurable and self.undurable[0][0] <= durable_commit:
            self.durable = max(self.durable, self.undurable.popleft()[1])
        return self.durable > before

    def lose(self) -> None:
        """Take that the log may have lost what history does not hold: it has to be sent again."""
        self.undurable.clear()
        self.accepted = self.durable


class Sessions:
    """Sessions by name.

    Parameters
    ----------
    redis
        Keeps what connections leave behind.
    prefix
        First part of every key.
    """

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def open(self, principal: Principal, name: str | None) -> Session:
        """Return the caller's session of this name as it was left, or a new one."""
        known = name if name is not None and _NAME.match(name) else None
        name = known or new_id("ses")
        key = f"{self._prefix}:session:{principal.tenant}:{principal.subject}:{name}"
        session = self._sessions.get(key)
        if session is None:
            accepted, durable = await self._recall(key) if known else (0, 0)
            # another connection of the same name may have come in while Redis was asked
            session = self._sessions.setdefault(key, Session(name, key, accepted, durable))
        self._sessions.move_to_end(key)
        while len(self._sessions) > _MAX_REMEMBERED:
            self._sessions.popitem(last=False)
        return session

    async def leave(self, session: Session) -> None:
        """Write down where a session stands."""
        state = msgspec.msgpack.encode((session.accepted, session.durable))
        try:
            async with self._turns:
                await self._redis.set(session.key, state, ex=_KEEP_S)
        except (RedisError, OSError) as error:
            log.warning("session.forgotten", session=session.name, error=str(error))

    def lose(self) -> None:
        """Tell every session that the log's server has started anew."""
        for session in self._sessions.values():
            session.lose()

    async def _recall(self, key: str) -> tuple[int, int]:
        try:
            async with self._turns:
                state = await self._redis.get(key)
            # what was accepted may be gone from the log since; what was durable is not
            return msgspec.msgpack.decode(state, type=tuple[int, int]) if state is not None else (0, 0)
        except (RedisError, OSError, msgspec.DecodeError):
            return 0, 0
