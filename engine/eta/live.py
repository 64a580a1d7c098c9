"""Live arrival estimates of one shard: whoever moved is estimated together, at moments that follow from the log.

A moment is a full second (`TICK_MS`) of log time. It is passed once every entry before it has been applied, and what
is estimated then is a function of the state at that moment, so a replay passes the same moments with the same state.
Instants are those of each driver's own clock: the time of its last good fix, and how long ago that came in.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.conditions.board import ConditionBoard
from engine.eta.bases import PROFILES, BaseTimes, GreatCircles
from engine.eta.detours import Change, Detours, concerned
from engine.eta.estimate import Estimate, by_partition, now_ms_of
from engine.eta.legs_ahead import LegsAhead, ends_of
from engine.eta.plan import AHEAD, AheadFlag, OpenStop, RouteOrder, build_plan
from engine.eta.refresh import Pacing, damped, due_slots, is_news
from engine.eta.risk import RiskRule, raise_alarms
from engine.eta.said import Said
from engine.eta.table import NOWHERE, EtaTable
from engine.roads.barriers import Barrier
from engine.shards.drivers import ABSENT, DriverTable
from engine.shards.stops import StopState

__all__ = ["TICK_MS", "Estimated", "Finished", "LiveEtas", "ServiceOf"]

ServiceOf = Callable[[int, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Usual seconds at stops: the shard's index of the tenant, and N places in degrees → N × 3 quantiles; 0 where nothing
is known."""

TICK_MS = 1000
"""Log time between two moments at which drivers may be estimated."""


_EVERY_LEG = Pacing(legs_s=-math.inf)


@dataclass(frozen=True, slots=True)
class Estimated:
    """What a moment brought: records of plans, each a copy."""

    told: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, AHEAD))
    """Stops of which people see something else now."""
    late: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, AHEAD))
    """Stops that will probably be missed."""
    imminent: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, AHEAD))
    """Stops that the driver is about to reach."""
    stops: int = 0
    """How many were estimated."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A stop that was reached, with what had been said of it."""

    stop: np.void
    """The `AHEAD` record."""
    head: np.void
    """The driver's `HEAD` record."""
    is_leg: bool
    """Whether the leg under way led there, so that its beginning is known, and no break was in between."""


