"""One estimation of drivers who are due: what has to be predicted, and what becomes of the answer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.conditions.board import ConditionBoard
from engine.eta.bases import NOWHERE_CLOSED, PROFILES, ROADS, BaseTimes, Ends, GreatCircles
from engine.eta.chain import arrivals_along
from engine.eta.plan import AHEAD, AheadFlag
from engine.eta.predictor import Legs
from engine.eta.refresh import Pacing, away_s
from engine.eta.table import EtaTable
from engine.roads.barriers import Barrier, holding
from engine.shards.drivers import DriverTable
from engine.shards.stops import StopState
from models.eta.spread import Spread
from models.eta.weather import WEATHER_COLUMNS
from models.geo import distances_m
from models.messages.records import put_records, take_records

__all__ = ["Estimate", "LegsAhead", "Said", "by_partition", "now_ms_of"]

_MARK_MS = 60_000
_TRAFFIC_LASTS_MS = 3_600_000  # what the roads take now says little of a leg that begins later
_RECENT_S = 300.0  # a mark older than this says nothing of the last minutes
_SETTING_OUT_M = 40.0  # who has not come further still stands where the leg begins
_MOST_PARTITIONS = 4096
_SAID = (
    ("leg_raw_s", "raw"),
    ("leg_shift", "shift"),
    ("leg_said_s", "said"),
    ("leg_shadow_raw_s", "shadow_raw"),
    ("leg_shadow_shift", "shadow_shift"),
    ("leg_shadow_s", "shadow"),
    ("leg_model", "model"),
    ("leg_candidate", "candidate"),
)
"""Fields of a head that keep what was said at the beginning of a leg."""
_STRAIGHT = GreatCircles()
_NO_CONDITIONS, _BIKE = ConditionBoard(), PROFILES.index("bike")
_NO_CLOSURES: Mapping[int, tuple[Barrier, ...]] = MappingProxyType({})
_OPAQUE = np.dtype((np.void, AHEAD.itemsize))  # records moved whole, as in models.messages.records


@dataclass(frozen=True, slots=True)
class LegsAhead:
    """Legs to be predicted, with whose they are."""

    legs: Legs
    tenants: NDArray[np.uint32]
    """The shard's index of each leg's tenant."""
    drivers: NDArray[np.uint32]
    """Number of each leg's driver."""


@dataclass(frozen=True, slots=True)
class Said:
    """What models say of N legs, seconds, each N × 3."""

    raw: NDArray[np.float64]
    """By the model alone."""
    shift: NDArray[np.float64]
    """Log ratio by which the legs that finished lately moved it, length N."""
    said: NDArray[np.float64]
    """Corrected by them."""
    shadow_raw: NDArray[np.float64]
    """The same by the candidate beside it; NaN where there is none."""
    shadow_shift: NDArray[np.float64]
    shadow: NDArray[np.float64]
    model: NDArray[np.uint64]
    """Digests of the champions' versions (`engine.eta.predictor.digest_of`)."""
    candidate: NDArray[np.uint64]
    """The same of the candidate's; 0 where there is none."""
    confidence: NDArray[np.uint8]
    """Places in `engine.eta.plan.CONFIDENCES`: the most that the answer deserves."""
    spread: NDArray[np.float64]
    """How the spreads of the champion's legs join along a plan (`models.eta.spread.Spread.row`), N × 6."""
    stood_in: NDArray[np.bool_]
    """For which legs base times alone answer, because the champion was trained on others."""

    @classmethod
    def empty(cls, size: int) -> "Said":
        """Return room for what is said of some legs."""
        unknown, thrice = np.full(size, np.nan), np.full((size, 3), np.nan)
        return cls(
            raw=thrice.copy(),
            shift=np.zeros(size),
            said=thrice.copy(),
            shadow_raw=thrice.copy(),
            shadow_shift=unknown.copy(),
            shadow=thrice.copy(),
            model=np.zeros(size, np.uint64),
            candidate=np.zeros(size, np.uint64),
            confidence=np.zeros(size, np.uint8),
            spread=np.tile(Spread().row(), (size, 1)),
            stood_in=np.zeros(size, np.bool_),
        )

    def put(self, rows: NDArray[np.int64], said: "Said") -> None:
        """Replace what was said of some legs."""
        for each in fields(self):
            getattr(self, each.name)[rows] = getattr(said, each.name)


