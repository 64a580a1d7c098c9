"""One estimation of drivers who are due: what has to be predicted, and what becomes of the answer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.conditions.board import ConditionBoard
from engine.eta.bases import BaseTimes, GreatCircles
from engine.eta.chain import arrivals_along
from engine.eta.legs_ahead import LegsAhead, WantedLegs, Whereabouts, departures_ms, ends_of, met, on_the_route
from engine.eta.plan import AHEAD, AheadFlag
from engine.eta.refresh import Pacing, away_s
from engine.eta.said import Said
from engine.eta.table import EtaTable
from engine.eta.under_way import begin_legs, mark_places, place_on_legs, progress
from engine.roads.barriers import Barrier, holding
from engine.roads.pinned import Journeys
from engine.shards.drivers import DriverTable, whereabouts
from engine.shards.stops import StopState
from models.messages.records import put_records, take_records

__all__ = ["Estimate", "by_partition", "now_ms_of"]

_MOST_PARTITIONS = 4096
_STRAIGHT = GreatCircles()
_NO_CONDITIONS = ConditionBoard()
_NO_CLOSURES: Mapping[int, tuple[Barrier, ...]] = MappingProxyType({})
_ALL = slice(None)


@dataclass(slots=True)
class Estimate:
    """One estimation under way: D drivers with S stops."""

    slots: NDArray[np.int64]
    heads: NDArray[np.void]
    """As they were when it began."""
    here: Whereabouts
    stops: NDArray[np.void]
    wanted: WantedLegs
    tenants: NDArray[np.uint32]
    """The shard's index of each driver's tenant."""
    whole: NDArray[np.bool_]
    """Of which drivers all legs are predicted."""
    ahead: LegsAhead = field(init=False)
    """What is asked, from `ask` on."""

    @classmethod
    def of(
        cls,
        slots: NDArray[np.int64],
        table: EtaTable,
        drivers: DriverTable,
        pacing: Pacing,
        at_ms: NDArray[np.int64],
    ) -> "Estimate":
        """Return what has to be asked for drivers whose plans are up to date: copies, so that it may be done aside."""
        heads = take_records(table.heads, slots)
        rows, live = drivers.rows(heads["number"]), drivers.records
        now_ms = now_ms_of(live["time"][rows], live["received"][rows], at_ms[heads["partition"]])
        plans = [table.plans[number] for number in heads["number"].tolist()]
        counts = np.array([len(plan) for plan in plans], np.int64)
        # an eighth of what joining arrays takes
        stops = np.frombuffer(bytearray().join([plan.tobytes() for plan in plans]), AHEAD)
        needed = (heads["legs_at"] == 0) | (now_ms - heads["legs_at"] > pacing.legs_s * 1000)
        is_wanted = np.repeat(needed, counts) | (stops["flags"] & AheadFlag.PREDICTED == 0)
        wanted = WantedLegs.of(counts, is_wanted)
        lat, lon = place_on_legs(heads, stops[wanted.firsts], *whereabouts(live, rows))
        return cls(
            slots=slots,
            heads=heads,
            here=Whereabouts(now_ms, lat, lon, np.maximum(now_ms, heads["departs"])),
            stops=stops,
            wanted=wanted,
            tenants=live["tenant"][rows],
            whole=needed,
        )

    @property
    def stops_now_ms(self) -> NDArray[np.int64]:
        """The present on the clock of each stop's driver, length S."""
        return np.repeat(self.here.now_ms, self.wanted.counts)

    def ask(
        self,
        base: BaseTimes,
        closures: Mapping[int, tuple[Barrier, ...]] = _NO_CLOSURES,
        conditions: ConditionBoard = _NO_CONDITIONS,
        *,
        driven: BaseTimes | None = None,
    ) -> LegsAhead:
        """Return the legs to be predicted, and put their base times down. Takes a while on roads.

        `closures` is what tenants' vehicles drive around, by the shard's index of the tenant; `conditions` what other
        servers say of weather and, where the fleet's own drives say nothing, of traffic; `driven` who says what ways
        driven so far take, `base` where nobody else does.
        """
        stops, heads, owner, at = self.stops, self.heads, self.wanted.owner, self.wanted.places
        ends = ends_of(stops, self.wanted, self.here, heads["profile"])
        looked = self.whole[owner] | (stops["flags"][at] & AheadFlag.PREDICTED == 0)
        around = _around(closures, self.tenants, self.here.now_ms)
        ways_around = {these: drivers[owner] for these, drivers in around.items()}
        rows = np.full(len(at), -1, np.int64)
        rows[self.wanted.of_firsts] = self.slots  # ways behind the next stop are seldom asked for
        journeys = Journeys(rows, is_to_pinned=True)
        found = base.between(ends, traffic_of=looked, barriers=ways_around, journeys=journeys)
        straight = _STRAIGHT.between(ends)
        for name, column in (("base_m", found.metres), ("base_s", found.seconds), ("base", found.source)):
            stops[name][at] = column
        stops["traffic"][at[looked]] = np.nan_to_num(found.traffic[looked], nan=0.0)
        legs = {
            **self._met(stops, conditions),
            **ends._asdict(),
            "base_s": found.seconds,
            "base_m": found.metres,
            "base_of": found.source,
            "straight_s": straight.seconds,
            "straight_m": straight.metres,
            **self._progress(driven or base, around),
            **on_the_route(stops, self.wanted),
        }
        self.ahead = LegsAhead(legs, self.tenants[owner], heads["number"][owner])
        return self.ahead

    def ask_again(
        self, said: Said, conditions: ConditionBoard = _NO_CONDITIONS
    ) -> tuple[NDArray[np.int64], LegsAhead] | None:
        """Return legs to be predicted once more, and which of the wanted they are; None if the first word will do.

        Of a plan that is new nobody had said when its far stops are reached, so their hours were guessed by roads that
        are free. What was said of them for these tells their hours better, and a promise is made but once.
        """
        is_guessed = self.stops["reached"][:, 1] == 0
        is_guessed[self.wanted.firsts] = False
        guessed = np.logical_or.reduceat(is_guessed, self.wanted.firsts)
        rows = np.flatnonzero(guessed[self.wanted.owner])
        if not rows.size:
            return None
        stops = self.stops.copy()
        self._put_legs(stops, said)
        stops["reached"] = self._reached(stops, said)
        legs = {name: np.asarray(column)[rows] for name, column in self.ahead.legs.items()}
        legs |= self._met(stops, conditions, rows)
        return rows, LegsAhead(legs, self.ahead.tenants[rows], self.ahead.drivers[rows])

    def is_next(self) -> NDArray[np.bool_]:
        """Tell which stops are made next: the first of each driver that it does not stand at."""
        arrived = self.stops["state"] == StopState.ARRIVED
        before = np.cumsum(~arrived) - ~arrived
        return np.asarray(~arrived & (before == np.repeat(before[self.wanted.firsts], self.wanted.counts)))

    def is_ahead(self, stops: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the places of stops that the driver has not reached."""
        return np.flatnonzero(stops["state"] != StopState.ARRIVED)

    def committed(self, said: Said, table: EtaTable, pacing: Pacing) -> NDArray[np.void]:
        """Return the stops with their legs and arrivals, and note on the heads what the next look needs."""
        stops, at, arrived = self.stops, self.wanted.places, self.stops["state"] == StopState.ARRIVED
        self._put_legs(stops, said)
        stops["confidence"][at] = said.confidence
        stops["stood_in"][at] = said.stood_in
        stops["flags"][at] |= AheadFlag.PREDICTED
        least = (self.stops_now_ms + round(pacing.least_left_s * 1000))[:, None]
        reached = np.maximum(self._reached(stops, said), least)
        stops["reached"] = np.where(arrived[:, None], stops["since"][:, None], reached)
        self._note(said, table)
        return stops

    def store(self, stops: NDArray[np.void], table: EtaTable) -> None:
        """Put the stops back into the plans."""
        firsts, counts = self.wanted.firsts.tolist(), self.wanted.counts.tolist()
        for number, start, count in zip(self.heads["number"].tolist(), firsts, counts, strict=True):
            table.plans[number] = stops[start : start + count]

    def _put_legs(self, stops: NDArray[np.void], said: Said) -> None:
        """Put down what was said of legs; ways to the next door take no time."""
        at = self.wanted.places
        stops["leg_s"][at] = np.where((stops["base_s"][at] > 0)[:, None], said.said, 0.0)

    def _reached(self, stops: NDArray[np.void], said: Said) -> NDArray[np.int64]:
        """Return when stops are reached by their legs, breaks, service times and windows, S × 3 epoch milliseconds."""
        arrived, counts = stops["state"] == StopState.ARRIVED, self.wanted.counts
        # of a break that should have begun, what the plan leaves of it
        left_s = np.clip((stops["rest_ends"] - self.stops_now_ms) / 1000, 0.0, stops["rest_s"])
        legs_s = np.where(arrived[:, None], 0.0, stops["leg_s"] + left_s[:, None])
        begins_ms = np.repeat(self.here.begins_ms, counts)
        # who stands at a stop has served a part of it
        served_s = np.where(arrived, np.maximum(0, begins_ms - np.maximum(stops["since"], stops["opens"])) / 1000, 0.0)
        services_s = np.maximum(0.0, _services_s(stops) - served_s[:, None])
        spreads = said.spread[self.wanted.of_firsts]  # the model of the first leg says how a driver's legs join
        return arrivals_along(self.here.begins_ms, counts, legs_s, services_s, stops["opens"], spreads)

    def _met(
        self, stops: NDArray[np.void], conditions: ConditionBoard, rows: NDArray[np.int64] | slice = _ALL
    ) -> dict[str, NDArray[Any]]:
        """Return what the wanted legs meet, or some of them."""
        at, owner = self.wanted.places[rows], self.wanted.owner[rows]
        departs_ms = departures_ms(stops, self.wanted, self.here.begins_ms)[at]
        return met(stops, at, departs_ms, self.here.now_ms[owner], self.heads["profile"][owner], conditions)

    def _progress(
        self, base: BaseTimes, around: Mapping[tuple[Barrier, ...], NDArray[np.bool_]]
    ) -> dict[str, NDArray[np.float64]]:
        """Return how the first legs have gone so far; later ones have not begun."""
        found = progress(self.heads, self.stops[self.wanted.firsts], self.here, base, around, self.slots)
        columns: dict[str, NDArray[np.float64]] = {}
        for name, values in found.items():
            columns[name] = np.full(len(self.wanted.places), 0.0 if name == "elapsed_s" else np.nan)
            columns[name][self.wanted.of_firsts] = values
        return columns

    def _note(self, said: Said, table: EtaTable) -> None:
        heads = take_records(table.heads, self.slots)
        first = self.stops[self.wanted.firsts]
        begin_legs(heads, first, self.here, self.ahead, said, self.wanted.of_firsts)
        mark_places(heads, self.here)
        heads["at"], heads["moved"] = self.here.now_ms, 0
        heads["legs_at"] = np.where(self.whole, self.here.now_ms, heads["legs_at"])
        heads["lat"], heads["lon"] = first["lat"], first["lon"]
        heads["away_s"] = away_s(heads, self.here.lat, self.here.lon)
        heads["left_s"] = first["leg_s"][:, 1]
        put_records(table.heads, self.slots, heads)


def now_ms_of(
    time_ms: NDArray[np.int64], received_ms: NDArray[np.int64], at_ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the present on each driver's own clock: its last fix's time, and how long ago that came in."""
    return np.asarray(time_ms + np.maximum(0, at_ms - received_ms))


def by_partition(moments: Mapping[int, int]) -> NDArray[np.int64]:
    """Return a table from partition to moment; 0 where it is not looked at."""
    table = np.zeros(_MOST_PARTITIONS, np.int64)
    table[list(moments)] = list(moments.values())
    return table


def _around(
    closures: Mapping[int, tuple[Barrier, ...]], tenants: NDArray[np.uint32], now_ms: NDArray[np.int64]
) -> dict[tuple[Barrier, ...], NDArray[np.bool_]]:
    """Return which of D drivers go around which closures: those of their tenant that hold now."""
    if not closures:
        return {}
    now_s = float(now_ms.max()) / 1000
    found: dict[tuple[Barrier, ...], NDArray[np.bool_]] = {}
    for tenant, barriers in closures.items():
        mine = tenants == tenant
        if mine.any() and (held := holding(barriers, now_s, now_s)):
            found[held] = found[held] | mine if held in found else mine
    return found


def _services_s(stops: NDArray[np.void]) -> NDArray[np.float64]:
    """Return quantiles of the seconds at stops, S × 3."""
    middle_s, wide_s = stops["service_s"], stops["service_wide_s"]
    return np.stack([middle_s - wide_s[:, 0], middle_s, middle_s + wide_s[:, 1]], axis=1)
