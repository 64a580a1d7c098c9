"""What a shard answers to questions about its drivers: bytes of packed records, from memory, at once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.shards.shard import Shard
from models.geo import distances_m
from models.messages.records import take_records

__all__ = ["ShardAnswers"]


class ShardAnswers:
    """The questions that may be put to a shard, by name, whichever way they come in."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._methods: dict[str, Callable[..., Any]] = {
            "status": shard.status,
            "live": self._live,
            "watch": shard.watch,
            "nearest": self._nearest,
            "waiting": self._waiting,
            "stops": shard.memory.open_stops,
            "etas": shard.estimates.answers,
            "eta": shard.estimates.answer,
            "what_if": shard.estimates.what_if,
        }

    def answer(self, method: str, *arguments: Any) -> Any:
        """Answer one question.

        - `status()`: how the shard is
        - `live(numbers)`: `LIVE` records of those drivers that it holds
        - `watch(tenant, ttl_s)`: publishes a tenant's changes for `ttl_s`; life, message number, `LIVE` records
        - `nearest(tenant, latitude, longitude, limit)`: `LIVE` records of the tenant's drivers, nearest first
        - `waiting(number, from_ms, to_ms)`: a driver's `STORED` records that history lacks; `since_written_s`
        - `stops(number)`: a driver's open stops
        - `etas(number)`: the estimates of a driver's stops; `eta(number, delivery)`: that of one drop-off, explained
        - `what_if(tenant, columns)`: quantiles of legs that nobody drives

        Raises
        ------
        ValueError
            If there is no such question.
        """
        method_of = self._methods.get(method)
        if method_of is None:
            raise ValueError(f"a shard knows no question {method!r}")
        return method_of(*arguments)

    def _live(self, numbers: list[int]) -> bytes:
        return self._shard.live(np.array(numbers, np.uint32)).tobytes()

    def _nearest(self, tenant: str, latitude: float, longitude: float, limit: int) -> bytes:
        memory = self._shard.memory
        rows = memory.rows_of_tenant(tenant)
        records = memory.state.drivers.records[rows]
        away_m = distances_m(records["lat"], records["lon"], latitude, longitude)
        return memory.state.drivers.live(rows[np.argsort(away_m, kind="stable")[:limit]]).tobytes()

    def _waiting(self, number: int, from_ms: int, to_ms: int) -> tuple[bytes, float]:
        memory = self._shard.memory
        ref = memory.refs.get(number)
        waiting = memory.history.of_driver(-1 if ref is None else ref.partition, number)
        inside = (waiting.stored["time"] >= from_ms) & (waiting.stored["time"] <= to_ms)
        return take_records(waiting.stored, inside).tobytes(), waiting.since_written_s
