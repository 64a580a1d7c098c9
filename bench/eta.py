"""What live estimates cost: rows a second by batch, and a shard that keeps a fleet fresh beside its pings.

The fleet is in one process, without stores: drivers on straight ways, a ping every five seconds of log time, each
with one delivery ahead. Log time is as fast as the processor; a share of a core is processor seconds ÷ log seconds.
Every figure of the shard is with a bundle of the usual size (three models, 300 trees of 31 leaves, what is known of
drivers and places, times at the door) or one of yours; those on roads with ways in Porto, each driver's to its stop
and, for a model that learnt from drives under way, from where it set out. Products of matrices have one thread, as in
an actor of Ray: a second one would wait for the first, and its waiting counts as processor time.
"""

import asyncio
import functools
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.eta_bundle import COMPANY, a_bundle, driver_of, some_legs
from bench.report import console, heading
from engine.eta.bases import ROADS, RoadBases
from engine.eta.bundles import BundlePredictor, load_predictor
from engine.eta.estimator import Estimator, Models
from engine.eta.swap import begin
from engine.log.read import Block, FixBatch
from engine.registry import DriverRef
from engine.roads.network import RoadNetwork
from engine.shards.estimates import ShardEstimates
from engine.shards.memory import ShardMemory
from models.eta.accelerator import compile_bundle
from models.eta.base_time import BASES
from models.eta.bundle import save_bundle
from models.geo import METRES_PER_DEGREE
from models.messages.commands import DeliveryAssigned, StopPlan
from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE
from models.messages.log import PartitionId

__all__ = ["measure_eta"]

_START_MS = 1_750_000_000_000
_PING_S = 5
_BATCHES = (1, 100, 10_000)
_PARTITIONS = 64
_SPEED_MPS = 8.0
_DEGREES_PER_M = 1 / METRES_PER_DEGREE
_LEAST_S = 0.5
_WARM_UP_S = 12  # everybody has been estimated once then, and the rules are compiled


def measure_eta(*, drivers: int, seconds: int, bundle: Path | None, network: Path) -> dict[str, Any]:
    """Return the figures of one run.

    Parameters
    ----------
    drivers
        Moving drivers, each with a delivery.
    seconds
        Log time of the run.
    bundle
        Folder of a bundle; None trains one of the usual size.
    network
        Road network of Porto, for base times by roads; where it is not there, that run is left out.
    """
    began = time.perf_counter()
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="outrider-eta-") as folder:
        place = bundle or Path(folder) / "usual"
        if bundle is None:
            console.print("training a bundle of the usual size")
            save_bundle(a_bundle(), place)
        plain = BundlePredictor("plain", load_predictor("plain", place).bundle)
        figures: dict[str, Any] = {"rows_per_s": _rows_per_s(plain)}
        figures |= _figures(asyncio.run(_Fleet(drivers, plain).drive(seconds)), drivers, seconds)
        base = RoadBases(RoadNetwork.load(network)) if network.is_file() else None
        if base is not None:
            figures |= _on_roads(drivers, seconds, plain, base, "roads")
        if bundle is None and compile_bundle(place):
            fast = load_predictor("compiled", place)
            figures["rows_per_s_compiled"] = _rows_per_s(fast)
            with_fast = asyncio.run(_Fleet(drivers, fast).drive(seconds))
            figures["core_share_at_20k_compiled"] = with_fast.estimating_s / seconds * 20_000 / drivers
            if base is not None:
                figures |= _on_roads(drivers, seconds, fast, base, "roads_compiled")
        figures["swap_ms"] = _swap_ms(place)
    return heading("eta", seconds=round(time.perf_counter() - began, 1), repeats=1) | figures


def _figures(found: "_Run", drivers: int, seconds: int) -> dict[str, Any]:
    return {
        "drivers": drivers,
        "updates": found.updates,
        "updates_per_s": found.updates / found.estimating_s,
        "oldest_s": found.oldest_s,
        "core_share_at_20k": found.estimating_s / seconds * 20_000 / drivers,
        "pings_per_cpu_s": found.pings / found.applying_s,
    }


def _on_roads(drivers: int, seconds: int, predictor: BundlePredictor, base: RoadBases, name: str) -> dict[str, Any]:
    """Return what a fleet on roads takes, with a model that reads their times, and one that reads those under way."""
    bundle = replace(predictor.bundle, metadata={**predictor.bundle.metadata, "base": BASES[ROADS]})
    figures: dict[str, Any] = {}
    for key in (name, f"{name}_en_route"):
        model = BundlePredictor(predictor.version, bundle)
        model.reads_driven |= key != name
        fleet = _Fleet(drivers, model, base)
        run = asyncio.run(fleet.drive(seconds))
        figures[f"core_share_at_20k_{key}"] = run.estimating_s / seconds * 20_000 / drivers
        figures["share_on_roads"] = fleet.share_on_roads()
    return figures


def _rows_per_s(predictor: BundlePredictor) -> dict[str, float]:
    """Return predicted rows a processor second by batch: three quantiles from columns, features included."""
    found = {}
    for size in _BATCHES:
        legs = some_legs(size)
        legs["moment_ms"] = np.full(size, _START_MS)
        found[str(size)] = size / _median_s(functools.partial(predictor.predict, legs))
    return found


