"""How often callers may ask: counted in this process at once, and together with the other processes twice a second.

A count that stays small in this process is never shared, so most callers cost Redis nothing and every request costs a
dictionary look-up. Each process may so overlook a fiftieth of a budget in each of the others, and half a second of a
burst. While Redis is away, each process counts by itself.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.auth.principal import Principal
from engine.settings import LimitSettings
from models.errors import RateLimited
from models.store.accounts import AccountRepository
from models.store.connections import Database

__all__ = ["RateLimits", "is_counted", "network_of"]

log = structlog.get_logger(__name__)

_WINDOW_S = 10.0  # a burst may take ten seconds' budget at once
_SHARE_EVERY_S = 0.5
_SHARE_WITHIN_S = 2.0
_SHARED_PART = 0.02  # of a budget: what this process has counted and not yet told the others
_MAX_CALLERS = 100_000  # 20 MB; more in one window is an attack, and counting starts anew
_MAX_LOOKED_UP = 1000
_COUNTED = "/api/v1/"
_FREE = ("/api/v1/pings", "/api/v1/devices/", "/api/v1/health")  # positions have the 503 of the ingest log


@dataclass(slots=True)
class _Tally:
    """Requests of one caller."""

    window: int
    budget: float
    """Of a window."""
    before: int = 0
    """In the window before, of all processes as far as known."""
    told: int = 0
    """In this window, of all processes as far as known."""
    fresh: int = 0
    """In this window and process, not yet told to the others."""


def is_counted(path: str) -> bool:
    """Tell whether requests for a path count: those of the REST API that neither send positions nor ask for health."""
    return path.startswith(_COUNTED) and not path.startswith(_FREE)


class RateLimits:
    """Counts requests of users, keys, companies and addresses over a sliding window.

    Parameters
    ----------
    settings
        Budgets.
    redis, prefix
        Where processes add up their counts, and the first part of the keys.
    database
        Holds what companies have chosen.
    clock
        Seconds, the same in all processes.
    """

    def __init__(
        self,
        settings: LimitSettings,
        redis: "Redis",
        prefix: str,
        database: Database,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._prefix = f"{prefix}:rate:"
        self._accounts = AccountRepository(database)
        self._clock = clock
        self._tallies: dict[str, _Tally] = {}
        self._chosen: dict[str, int | None] = {}
        self._window = 0

    def take_address(self, address: str) -> None:
        """Count a request from an address.

        Raises
        ------
        RateLimited
            If that was too many.
        """
        self._take("a:" + address, self._settings.address_per_s)

    def take_caller(self, principal: Principal) -> None:
        """Count a request of a user or key, and of its company; raises as `take_address`."""
        settings = self._settings
        self._take(principal.subject, settings.caller_per_s)
        chosen = self._chosen.get(principal.tenant)
        per_s = settings.company_per_s if chosen is None else min(chosen, settings.company_most_per_s)
        self._take(principal.tenant, per_s)

    async def run(self) -> None:
        """Share counts until cancelled."""
        while True:
            await asyncio.sleep(_SHARE_EVERY_S)
            try:
                async with asyncio.timeout(_SHARE_WITHIN_S):
                    await self.share()
            except (RedisError, PyMongoError, OSError, TimeoutError) as fault:
                log.debug("limits.unshared", error=str(fault))

    async def share(self) -> None:
        """Tell the other processes what was counted here, and learn what they have counted."""
        window = int(self._clock() / _WINDOW_S)
        if window != self._window:
            self._window = window
            self._tallies = {key: tally for key, tally in self._tallies.items() if tally.window >= window - 1}
            await self._look_up()
        waiting = [
            (key, tally, tally.fresh)
            for key, tally in self._tallies.items()
            if tally.window == window and tally.fresh > tally.budget * _SHARED_PART
        ]
        if not waiting:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for key, _, fresh in waiting:
            name = f"{self._prefix}{window}:{key}"
            pipeline.incrby(name, fresh)
            pipeline.expire(name, int(3 * _WINDOW_S))
        totals = (await pipeline.execute())[::2]
        for (_, tally, fresh), total in zip(waiting, totals, strict=True):
            if tally.window == window:
                tally.told = total
                tally.fresh -= fresh

    async def _look_up(self) -> None:
        """Read what the companies that ask have chosen."""
        tenants = [key for key in self._tallies if key.startswith("ten_")][:_MAX_LOOKED_UP]
        self._chosen = dict(await self._accounts.request_budgets(tenants)) if tenants else {}

    def _take(self, key: str, per_s: float) -> None:
        now = self._clock() / _WINDOW_S
        window = int(now)
        tally = self._tallies.get(key)
        if tally is None or tally.window != window:
            tally = self._turn(key, tally, window)
        tally.budget = budget = per_s * _WINDOW_S
        present = tally.told + tally.fresh
        faded = tally.before * (1.0 - (now - window))
        if present + faded >= budget:
            raise RateLimited("too many requests", _wait_s(tally, present, window + 1 - now))
        tally.fresh += 1

    def _turn(self, key: str, last: _Tally | None, window: int) -> _Tally:
        if len(self._tallies) >= _MAX_CALLERS:
            self._tallies.clear()
        before = last.told + last.fresh if last is not None and last.window == window - 1 else 0
        self._tallies[key] = tally = _Tally(window, 0.0, before)
        return tally


def network_of(scope: Mapping[str, object]) -> str:
    """Return the address that a request comes from; of IPv6 the network, because a subscriber has a whole one."""
    client = scope.get("client")
    host = str(client[0]) if isinstance(client, tuple | list) and client else "unknown"
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def _wait_s(tally: _Tally, present: int, left: float) -> float:
    """Return after how many seconds the next request fits: when enough of a window has faded."""
    if present >= tally.budget:
        return (left + max(0.0, 1.0 - tally.budget / max(present, 1))) * _WINDOW_S
    return max(0.0, left - (tally.budget - present) / tally.before) * _WINDOW_S