class LiveEtas:
    """Estimates the drivers of a shard.

    Parameters
    ----------
    drivers
        The shard's drivers.
    stops_of
        Returns the open stops of the driver in a row.
    """

    def __init__(
        self,
        drivers: DriverTable,
        stops_of: Callable[[int], Sequence[OpenStop]],
        *,
        base: BaseTimes | None = None,
        pacing: Pacing | None = None,
        risk: RiskRule | None = None,
    ) -> None:
        self.table = EtaTable()
        self._drivers, self._stops_of = drivers, stops_of
        self.base: BaseTimes = base or GreatCircles()
        """Who says how long ways are without a model. Replaced as a whole."""
        self._detours = Detours()
        self.closures: Mapping[int, tuple[Barrier, ...]] = {}
        """What tenants' vehicles drive around, by the shard's index of the tenant. Replaced as a whole."""
        self.conditions = ConditionBoard()
        """Weather and traffic around the stops, as servers of others say. Replaced as a whole."""
        self.pacing, self.risk = pacing or Pacing(), risk or RiskRule()
        """How often drivers are estimated, and when somebody is told."""
        self.service: ServiceOf = lambda _, lat, __: np.zeros((len(lat), 3))
        """Who says how long stops take of which nobody has."""

    def due(self, moments: Mapping[int, int]) -> NDArray[np.int64]:
        """Return the slots of drivers to estimate at these moments, by partition, epoch ms of log time."""
        self._follow_closures(moments)
        table = self.table
        if not table.plans and not table.heads["stale"][: table.size].any():
            return np.zeros(0, np.int64)
        heads = table.heads[: table.size]
        rows = self._drivers.rows(heads["number"])
        live = self._drivers.records  # at ABSENT the last record, which is not looked at
        time = live["time"][rows]
        known = (heads["number"] > 0) & (rows != ABSENT) & (time > 0)
        at = by_partition(moments)[heads["partition"]]
        now_ms = now_ms_of(time, live["received"][rows], at)
        return due_slots(heads, np.where(known, at, 0), live["lat"][rows], live["lon"][rows], now_ms, self.pacing)

    def prepare(self, slots: NDArray[np.int64], moments: Mapping[int, int]) -> Estimate | None:
        """Bring the plans of due drivers up to date and return what is to be asked for them; None if nothing."""
        self._replan(slots)
        slots = slots[self.table.heads["number"][slots] > 0]
        if not slots.size:
            return None
        return Estimate.of(slots, self.table, self._drivers, self.pacing, by_partition(moments))

    def commit(self, estimate: Estimate, said: Said) -> Estimated:
        """Take what was predicted into the plans and return what is to be told of it."""
        stops = estimate.committed(said, self.table, self.pacing)
        ahead = estimate.is_ahead(stops)
        chosen = stops[ahead]
        now_ms = estimate.stops_now_ms[ahead]
        chosen["shown"] = damped(chosen["shown"], chosen["reached"])
        fresh = chosen["promised"] == 0
        chosen["promise"] = np.where(fresh[:, None], chosen["reached"], chosen["promise"])
        chosen["promised"] = np.where(fresh, now_ms, chosen["promised"])
        chosen["updated"] = now_ms
        alarms = raise_alarms(chosen, now_ms, estimate.is_next()[ahead], self.risk)
        news = is_news(chosen["shown"], chosen["told"], now_ms, self.pacing)
        chosen["told"] = np.where(news, chosen["shown"], chosen["told"])
        stops[ahead] = chosen
        estimate.store(stops, self.table)
        return Estimated(chosen[news], chosen[alarms.late], chosen[alarms.imminent], len(chosen))

    def legs_of(self, number: int) -> LegsAhead | None:
        """Return the legs of a driver's plan as they would be predicted now; None where there is no plan."""
        [slot] = self.table.slots_of([number])
        row = int(self._drivers.rows(np.array([number], np.uint32))[0])
        if slot == NOWHERE or row == ABSENT or number not in self.table.plans:
            return None
        head = self.table.heads[slot]
        moments = by_partition({int(head["partition"]): self.table.passed.get(int(head["partition"]), 0)})
        return Estimate.of(np.array([slot]), self.table, self._drivers, _EVERY_LEG, moments).ask(
            self.base, self.closures, self.conditions
        )

    def _follow_closures(self, moments: Mapping[int, int]) -> None:
        """Let those be estimated anew, some at each moment, whose ways a closure concerns that begins or ends."""
        for tenant, change in self._detours.changes(self.closures, max(moments.values(), default=0) / 1000).items():
            self._concern(tenant, change)
        if turn := self._detours.turn():
            slots = self.table.slots_of(turn)
            self.table.heads["legs_at"][slots[slots != NOWHERE]] = 0

    def _concern(self, tenant: int, change: Change) -> None:
        """Let a tenant's drivers wait for their turn whose legs may lead through what was closed or opened."""
        numbers = np.array(sorted(self.table.plans), np.uint32)
        rows = self._drivers.rows(numbers)
        numbers = numbers[(rows != ABSENT) & (self._drivers.records["tenant"][rows] == tenant)]
        if not numbers.size:
            return
        slots = self.table.slots_of(numbers.tolist())
        every = Estimate.of(slots, self.table, self._drivers, _EVERY_LEG, by_partition({}))
        ends = ends_of(every.stops, every.wanted, every.here, every.heads["profile"])
        owners = every.wanted.owner[concerned(ends, every.stops["base_m"][every.wanted.places], change)]
        mine = np.unique(owners)
        self._detours.wait(numbers[mine].tolist(), every.wanted.counts[mine].tolist())

    def _route_of(self, number: int, delivery: str) -> RouteOrder | None:
        """Return the route in which a driver has a delivery."""
        routes = self.table.routes.get(number, {}).values()
        mine = [one for one in routes if any(visit[0] == delivery for visit in one.visits)]
        return min(mine, key=lambda one: one.departs_ms) if mine else None

    def finish(self, number: int, delivery: int, kind: int) -> Finished | None:
        """Return what had been said of a stop that its driver has reached, once; None if nothing was."""
        plan = self.table.plans.get(number)
        [slot] = self.table.slots_of([number])
        if plan is None or slot == NOWHERE:
            return None
        places = np.flatnonzero((plan["delivery"] == delivery) & (plan["kind"] == kind) & (plan["promised"] > 0))
        if not places.size or plan["flags"][places[0]] & AheadFlag.SEEN:
            return None
        plan["flags"][places[0]] |= AheadFlag.SEEN
        head, stop = self.table.heads[slot].copy(), plan[places[0]].copy()
        is_leg = bool(head["leg_delivery"] == delivery and head["leg_kind"] == kind and head["leg_ms"] > 0)
        has_rested = bool(stop["rest_s"] > 0 and stop["rest_ends"] > head["leg_ms"])
        return Finished(stop, head, is_leg and not has_rested)

    def _replan(self, slots: NDArray[np.int64]) -> None:
        table = self.table
        stale = slots[table.heads["stale"][slots] != 0]
        rows = self._drivers.rows(table.heads["number"][stale])
        for slot, row in zip(stale.tolist(), rows.tolist(), strict=True):
            driver = self._drivers.records[row]
            number = int(driver["number"])
            routes = table.routes.get(number, {})
            here = (float(driver["lat"]), float(driver["lon"]))
            before = table.plans.get(number, np.zeros(0, AHEAD))
            stops = self._stops_of(row)
            plan = build_plan(number, stops, routes, here, before)
            if not len(plan):
                table.rest(number)
                continue
            self._fill_service(plan, int(driver["tenant"]))
            table.plans[number] = plan
            head = table.heads[slot]
            first = next(stop.name for stop in stops if stop.delivery == plan["delivery"][0])
            route = self._route_of(number, first)
            profile = PROFILES.index(route.profile if route is not None and route.profile in PROFILES else "van")
            if head["profile"] != profile:
                head["profile"], head["legs_at"] = profile, 0
            head["stale"] = 0
            # nobody sets out before the route does; once a stop is made, it has begun
            has_begun = (before["state"] == StopState.ARRIVED).any() or len(plan) < len(before)
            head["departs"] = 0 if has_begun or route is None else route.departs_ms

    def _fill_service(self, plan: NDArray[np.void], tenant: int) -> None:
        """Put down what stops usually take of which nobody has said it; asked once a stop, for it takes a while."""
        untold = np.flatnonzero(plan["service_s"] == 0)
        if not untold.size:
            return
        found_s = self.service(tenant, plan["lat"][untold], plan["lon"][untold])
        known = found_s[:, 1] > 0
        rows = untold[known]
        plan["service_s"][rows] = found_s[known, 1]
        plan["service_wide_s"][rows] = np.diff(found_s[known], axis=1)
        plan["flags"][rows] |= AheadFlag.USUAL