def _median_s(work: Callable[[], object]) -> float:
    work()
    took: list[float] = []
    while sum(took) < _LEAST_S or len(took) < 5:
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return float(np.median(took))


def _swap_ms(place: Path) -> float:
    """Return how long a bundle takes from its folder into an estimator."""
    estimator = Estimator(lambda _: COMPANY, lambda _: "Europe/Lisbon")
    began = time.perf_counter()
    predictor = load_predictor("swapped", place)
    begin(estimator.corrections, predictor)
    estimator.paces.begin(predictor)
    estimator.models = Models(champion=predictor)
    return (time.perf_counter() - began) * 1000


class _Run:
    """What a drive took."""

    pings = updates = 0
    applying_s = estimating_s = oldest_s = 0.0


class _Fleet:
    """Drivers of one shard, each on its way to a delivery."""

    def __init__(self, drivers: int, predictor: BundlePredictor, base: RoadBases | None = None) -> None:
        self._memory = ShardMemory()
        if base is not None:
            self._memory.etas.base = base
        estimator = Estimator(self._memory.tenant_of, lambda _: "Europe/Lisbon", self._memory.driver_of)
        self._estimates = ShardEstimates(self._memory, estimator)
        for partition in range(_PARTITIONS):
            self._memory.begin(partition)
        numbers = range(1, drivers + 1)
        self._memory.activate(
            [DriverRef(n, PartitionId(n % _PARTITIONS), driver_of(n), COMPANY, "van", "parcel") for n in numbers], {}
        )
        draw = np.random.default_rng(3)
        self._numbers = np.array(numbers, np.uint32)
        self._lat = 41.0 + draw.random(drivers) * 0.2
        self._lon = -8.7 + draw.random(drivers) * 0.2
        begin(estimator.corrections, predictor)
        estimator.paces.begin(predictor)
        estimator.models = Models(champion=predictor)
        self._assign(draw)

    def _assign(self, draw: np.random.Generator) -> None:
        away = 0.03 + draw.random(self._numbers.size) * 0.07  # 3 to 11 km to the north
        for place, number in enumerate(self._numbers.tolist()):
            stop = StopPlan("dropoff", self._lat[place] + away[place], self._lon[place], 60.0, 0, 0)
            self._memory.assign(DeliveryAssigned("evt", COMPANY, number, f"dlv_{number}", 1, "in_transit", (stop,)))

    async def drive(self, seconds: int) -> _Run:
        """Let log time pass."""
        await self._drive(range(_WARM_UP_S))
        before = self._estimates.estimated
        run = await self._drive(range(_WARM_UP_S, _WARM_UP_S + seconds))
        run.updates, run.oldest_s = self._estimates.estimated - before, self._oldest_s(_WARM_UP_S + seconds)
        return run

    async def _drive(self, seconds: range) -> _Run:
        run = _Run()
        order = np.arange(self._numbers.size) % _PING_S
        for second in seconds:
            now_ms = _START_MS + second * 1000
            batch = self._fixes(np.flatnonzero(order == second % _PING_S), now_ms, second)
            began = time.process_time()
            step, _ = self._memory.apply(batch)
            run.applying_s += time.process_time() - began
            run.pings += len(step.outcomes)
            began = time.process_time()
            await self._estimates.pass_to(dict.fromkeys(range(_PARTITIONS), now_ms + 1000))
            run.estimating_s += time.process_time() - began
        return run

    def _fixes(self, places: NDArray[np.int64], now_ms: int, second: int) -> FixBatch:
        partitions = (self._numbers[places] % _PARTITIONS).astype(np.int64)
        order = np.argsort(partitions, kind="stable")
        places, partitions = places[order], partitions[order]
        fixes = np.zeros(places.size, FIX)
        fixes["driver"], fixes["time"] = self._numbers[places], now_ms + 200
        lat = self._lat[places] + _SPEED_MPS * second * _DEGREES_PER_M
        fixes["lat"], fixes["lon"] = np.rint(lat * DEGREE), np.rint(self._lon[places] * DEGREE)
        fixes["seq"], fixes["battery"] = UNKNOWN_SEQUENCE, UNKNOWN_BATTERY
        for name in ("speed", "heading", "accuracy", "altitude"):
            fixes[name] = np.nan
        ends = np.searchsorted(partitions, np.arange(_PARTITIONS + 1))
        blocks = [Block(PartitionId(p), int(ends[p]), int(ends[p + 1])) for p in range(_PARTITIONS)]
        received = np.full(places.size, now_ms + 300)
        return FixBatch(fixes, (received << 20).astype(np.uint64), received, tuple(blocks))

    def share_on_roads(self) -> float:
        """Return the share of legs whose base time is that of the roads."""
        return float(np.mean([plan["base"][0] == ROADS for plan in self._memory.etas.table.plans.values()]))

    def _oldest_s(self, seconds: int) -> float:
        """Return how old the oldest estimate is at the end, seconds."""
        table = self._memory.etas.table
        at = table.heads["at"][: table.size]
        return float((_START_MS + seconds * 1000 - at.min()) / 1000) if table.size else 0.0