@dataclass(slots=True)
class Estimate:
    """One estimation under way: D drivers with S stops."""

    slots: NDArray[np.int64]
    heads: NDArray[np.void]
    """As they were when it began."""
    now_ms: NDArray[np.int64]
    silent_s: NDArray[np.float64]
    """Since anything came from each driver."""
    counts: NDArray[np.int64]
    """How many of the stops are each driver's."""
    stops: NDArray[np.void]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    begins_ms: NDArray[np.int64]
    wanted: NDArray[np.int64]
    """Places among the stops whose legs are predicted; the others keep theirs."""
    owner: NDArray[np.int64]
    """Which driver's each of them is."""
    tenants: NDArray[np.uint32]
    """The shard's index of each one's tenant."""
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
        at, received = at_ms[heads["partition"]], live["received"][rows]
        now_ms = now_ms_of(live["time"][rows], received, at)
        plans = [table.plans[number] for number in heads["number"].tolist()]
        counts = np.array([len(plan) for plan in plans], np.int64)
        stops = np.concatenate([plan.view(_OPAQUE) for plan in plans]).view(AHEAD)
        needed = (heads["legs_at"] == 0) | (now_ms - heads["legs_at"] > pacing.legs_s * 1000)
        is_wanted = np.repeat(needed, counts) | (stops["flags"] & AheadFlag.PREDICTED == 0)
        is_wanted[np.cumsum(counts) - counts] = True
        wanted = np.flatnonzero(is_wanted)
        owner = np.repeat(np.arange(len(counts)), counts)[wanted]
        return cls(
            slots=slots,
            heads=heads,
            now_ms=now_ms,
            silent_s=np.maximum(0, at - received) / 1000.0,
            counts=counts,
            stops=stops,
            lat=live["lat"][rows],
            lon=live["lon"][rows],
            begins_ms=np.maximum(now_ms, heads["departs"]),
            wanted=wanted,
            owner=owner,
            tenants=live["tenant"][rows][owner],
            whole=needed,
        )

    def ask(
        self,
        base: BaseTimes,
        closures: Mapping[int, tuple[Barrier, ...]] = _NO_CLOSURES,
        conditions: ConditionBoard = _NO_CONDITIONS,
    ) -> LegsAhead:
        """Return the legs to be predicted, and put their base times down. Takes a while on roads.

        `closures` is what tenants' vehicles drive around, by the shard's index of the tenant; `conditions` what other
        servers say of weather and, where the fleet's own drives say nothing, of traffic.
        """
        stops, wanted, owner, heads = self.stops, self.wanted, self.owner, self.heads
        firsts = np.cumsum(self.counts) - self.counts
        from_lat, from_lon = _froms(stops["lat"], self.lat, firsts), _froms(stops["lon"], self.lon, firsts)
        profile = heads["profile"][owner]
        ends = Ends(from_lat[wanted], from_lon[wanted], stops["lat"][wanted], stops["lon"][wanted], profile)
        looked = self.whole[owner] | (stops["flags"][wanted] & AheadFlag.PREDICTED == 0)
        around = _around(closures, self.tenants, self.now_ms)
        first_wanted = np.searchsorted(wanted, firsts)
        found, straight = base.between(ends, traffic_of=looked, barriers=around), _STRAIGHT.between(ends)
        for name, column in (("base_m", found.metres), ("base_s", found.seconds), ("base", found.source)):
            stops[name][wanted] = column
        stops["traffic"][wanted[looked]] = np.nan_to_num(found.traffic[looked], nan=0.0)
        legs = {
            **self._met(stops, wanted, owner, conditions),
            **ends._asdict(),
            "base_s": found.seconds,
            "base_m": found.metres,
            "base_of": found.source,
            "straight_s": straight.seconds,
            "straight_m": straight.metres,
            **self._progress(base, firsts, {these: ways[first_wanted] for these, ways in around.items()}),
            **_route(stops, self.counts, firsts, wanted, owner),
        }
        self.ahead = LegsAhead(legs, self.tenants, heads["number"][owner])
        return self.ahead

    def ask_again(
        self, said: Said, conditions: ConditionBoard = _NO_CONDITIONS
    ) -> tuple[NDArray[np.int64], LegsAhead] | None:
        """Return legs to be predicted once more, and which of the wanted they are; None if the first word will do.

        Of a plan that is new nobody had said when its far stops are reached, so their hours were guessed by roads that
        are free. What was said of them for these tells their hours better, and a promise is made but once.
        """
        firsts = np.cumsum(self.counts) - self.counts
        is_guessed = self.stops["reached"][:, 1] == 0
        is_guessed[firsts] = False
        guessed = np.logical_or.reduceat(is_guessed, firsts)
        rows = np.flatnonzero(guessed[self.owner])
        if not rows.size:
            return None
        stops = self.stops.copy()
        self._put_legs(stops, said)
        stops["reached"] = self._reached(stops, said)
        met = self._met(stops, self.wanted[rows], self.owner[rows], conditions)
        legs = {name: np.asarray(column)[rows] for name, column in self.ahead.legs.items()} | met
        return rows, LegsAhead(legs, self.ahead.tenants[rows], self.ahead.drivers[rows])

    def is_next(self) -> NDArray[np.bool_]:
        """Tell which stops are made next: the first of each driver that it does not stand at."""
        arrived = self.stops["state"] == StopState.ARRIVED
        firsts = np.cumsum(self.counts) - self.counts
        owner = np.repeat(np.arange(len(self.counts)), self.counts)
        before = np.cumsum(~arrived) - ~arrived
        return np.asarray(~arrived & (before == before[firsts][owner]))

    def is_ahead(self, stops: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the places of stops that the driver has not reached."""
        return np.flatnonzero(stops["state"] != StopState.ARRIVED)

    def committed(self, said: Said, table: EtaTable, pacing: Pacing) -> NDArray[np.void]:
        """Return the stops with their legs and arrivals, and note on the heads what the next look needs."""
        stops, arrived = self.stops, self.stops["state"] == StopState.ARRIVED
        self._put_legs(stops, said)
        stops["confidence"][self.wanted] = said.confidence
        stops["stood_in"][self.wanted] = said.stood_in
        stops["flags"][self.wanted] |= AheadFlag.PREDICTED
        least = (np.repeat(self.now_ms, self.counts) + round(pacing.least_left_s * 1000))[:, None]
        reached = np.maximum(self._reached(stops, said), least)
        stops["reached"] = np.where(arrived[:, None], stops["since"][:, None], reached)
        self._note(said, table)
        return stops

    def store(self, stops: NDArray[np.void], table: EtaTable) -> None:
        """Put the stops back into the plans."""
        ends = np.cumsum(self.counts).tolist()
        for number, start, end in zip(self.heads["number"].tolist(), [0, *ends], ends, strict=False):
            table.plans[number] = stops[start:end]

    def _put_legs(self, stops: NDArray[np.void], said: Said) -> None:
        """Put down what was said of legs; ways to the next door take no time."""
        stops["leg_s"][self.wanted] = np.where((stops["base_s"][self.wanted] > 0)[:, None], said.said, 0.0)

    def _reached(self, stops: NDArray[np.void], said: Said) -> NDArray[np.int64]:
        """Return when stops are reached by their legs, breaks, service times and windows, S × 3 epoch milliseconds."""
        arrived = stops["state"] == StopState.ARRIVED
        # of a break that should have begun, what the plan leaves of it
        left_s = np.clip((stops["rest_ends"] - np.repeat(self.now_ms, self.counts)) / 1000, 0.0, stops["rest_s"])
        legs_s = np.where(arrived[:, None], 0.0, stops["leg_s"] + left_s[:, None])
        begins_ms = np.repeat(self.begins_ms, self.counts)
        # who stands at a stop has served a part of it
        served_s = np.where(arrived, np.maximum(0, begins_ms - np.maximum(stops["since"], stops["opens"])) / 1000, 0.0)
        services_s = np.maximum(0.0, _services_s(stops) - served_s[:, None])
        return arrivals_along(self.begins_ms, self.counts, legs_s, services_s, stops["opens"], self._spreads(said))

    def _met(
        self,
        stops: NDArray[np.void],
        wanted: NDArray[np.int64],
        owner: NDArray[np.int64],
        conditions: ConditionBoard,
    ) -> dict[str, NDArray[Any]]:
        """Return about when legs begin, the weather then, and the traffic of now where that is soon."""
        lat, lon = stops["lat"][wanted], stops["lon"][wanted]
        departs_ms = _departures(stops, self.counts, self.begins_ms)[wanted]
        traffic = stops["traffic"][wanted].astype(np.float64)
        is_soon = departs_ms - self.now_ms[owner] < _TRAFFIC_LASTS_MS
        is_on_roads = (stops["base"][wanted] == ROADS) & (self.heads["profile"][owner] != _BIKE)
        flow = np.where(is_on_roads, conditions.flow_at(lat, lon), np.nan)
        return {
            "moment_ms": departs_ms,
            "traffic_ratio": np.where(is_soon, np.where(traffic > 0, traffic, flow), np.nan),
            **dict(zip(WEATHER_COLUMNS, conditions.weather_at(lat, lon, departs_ms / 1000), strict=True)),
        }

    def _spreads(self, said: Said) -> NDArray[np.float64]:
        """Return how each driver's legs join: the first one's model says so, and it is always asked."""
        firsts = np.cumsum(self.counts) - self.counts
        return said.spread[np.searchsorted(self.wanted, firsts)]

    def _progress(
        self, base: BaseTimes, firsts: NDArray[np.int64], barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]]
    ) -> dict[str, NDArray[np.float64]]:
        """Return how the first legs have gone so far; later ones have not begun."""
        heads, first = self.heads, self.stops[firsts]
        under_way = (heads["leg_delivery"] == first["delivery"]) & (heads["leg_kind"] == first["kind"])
        under_way &= heads["leg_ms"] > 0
        elapsed_s = np.where(under_way, np.maximum(0, self.now_ms - heads["leg_ms"]) / 1000.0, 0.0)
        since_s = (self.now_ms - heads["past_ms"]) / 1000.0
        recent_m = distances_m(heads["past_lat"], heads["past_lon"], self.lat, self.lon)
        has_past = (heads["past_ms"] > 0) & (since_s > 0) & (since_s < _RECENT_S)
        recent = np.divide(recent_m, since_s, out=np.full(len(heads), np.nan), where=has_past)
        is_first, owner = np.isin(self.wanted, firsts), self.owner
        return {
            "elapsed_s": np.where(is_first, elapsed_s[owner], 0.0),
            "driven_ratio": np.where(is_first, self._driven(base, elapsed_s, barriers)[owner], np.nan),
            "straight_ratio": np.where(is_first, self._driven(_STRAIGHT, elapsed_s)[owner], np.nan),
            "recent_mps": np.where(is_first, recent[owner], np.nan),
        }

    def _driven(
        self,
        base: BaseTimes,
        elapsed_s: NDArray[np.float64],
        barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = NOWHERE_CLOSED,
    ) -> NDArray[np.float64]:
        """Return the time taken so far ÷ the base time of the way driven so far; NaN for who has not set out."""
        ratio = np.full(len(self.heads), np.nan)
        gone = np.flatnonzero(elapsed_s > 0)
        starts, profile = self.heads["leg_lat"][gone], self.heads["profile"][gone]
        ends = Ends(starts, self.heads["leg_lon"][gone], self.lat[gone], self.lon[gone], profile)
        around = {these: drivers[gone] for these, drivers in barriers.items()}
        seconds = base.between(ends, barriers=around).seconds
        ratio[gone] = np.divide(elapsed_s[gone], seconds, out=ratio[gone], where=seconds > 0)
        return ratio

    def _note(self, said: Said, table: EtaTable) -> None:
        heads = take_records(table.heads, self.slots)
        firsts = np.cumsum(self.counts) - self.counts
        at = np.searchsorted(self.wanted, firsts)
        first = self.stops[firsts]
        heads["at"], heads["moved"] = self.now_ms, 0
        heads["legs_at"] = np.where(self.whole, self.now_ms, heads["legs_at"])
        heads["lat"], heads["lon"] = first["lat"], first["lon"]
        heads["away_s"] = away_s(heads, self.lat, self.lon)
        heads["left_s"] = first["leg_s"][:, 1]
        self._mark(heads)
        self._begin_legs(heads, first, said, at)
        put_records(table.heads, self.slots, heads)

    def _mark(self, heads: NDArray[np.void]) -> None:
        """Keep where the drivers were a minute ago, and the minute before."""
        due = self.now_ms - heads["mark_ms"] >= _MARK_MS
        for name in ("ms", "lat", "lon"):
            heads[f"past_{name}"] = np.where(due, heads[f"mark_{name}"], heads[f"past_{name}"])
        for name, value in (("ms", self.now_ms), ("lat", self.lat), ("lon", self.lon)):
            heads[f"mark_{name}"] = np.where(due, value, heads[f"mark_{name}"])

    def _begin_legs(self, heads: NDArray[np.void], first: NDArray[np.void], said: Said, at: NDArray[np.int64]) -> None:
        """Remember what was said at the beginning of a leg, so that its end can be compared."""
        is_other = (heads["leg_delivery"] != first["delivery"]) | (heads["leg_kind"] != first["kind"])
        # the place stays where the leg was first seen to begin: one that follows who creeps along is never left
        stood = heads["leg_ms"] >= self.heads["at"]
        stood &= distances_m(heads["leg_lat"], heads["leg_lon"], self.lat, self.lon) < _SETTING_OUT_M
        is_new = is_other | (heads["leg_ms"] == 0)
        begins = (is_new | stood) & (first["state"] != StopState.ARRIVED)
        heads["leg_delivery"] = np.where(is_other, first["delivery"], heads["leg_delivery"])
        heads["leg_kind"] = np.where(is_other, first["kind"], heads["leg_kind"])
        heads["leg_ms"] = np.where(is_other & ~begins, 0, heads["leg_ms"])
        for name, value in (
            ("leg_ms", self.begins_ms),
            ("leg_lat", np.where(is_new, self.lat, heads["leg_lat"])),
            ("leg_lon", np.where(is_new, self.lon, heads["leg_lon"])),
            ("leg_base_s", first["base_s"]),
            ("leg_base_m", first["base_m"]),
            ("leg_base", first["base"]),
            ("leg_stops_left", np.asarray(self.ahead.legs["stops_left"])[at]),
            ("leg_service_s", np.asarray(self.ahead.legs["service_ahead_s"])[at]),
            ("leg_traffic", np.asarray(self.ahead.legs["traffic_ratio"])[at]),
            *((f"leg_{name}", np.asarray(self.ahead.legs[name])[at]) for name in WEATHER_COLUMNS),
        ):
            heads[name] = np.where(begins, value, heads[name])
        for name, values in _SAID:
            fresh = getattr(said, values)[at]
            heads[name] = np.where(begins[:, None] if fresh.ndim == 2 else begins, fresh, heads[name])


def _around(
    closures: Mapping[int, tuple[Barrier, ...]], tenants: NDArray[np.uint32], now_ms: NDArray[np.int64]
) -> dict[tuple[Barrier, ...], NDArray[np.bool_]]:
    """Return which of N legs go around which closures: those of their tenant that hold now."""
    if not closures:
        return {}
    now_s = float(now_ms.max()) / 1000
    found: dict[tuple[Barrier, ...], NDArray[np.bool_]] = {}
    for tenant, barriers in closures.items():
        mine = tenants == tenant
        if mine.any() and (held := holding(barriers, now_s, now_s)):
            found[held] = found[held] | mine if held in found else mine
    return found


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


def _froms(places: NDArray[np.float64], here: NDArray[np.float64], firsts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where each leg begins: at the stop before, the first one where the driver is."""
    begins = np.empty(len(places))
    begins[1:] = places[:-1]
    begins[firsts] = here
    return begins


def _services_s(stops: NDArray[np.void]) -> NDArray[np.float64]:
    """Return quantiles of the seconds at stops, S × 3."""
    middle_s, wide_s = stops["service_s"], stops["service_wide_s"]
    return np.stack([middle_s - wide_s[:, 0], middle_s, middle_s + wide_s[:, 1]], axis=1)


def _departures(stops: NDArray[np.void], counts: NDArray[np.int64], begins_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return about when each leg begins: by the arrivals estimated last, else by base times, and service times."""
    firsts = np.cumsum(counts) - counts
    took_s = stops["base_s"] + stops["service_s"] + stops["rest_s"]
    since_s = np.cumsum(took_s) - np.repeat((np.cumsum(took_s) - took_s)[firsts], counts) - stops["service_s"]
    first_guess = np.repeat(begins_ms, counts) + np.rint(since_s * 1000).astype(np.int64)
    reached = np.where(stops["reached"][:, 1] > 0, stops["reached"][:, 1], first_guess)
    left = np.maximum(reached, stops["opens"]) + np.rint(stops["service_s"] * 1000).astype(np.int64)
    departs = np.empty(len(stops), np.int64)
    departs[1:] = left[:-1]
    departs[firsts] = begins_ms
    return np.maximum(departs, np.repeat(begins_ms, counts))


def _route(
    stops: NDArray[np.void],
    counts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    wanted: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return where each leg stands in its route, and what the stop is."""
    index = wanted - firsts[owner]
    total = np.cumsum(stops["service_s"])
    ends = total[(firsts + counts - 1)[owner]]
    return {
        "stop_index": index.astype(np.float64),
        "stops_left": (counts[owner] - index).astype(np.float64),
        "service_ahead_s": ends - total[wanted] + stops["service_s"][wanted],
        "weight_kg": stops["weight_kg"][wanted].astype(np.float64),
        "priority": np.maximum(0, stops["priority"][wanted].astype(np.float64) - 1),
    }
