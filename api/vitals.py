"""How every part that Outrider needs is: the questions behind `GET /health/detailed`.

A part is `ok`, `degraded` (it works, and somebody should look) or `down`. The whole is down when a part is down without
which nothing can be served, and degraded when any other is not well.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from api.services import Services
from engine.telemetry import metrics
from models.errors import OutriderError, TryLater
from models.store.backlog import BacklogRepository

__all__ = ["Status", "examine"]

Status = Literal["ok", "degraded", "down"]

VITAL = frozenset({"mongo", "redis"})
"""Parts whose end is the end of everything."""

_PATIENCE_S = 1.8  # the whole answer comes within two seconds
_SLOW_MS = 500.0
_LONG_OUTBOX = 5000
_LATE_S = 10.0
_FAR_BEHIND = 5000  # events that a follower has not taken
_LITTLE_DISK_BYTES, _NO_DISK_BYTES = 5 * 2**30, 2**29
_CIRCUITS = ("closed", "half-open", "open")

_Part = tuple[Status, dict[str, Any]]


async def examine(services: Services) -> tuple[Status, dict[str, dict[str, Any]]]:
    """Return how the whole is, and each part: its status, how long it took to answer, and what it says."""
    questions: Mapping[str, Callable[[Services], Awaitable[_Part]]] = {
        "mongo": _mongo,
        "redis": _redis,
        "shards": _shards,
        "log": _log,
        "events": _events,
        "tasks": _tasks,
        "disk": _disk,
        "providers": _providers,
    }
    answers = await asyncio.gather(*(_asked(ask, services) for ask in questions.values()))
    parts = dict(zip(questions, answers, strict=True))
    found = {name: part["status"] for name, part in parts.items()}
    if any(found[name] == "down" for name in VITAL):
        return "down", parts
    return ("ok" if set(found.values()) == {"ok"} else "degraded"), parts


async def _asked(ask: Callable[[Services], Awaitable[_Part]], services: Services) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            status, said = await ask(services)
    except (PyMongoError, RedisError, OutriderError, OSError, TimeoutError) as fault:
        return {"status": "down", "error": type(fault).__name__}
    took_ms = round((time.monotonic() - begun) * 1000, 1)
    if status == "ok" and took_ms > _SLOW_MS:
        status = "degraded"
    return {"status": status, "ms": took_ms, **said}


async def _mongo(services: Services) -> _Part:
    await services.database.command("ping")
    return "ok", {}


async def _redis(services: Services) -> _Part:
    answer: Any = services.redis.ping()  # redis types it for its blocking client too
    await answer
    return "ok", {}


async def _shards(services: Services) -> _Part:
    found = await services.engine.shard_statuses()
    wanted = services.settings.shards.count
    return ("ok" if len(found) >= wanted else "degraded" if found else "down"), {"wanted": wanted, "shards": found}


async def _log(services: Services) -> _Part:
    lag_s = services.appender.watermark.lag_s()
    said = {"lagS": round(lag_s, 3)}
    try:
        services.appender.check()
    except TryLater as refusal:
        return "down", {**said, "refuses": refusal.detail}
    return ("degraded" if lag_s > services.settings.log.lag_limit_s / 2 else "ok"), said


async def _events(services: Services) -> _Part:
    waits = await BacklogRepository(services.database).events()
    behind = max(waits.followers.values(), default=0)
    slow = waits.outbox > _LONG_OUTBOX or waits.unnumbered_s > _LATE_S or behind > _FAR_BEHIND
    said = {"outbox": waits.outbox, "unnumberedS": round(waits.unnumbered_s, 3), "followers": dict(waits.followers)}
    return ("degraded" if slow else "ok"), said


async def _tasks(services: Services) -> _Part:
    waits = await BacklogRepository(services.database).tasks()
    said = {"waiting": waits.waiting, "overdue": waits.overdue, "deadLetters": waits.dead_letters}
    return ("degraded" if waits.overdue else "ok"), said


async def _disk(services: Services) -> _Part:
    folder = services.settings.var.resolve()
    free = (await asyncio.to_thread(shutil.disk_usage, folder if folder.exists() else folder.anchor)).free
    status: Status = "down" if free < _NO_DISK_BYTES else "degraded" if free < _LITTLE_DISK_BYTES else "ok"
    return status, {"freeBytes": free}


async def _providers(_: Services) -> _Part:
    found = await asyncio.to_thread(metrics.circuits)
    circuits = {name: _CIRCUITS[state] for name, state in sorted(found.items())}
    return ("degraded" if "open" in circuits.values() else "ok"), {"circuits": circuits}
