"""Days of the simulated city, replayed through a shard: its memory, its rules and its estimates, in simulated time.

Nothing here estimates anything. The shard is told what planners, drivers and phones of the city say, at the log time at
which they say it, and what it lets out is kept beside the truth.
"""

import asyncio
import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import BaseTimes
from engine.eta.corrections import Finish
from engine.eta.estimator import Estimator, Models
from engine.eta.predictor import Predictor
from engine.eta.refresh import Pacing
from engine.eta.swap import begin
from engine.log.read import POSITION_BITS, Block, FixBatch
from engine.registry import DriverRef
from engine.shards.effects import Effects
from engine.shards.estimates import ShardEstimates
from engine.shards.memory import ShardMemory
from models.documents.delivery import STOP_RADIUS_M
from models.messages.commands import DeliveryAssigned, DeliveryChanged, RoutePlanned, StopPlan
from models.messages.log import PartitionId
from pipelines.fleet.gps import Track
from pipelines.fleet.simulate import Leg

__all__ = ["TENANT", "CityReplay", "Said", "delivery_of", "driver_of"]

TENANT = "ten_city"
"""Whose the vans are."""
_STEP_MS = 5_000
_PRIORITIES = ("normal", "high", "urgent")
_PACING = Pacing(fresh_s=30.0, least_s=5.0)  # departures are estimated at once all the same; the rest is for speed


@dataclass(slots=True)
class Said:
    """What the shard let out over all days."""

    finishes: dict[str, Finish] = field(default_factory=dict)
    """Of the leg to each delivery."""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    late: dict[str, int] = field(default_factory=dict)
    """Delivery → epoch ms at which it was told to be at risk."""


class CityReplay:
    """One shard, and the city's vans as its drivers.

    Parameters
    ----------
    predictor
        The model that serves.
    base
        Who says how long ways are on free roads.
    vans
        How many there are.
    zone
        IANA time zone of the city.
    """

    def __init__(self, predictor: Predictor, base: BaseTimes, vans: int, zone: str) -> None:
        self._memory = ShardMemory()
        self._memory.etas.base, self._memory.etas.pacing = base, _PACING
        self._estimator = Estimator(self._memory.tenant_of, lambda _: zone, self._memory.driver_of)
        self._estimates = ShardEstimates(self._memory, self._estimator)
        self._memory.begin(0)
        refs = [DriverRef(van + 1, PartitionId(0), driver_of(van), TENANT, "van", "parcel") for van in range(vans)]
        self._memory.activate(refs, {})
        begin(self._estimator.corrections, predictor)
        self._estimator.paces.begin(predictor)
        self._estimator.models = Models(champion=predictor)
        self.said = Said()

    def drive(self, legs: Sequence[Leg], tracks: Mapping[int, Track]) -> Iterator[float]:
        """Replay a day; yields the share of it that is done now and then."""
        fixes, sent_ms = _sent_together(tracks)
        first_ms, last_ms = int(sent_ms[0]) // _STEP_MS * _STEP_MS, int(sent_ms[-1]) + _STEP_MS
        # a route is dispatched when its van has been heard of, at the depot
        heard = sorted((int(track.sent_ms[0]), van) for van, track in tracks.items())
        reports = sorted((tracks[leg.van].told_ms(leg.served_ms), delivery_of(leg), leg) for leg in legs)
        row = report = 0
        with asyncio.Runner() as runner:
            # `runner.run` would set a signal's handler for each step, and `signal` prints that with all it holds
            run = runner.get_loop().run_until_complete
            for now_ms in range(first_ms, last_ms, _STEP_MS):
                end = int(np.searchsorted(sent_ms, now_ms, side="right"))
                self._take(fixes[row:end], sent_ms[row:end])
                while heard and heard[0][0] <= now_ms:
                    _, van = heard.pop(0)
                    self._plan([leg for leg in legs if leg.van == van])
                while report < len(reports) and reports[report][0] <= now_ms:
                    self._change(reports[report][2], "delivered", assigned=True)
                    report += 1
                for effects in run(self._estimates.pass_to({0: now_ms})):
                    self._keep(effects)
                row = end
                if now_ms % 600_000 == 0:
                    yield (now_ms - first_ms) / (last_ms - first_ms)
        for _, _, leg in reports[report:]:
            self._change(leg, "delivered", assigned=True)
        yield 1.0

    def _plan(self, legs: Sequence[Leg]) -> None:
        """Give a van its deliveries and the order in which it makes them; the model knows how long stops take."""
        for leg in legs:
            stop = StopPlan("dropoff", leg.lat, leg.lon, STOP_RADIUS_M, leg.window_begins_ms, leg.window_ends_ms)
            self._memory.assign(
                DeliveryAssigned(
                    "evt",
                    TENANT,
                    leg.van + 1,
                    delivery_of(leg),
                    1,
                    "in_transit",
                    (stop,),
                    leg.weight_kg,
                    _PRIORITIES[leg.priority],
                )
            )
        van, departs_ms = legs[0].van, min(leg.departed_ms for leg in legs)
        order: tuple[tuple[str, Literal["pickup", "dropoff"]], ...] = tuple(
            (delivery_of(leg), "dropoff") for leg in legs
        )
        route = RoutePlanned("evt", TENANT, van + 1, f"rte_{van}_{legs[0].day}", 1, departs_ms, "van", order)
        self._memory.take_route(route)

    def _take(self, fixes: NDArray[np.void], sent_ms: NDArray[np.int64]) -> None:
        if not fixes.size:
            return
        positions = (sent_ms.astype(np.uint64) << np.uint64(POSITION_BITS)) + np.arange(fixes.size, dtype=np.uint64)
        step, _ = self._memory.apply(FixBatch(fixes, positions, sent_ms, (Block(PartitionId(0), 0, fixes.size),)))
        self._keep(self._estimates.note(step.events))

    def _change(self, leg: Leg, status: str, *, assigned: bool) -> None:
        message = DeliveryChanged("evt", TENANT, leg.van + 1, delivery_of(leg), 2, status, assigned)
        self._keep(self._estimates.note(self._memory.reported(message, 0)))
        self._memory.change(message)
        self._memory.note_plan(leg.van + 1)

    def _keep(self, effects: Effects) -> None:
        for finish in effects.finishes:
            self._estimates.learn(finish)
        # an arrival lets out its outcome and the finish of the leg to it together
        with_leg = (outcome["delivery"] for outcome in effects.outcomes if outcome["legs"])
        self.said.finishes |= zip(with_leg, (one for one in effects.finishes if one.said), strict=True)
        self.said.outcomes += effects.outcomes
        for event in effects.events:
            if event["type"] == "delivery.late_risk":
                self.said.late.setdefault(event["data"]["deliveryId"], _ms(event["time"]))


def driver_of(van: int) -> str:
    """Return the id of the driver of a van."""
    return f"drv_{van}"


def delivery_of(leg: Leg) -> str:
    """Return the id of the delivery of a leg."""
    return f"dlv_{leg.day}_{leg.van}_{leg.stop}"


def _sent_together(tracks: Mapping[int, Track]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the fixes of all vans in the order in which they were sent."""
    parts = []
    for van, track in tracks.items():
        fixes = track.fixes.copy()
        fixes["driver"] = van + 1
        parts.append(fixes)
    sent_ms = np.concatenate([track.sent_ms for track in tracks.values()])
    order = np.argsort(sent_ms, kind="stable")
    return np.concatenate(parts)[order], sent_ms[order]


def _ms(time: datetime.datetime) -> int:
    return round(time.timestamp() * 1000)
