"""Arrival estimates in a shard: passes the moments of log time, and lets out what they bring."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import NOWHERE_CLOSED, PROFILES, Ends, GreatCircles
from engine.eta.corrections import Finish
from engine.eta.driven import leg_of
from engine.eta.estimator import Estimator
from engine.eta.live import TICK_MS, Estimated
from engine.eta.plan import AHEAD, CONFIDENCES
from engine.eta.said import Said
from engine.eta.telling import (
    ToldEstimate,
    answer_of,
    factors_of,
    finish_of,
    imminent_event,
    late_risk_event,
    outcome_of,
    points_in_blocks,
    points_of,
)
from engine.log.read import POSITION_BITS, Entry
from engine.roads.barriers import holding
from engine.shards.effects import Effects
from engine.shards.events import EventKind
from engine.shards.memory import ShardMemory
from engine.shards.stops import StopKind
from engine.telemetry.metrics import (
    ETA_ESTIMATES,
    ETA_LEG_ERROR,
    ETA_LEGS,
    ETA_MARGIN,
    ETA_PROMISES,
    ETA_RESIDUAL,
    ETA_RISKS,
)
from models.eta.base_time import BASES
from models.eta.weather import WEATHER_COLUMNS
from models.messages.records import take_records

__all__ = ["ShardEstimates", "split_at_moments"]

_IN_THREAD = 60  # legs above which a prediction leaves the loop to others; on roads one takes 60 µs and more
_MOST_MOMENTS = 900  # of a pause; the moments before are those of a shard that was away
_STRAIGHT = GreatCircles()
_MOTION = frozenset({int(EventKind.STOP_ARRIVED), int(EventKind.STOP_LEFT)})


class ShardEstimates:
    """Estimates of one shard.

    Parameters
    ----------
    memory
        Holds the state of the estimates among the rest.
    estimator
        Says how long legs take.
    """

    def __init__(self, memory: ShardMemory, estimator: Estimator) -> None:
        self._memory, self.estimator = memory, estimator
        memory.etas.service = estimator.service_s
        self._finishes: list[Finish] = []
        self.estimated = 0
        """How many stops have been estimated."""

    def note(self, events: NDArray[np.void]) -> Effects:
        """Follow arrivals at stops and departures from them; return how what was said of them turned out."""
        effects = Effects()
        for event in events[np.isin(events["kind"], list(_MOTION))]:
            number = int(event["driver"])
            if event["kind"] == EventKind.STOP_ARRIVED:
                self._score(event, number, effects)
            self._memory.note_plan(number)
        return effects

    async def pass_to(self, upto: Mapping[int, int]) -> list[Effects]:
        """Pass all moments up to these instants of log time, by partition, and return what they bring."""
        await self._take_in()
        found = []
        passed = self._memory.etas.table.passed
        ends = {partition: at_ms // TICK_MS * TICK_MS for partition, at_ms in upto.items()}
        for partition, end in ends.items():
            passed[partition] = max(passed.get(partition, end), end - _MOST_MOMENTS * TICK_MS)
        while moments := self._next(ends):
            if effects := await self._pass(moments):
                found.append(effects)
            passed.update(moments)
        return found

    def answers(self, number: int) -> list[dict[str, Any]]:
        """Return the estimates of a driver's stops, in the order of making them."""
        return [
            answer_of(stop, whose[2], self.estimator.models.of(whose[0]).version, self._memory.etas.base.traffic_at_s)
            for stop in self._memory.etas.table.plans.get(number, ())
            if stop["promised"] and (whose := self._whose(stop)) is not None
        ]

    def answer(self, number: int, delivery: str) -> dict[str, Any] | None:
        """Return the estimate of a delivery's drop-off and what it is made of; None where there is none."""
        plan = self._memory.etas.table.plans.get(number, np.zeros(0, AHEAD))
        for place, stop in enumerate(plan):
            whose = self._whose(stop)
            if whose is None or whose[2] != delivery or stop["kind"] != StopKind.DROPOFF or not stop["promised"]:
                continue
            model = self.estimator.models.of(whose[0])
            factors = factors_of(plan[: place + 1])
            if (ahead := self._memory.etas.legs_of(number)) is not None:
                factors += self.estimator.reasons(whose[0], ahead, place + 1)
            traffic_at_s = self._memory.etas.base.traffic_at_s
            return answer_of(stop, delivery, model.version, traffic_at_s) | {"factors": factors}
        return None

    def what_if(self, tenant: str, columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """Return what the tenant's model says of legs that nobody drives, columns as in `models.eta.schema`."""
        legs = {name: np.asarray(column) for name, column in columns.items()}
        profile = np.full(len(legs["from_lat"]), PROFILES.index("van"), np.uint8)
        chosen = legs.pop("profile", profile).astype(np.uint8)
        ends = Ends.of(legs, chosen)
        moments_s = legs["moment_ms"] / 1000
        closures = self._memory.etas.closures.get(self._memory.tenant_index(tenant), ())
        held = holding(closures, float(moments_s.min()), float(moments_s.max()))
        around = {held: np.ones(len(chosen), np.bool_)} if held else NOWHERE_CLOSED
        base, straight = self._memory.etas.base.between(ends, barriers=around), GreatCircles().between(ends)
        known: dict[str, NDArray[Any]] = {
            "profile": chosen,
            "base_s": base.seconds,
            "base_m": base.metres,
            "base_of": base.source,
            "straight_s": straight.seconds,
            "straight_m": straight.metres,
        }
        weather = self._memory.etas.conditions.weather_at(ends.to_lat, ends.to_lon, moments_s)
        known |= dict(zip(WEATHER_COLUMNS, weather, strict=True))
        said, model, confidence = self.estimator.what_if(tenant, known | legs)
        said = np.where((base.seconds > 0)[:, None], said, 0.0)
        return {
            "seconds": said.tolist(),
            "metres": base.metres.tolist(),
            "bases": [BASES[source] for source in base.source.tolist()],
            "model": model,
            "confidence": CONFIDENCES[confidence],
        }

    def learn(self, finish: Finish) -> None:
        """Note a leg that some shard saw end: the next moments know of it."""
        self._finishes.append(finish)

    async def _take_in(self) -> None:
        """Learn from the legs that have ended, and show what follows from them."""
        if not self._finishes:
            return
        async with self.estimator.busy:
            finishes, self._finishes = self._finishes, []
            corrections = self.estimator.corrections
            for finish in finishes:
                corrections.observe(finish)
            self.estimator.paces.observe(finishes)
        for tenant, finish in {finish.tenant: finish for finish in finishes}.items():
            model = self.estimator.models.of(tenant).version
            standing = corrections.standing(model, tenant, finish.finished_ms + 1)
            ETA_RESIDUAL.labels(tenant).set(math.exp(standing["residual"]))
            for tail in ("low", "high"):
                ETA_MARGIN.labels(tenant, tail).set(standing[tail])

    def _next(self, ends: Mapping[int, int]) -> dict[int, int]:
        """Return the earliest moments that are not passed yet, those of one instant together."""
        passed = self._memory.etas.table.passed
        waiting = [passed[partition] for partition, end in ends.items() if passed[partition] < end]
        if not waiting:
            return {}
        at = min(waiting) + TICK_MS
        return {partition: at for partition, end in ends.items() if passed[partition] < at <= end}

    async def _pass(self, moments: Mapping[int, int]) -> Effects:
        etas = self._memory.etas
        due = etas.due(moments)
        if not due.size or (estimate := etas.prepare(due, moments)) is None:
            return Effects()

        # where no model reads what the roads say of it, the way of the crow will do
        driven = etas.base if self.estimator.models.read_driven else _STRAIGHT

        def ask() -> Said:
            said = self.estimator.say(estimate.ask(etas.base, etas.closures, etas.conditions, driven=driven))
            if (again := estimate.ask_again(said, etas.conditions)) is not None:
                rows, ahead = again
                said.put(rows, self.estimator.say(ahead))
            return said

        async with self.estimator.busy:
            # roads around closures may have to be made
            takes_long = len(estimate.wanted.places) > _IN_THREAD or etas.closures
            said = await asyncio.to_thread(ask) if takes_long else ask()
        return self._told(etas.commit(estimate, said), moments)

    def _told(self, estimated: Estimated, moments: Mapping[int, int]) -> Effects:
        ETA_ESTIMATES.inc(estimated.stops)
        self.estimated += estimated.stops
        effects, models = Effects(), self.estimator.models
        for stops, made in ((estimated.imminent, imminent_event), (estimated.late, late_risk_event)):
            for stop in stops:
                if (whose := self._whose(stop)) is not None:
                    effects.events.append(made(stop, *whose))
        traffic_at_s = self._memory.etas.base.traffic_at_s
        told: dict[tuple[int, str], list[tuple[int, str]]] = {}  # places among the stops, and their deliveries
        columns = (estimated.told[name].tolist() for name in ("delivery", "driver", "kind"))
        for place, (key, number, kind) in enumerate(zip(*columns, strict=True)):
            delivery, ref = self._memory.deliveries.get(key), self._memory.refs.get(number)
            if delivery is None or ref is None:
                continue
            model = models.of(delivery.tenant).version
            stop = estimated.told[place]
            effects.estimates.append(ToldEstimate(delivery.tenant, delivery.id, stop, model, traffic_at_s))
            if kind == StopKind.DROPOFF:  # nobody asks how the estimate of a pick-up changed
                told.setdefault((ref.partition, delivery.tenant), []).append((place, delivery.id))
        for (partition, tenant), theirs in told.items():
            places, deliveries = zip(*theirs, strict=True)
            points = points_of(take_records(estimated.told, np.array(places)), deliveries, models.of(tenant).version)
            effects.points.extend(points_in_blocks(points, tenant, partition, moments[partition]))
        return effects

    def _score(self, event: np.void, number: int, effects: Effects) -> None:
        """Note how what was said of a stop turned out, now that its driver is there."""
        stops = self._memory.state.stops.of(int(event["row"]))
        kinds = stops["kind"][stops["key"] == event["subject"]].tolist()
        key = int(event["value2"])
        if not kinds or (finished := self._memory.etas.finish(number, key, kinds[0])) is None:
            return
        if (whose := self._whose(finished.stop)) is None:
            return
        tenant, driver, delivery = whose
        arrived_ms = int(event["time"])
        if (leg := leg_of(finished, tenant, driver, delivery, arrived_ms)) is not None:
            effects.legs.append(leg)
        finish = finish_of(finished, tenant, driver, delivery, arrived_ms, self.estimator.models.versions)
        if finish is not None:
            effects.finishes.append(finish)
        if kinds[0] == StopKind.DROPOFF:
            model = self.estimator.models.of(tenant).version
            outcome = outcome_of(finished.stop, tenant, delivery, arrived_ms, model, finish)
            effects.outcomes.append(outcome)
            _count(outcome)

    def _whose(self, stop: np.void) -> tuple[str, str, str] | None:
        """Return tenant, driver and delivery of a stop; None if the delivery is gone."""
        delivery = self._memory.deliveries.get(int(stop["delivery"]))
        ref = self._memory.refs.get(int(stop["driver"]))
        return None if delivery is None or ref is None else (delivery.tenant, ref.id, delivery.id)


def _count(outcome: Mapping[str, Any]) -> None:
    """Show how a promise turned out, and the leg before it."""
    ETA_PROMISES.labels("early" if outcome["early"] else "late" if outcome["late"] else "inside").inc()
    if outcome["windowed"]:
        ETA_RISKS.labels(str(outcome["toldLate"]).lower(), str(outcome["missed"]).lower()).inc()
    for leg in outcome["legs"]:
        ETA_LEGS.labels(leg["model"], "inside" if leg["inside"] else "outside").inc()
        ETA_LEG_ERROR.labels(leg["model"]).observe(abs(leg["errorS"]))


def split_at_moments(entries: Mapping[int, Sequence[Entry]]) -> list[dict[int, list[Entry]]]:
    """Split a turn by the moments between its entries: nearly always one part."""
    parts: dict[int, dict[int, list[Entry]]] = {}
    for partition, items in entries.items():
        for entry in items:
            moment = (entry.position >> POSITION_BITS) // TICK_MS
            parts.setdefault(moment, {}).setdefault(partition, []).append(entry)
    return [parts[moment] for moment in sorted(parts)]
