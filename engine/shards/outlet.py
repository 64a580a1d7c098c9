"""The way out of a shard for effects: written, then told to watchers, in order, until it worked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from engine.eta.finishes import FinishStream
from engine.shards.effects import Effects, StopMoment
from engine.shards.publish import Publisher, live_channel, pack_estimates, pack_events
from engine.telemetry.metrics import EVENTS
from models.errors import OutriderError, TryLater
from models.store.etas import EtaRepository
from models.store.legs import LegRepository
from models.store.motion import MotionRepository

__all__ = ["EffectOutlet"]

log = structlog.get_logger(__name__)

_MOST_WAITING = 20_000  # events; above it the shard waits instead of growing
_MOST_AT_ONCE = 2_000
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0


class EffectOutlet:
    """A bounded queue of effects and the task that empties it."""

    def __init__(
        self,
        motion: MotionRepository,
        etas: EtaRepository,
        legs: LegRepository,
        finishes: FinishStream,
        on_stop: Callable[[StopMoment], Awaitable[None]],
        publisher: Publisher,
    ) -> None:
        self._motion, self._etas, self._legs, self._finishes = motion, etas, legs, finishes
        self._on_stop, self._publisher = on_stop, publisher
        self._waiting: deque[Effects] = deque()
        self._size = 0
        self._put = self._done = 0
        self._changed = asyncio.Condition()
        self._filled = asyncio.Event()

    @property
    def mark(self) -> int:
        """Return a mark for all that was put so far; `passed` waits until it is written."""
        return self._put

    def put(self, effects: Effects) -> None:
        """Queue the effects of a step."""
        if effects:
            self._waiting.append(effects)
            self._size += effects.size
            self._put += 1
            self._filled.set()

    async def room(self) -> None:
        """Wait while too much is queued."""
        if self._size > _MOST_WAITING:
            async with self._changed:
                await self._changed.wait_for(lambda: self._size <= _MOST_WAITING)

    async def passed(self, mark: int) -> None:
        """Wait until everything up to `mark` is written."""
        if self._done < mark:
            async with self._changed:
                await self._changed.wait_for(lambda: self._done >= mark)

    async def run(self) -> None:
        """Write for ever."""
        delay_s = _FIRST_RETRY_S
        while True:
            await self._filled.wait()
            joined, steps = self._joined()
            try:
                await self._write(joined)
            except (PyMongoError, RedisError, OSError, TryLater) as error:
                log.warning("effects.delayed", events=len(joined.events), error=str(error), delay_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(_LONGEST_RETRY_S, delay_s * 2)
                continue
            delay_s = _FIRST_RETRY_S
            await self._leave(steps)

    def _joined(self) -> tuple[Effects, int]:
        joined, steps = Effects(), 0
        for effects in self._waiting:
            if steps and joined.size + effects.size > _MOST_AT_ONCE:
                break
            steps += 1
            joined.extend(effects)
        return joined, steps

    async def _write(self, effects: Effects) -> None:
        await self._motion.save_trips(effects.trips)
        await self._motion.save_visits(effects.visits)
        await self._etas.save_points(effects.points)
        await self._etas.save_outcomes(effects.outcomes)
        await self._legs.save(effects.legs)
        await self._finishes.add(effects.finishes)
        await self._motion.add_events(effects.events)  # after what they tell of: whoever hears of a trip finds it
        for moment in effects.moments:
            await self._apply(moment)
        await self._tell(effects)

    async def _tell(self, effects: Effects) -> None:
        watched: dict[str, list[dict[str, object]]] = {}
        for event in effects.events:
            EVENTS.labels(event["type"]).inc()
            if self._publisher.is_watched(event["tenant"]):
                told = {"id": event["_id"], "type": event["type"], "aggregate": event["aggregate"]}
                told |= {"time": round(event["time"].timestamp() * 1000), "data": event["data"]}
                watched.setdefault(event["tenant"], []).append(told)
        estimated: dict[str, list[dict[str, object]]] = {}
        for estimate in effects.estimates:
            if self._publisher.is_watched(estimate.tenant):
                estimated.setdefault(estimate.tenant, []).append(estimate.answer)
        prefix = self._publisher.prefix
        messages = [(live_channel(prefix, tenant), pack_events(told)) for tenant, told in watched.items()]
        messages += [(live_channel(prefix, tenant), pack_estimates(told)) for tenant, told in estimated.items()]
        if messages:
            await self._publisher.send(messages)

    async def _apply(self, moment: StopMoment) -> None:
        try:
            await self._on_stop(moment)
        except TryLater:
            raise
        except OutriderError as error:  # somebody cancelled or finished it meanwhile: their word stands
            log.info("stop.ignored", delivery=moment.delivery, kind=moment.kind, error=str(error))

    async def _leave(self, steps: int) -> None:
        for _ in range(steps):
            self._size -= self._waiting.popleft().size
        self._done += steps
        if not self._waiting:
            self._filled.clear()
        async with self._changed:
            self._changed.notify_all()
