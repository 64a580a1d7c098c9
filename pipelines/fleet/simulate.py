"""Days of a fleet in the simulated city: what was planned, what really happened, and what the phones sent."""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

from models.geo import distance_m
from pipelines.fleet.doorsteps import KINDS, Doorsteps
from pipelines.fleet.drive import Drive, Ways, drive, walk
from pipelines.fleet.gps import Phone, Track, record
from pipelines.fleet.rounds import Orders, draw_orders, order_stops, share_out
from pipelines.fleet.traffic import Traffic

__all__ = ["City", "Day", "Fleet", "Leg", "draw_paces", "simulate_days", "working_days"]

_SHIFT_S = 8 * 3600.0
_LOADING_S = 30.0
_BREAKDOWN, _REPAIR_S = 0.005, 2_700.0
_WINDOW_S = 2 * 3600.0
_PLANNED_FACTOR, _PLANNED_SERVICE_S = 1.7, 150.0  # what the planner reckons with
_ON_FOOT_M = 60.0  # nobody drives round the block to the next door


@dataclass(frozen=True, slots=True)
class City:
    """Where the fleet works."""

    ways: Ways
    doorsteps: Doorsteps
    depot: tuple[float, float]
    box: tuple[float, float, float, float]
    """South, west, north, east, degrees."""
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who works there, and how much."""

    vans: int = 60
    stops_per_van: int = 48
    first_day: datetime.date = datetime.date(2026, 3, 2)
    days: int = 90
    gps_days: frozenset[int] = frozenset()
    """Days, counted from 0, of which the phones' fixes are wanted too."""
    phone: Phone = field(default_factory=Phone)
    begins: datetime.time = datetime.time(8)
    """Local time at which the vans set off, give or take ten minutes."""
    paces: tuple[float, ...] = ()
    """How many times the others' time each van's driver takes; drawn where it is empty."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg to one door, with the truth."""

    day: int
    van: int
    stop: int
    """Place in the round, from 0."""
    stops: int
    """Length of the round."""
    address: int
    kind: str
    origin_lat: float
    origin_lon: float
    lat: float
    lon: float
    departed_ms: int
    """When the driver set off for it, epoch milliseconds."""
    moved_ms: int
    """When the van had pulled out, or the driver walked: the first that a phone can tell."""
    arrived_ms: int
    """When the van stood still there."""
    served_ms: int
    """When the hand-over was done."""
    is_delivered: bool
    base_s: float
    """Free-flow time of the roads, seconds."""
    base_m: float
    """Distance on the roads, metres."""
    weight_kg: float
    priority: int
    window_begins_ms: int
    """0: the customer was promised no window."""
    window_ends_ms: int
    rain_mm: float
    """As forecast for the hour of setting off."""


@dataclass(frozen=True, slots=True)
class Day:
    """What one day left behind."""

    number: int
    legs: list[Leg]
    tracks: dict[int, Track]
    """By van; empty unless wanted."""


def simulate_days(rng: np.random.Generator, city: City, fleet: Fleet, traffic: Traffic | None = None) -> Iterator[Day]:
    """Yield the working days, Sundays and holidays left out; the same `rng` state gives the same days.

    `traffic` begins on the fleet's first day and is drawn where it is left out.
    """
    if traffic is None:
        traffic = Traffic.simulate(rng, fleet.first_day, fleet.days, city.box, city.zone)
    paces = fleet.paces or draw_paces(rng, fleet.vans)
    working = set(working_days(fleet))
    for number in range(fleet.days):
        day_rng = np.random.default_rng(rng.integers(2**63))
        if number in working:
            yield _DayOf(day_rng, city, fleet, traffic, number).run(paces)


def working_days(fleet: Fleet) -> list[int]:
    """Return the days, counted from 0, on which the fleet drives: no Sundays and no holidays."""
    resting = holidays.country_holidays("PT")
    dates = [fleet.first_day + datetime.timedelta(days=number) for number in range(fleet.days)]
    return [number for number, date in enumerate(dates) if date.weekday() < 6 and date not in resting]


def draw_paces(rng: np.random.Generator, drivers: int) -> tuple[float, ...]:
    """Return how many times the others' time each of some drivers takes."""
    return tuple(rng.lognormal(0.0, 0.08, drivers).tolist())


class _DayOf:
    def __init__(self, rng: np.random.Generator, city: City, fleet: Fleet, traffic: Traffic, number: int) -> None:
        self._rng, self._city, self._fleet, self._traffic, self._number = rng, city, fleet, traffic, number
        self._zero_ms = int(traffic.begins.timestamp() * 1000)
        date = fleet.first_day + datetime.timedelta(days=number)
        begins = datetime.datetime.combine(date, fleet.begins, city.zone)
        self._begins_s = begins.timestamp() - traffic.begins.timestamp()

    def run(self, paces: Sequence[float]) -> Day:
        fleet, doors = self._fleet, self._city.doorsteps
        orders = draw_orders(self._rng, doors, fleet.vans * fleet.stops_per_van)
        latitude, longitude = doors.latitude[orders.address], doors.longitude[orders.address]
        legs: list[Leg] = []
        tracks: dict[int, Track] = {}
        for van, places in enumerate(share_out(latitude, longitude, fleet.vans)):
            tour = places[order_stops(latitude[places], longitude[places], self._city.depot)]
            driven, path = self._drive_round(van, orders, tour, paces[van] * self._rng.lognormal(0.0, 0.03))
            legs += driven
            if self._number in fleet.gps_days:
                tracks[van] = record(self._rng, *path, fleet.phone, self._zero_ms)
        return Day(self._number, legs, tracks)

    def _drive_round(
        self, van: int, orders: Orders, tour: NDArray[np.int64], pace: float
    ) -> tuple[list[Leg], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
        rng, doors, at = self._rng, self._city.doorsteps, self._city.depot
        now_s = planned_s = self._begins_s + rng.normal(0.0, 600.0)
        until_s = now_s + _SHIFT_S
        breaks_down_at = int(rng.integers(len(tour))) if rng.random() < _BREAKDOWN else -1
        legs: list[Leg] = []
        path: list[tuple[NDArray[np.float64], ...]] = [
            (np.array([now_s - 300.0]), np.array([at[0]]), np.array([at[1]]))
        ]
        for stop, order in enumerate(tour):
            address = int(orders.address[order])
            place = doors.parked(rng, address)
            way = self._city.ways.way(at, place)
            if _door_to_door_m(at, doors, address) <= _ON_FOOT_M:
                leg, place = walk(way, now_s + _LOADING_S, _door_to_door_m(at, doors, address)), at
            else:
                leg = drive(rng, way, now_s + _LOADING_S, self._traffic, pace)
            arrived_s = leg.arrival_s + (_REPAIR_S if stop == breaks_down_at else 0.0)
            planned_s += leg.way.seconds[-1] * _PLANNED_FACTOR + _PLANNED_SERVICE_S
            window = self._window(planned_s) if orders.has_window[order] else None
            begins_s = max(arrived_s, window[0] / 1000.0 - self._zero_ms / 1000.0) if window else arrived_s
            served_s, there = doors.serve_s(rng, address, float(orders.weight_kg[order]), pace)
            done_s = begins_s + served_s
            legs.append(self._leg(van, stop, orders, order, tour, leg, arrived_s, done_s, there, window, at, now_s))
            path.append(_stretch(leg, stop == breaks_down_at, done_s))
            at, now_s = place, done_s
            if now_s > until_s:
                break
        return legs, tuple(np.concatenate(parts) for parts in zip(*path, strict=True))

    def _window(self, planned_s: float) -> tuple[int, int]:
        begins_s = np.floor((planned_s - self._rng.uniform(0.25, 0.75) * _WINDOW_S) / 900.0) * 900.0
        return self._zero_ms + int(begins_s * 1000), self._zero_ms + int((begins_s + _WINDOW_S) * 1000)

    def _leg(self, *told: Any) -> Leg:
        van, stop, orders, order, tour, leg, arrived_s, done_s, there, window, at, now_s = told
        address = int(orders.address[order])
        hour = int(now_s // 3600.0)
        return Leg(
            day=self._number,
            van=van,
            stop=stop,
            stops=len(tour),
            address=address,
            kind=KINDS[self._city.doorsteps.kind[address]],
            origin_lat=at[0],
            origin_lon=at[1],
            lat=float(self._city.doorsteps.latitude[address]),
            lon=float(self._city.doorsteps.longitude[address]),
            departed_ms=self._zero_ms + round((now_s + _LOADING_S) * 1000),
            moved_ms=self._zero_ms + round(float(leg.at_s[0]) * 1000),
            arrived_ms=self._zero_ms + round(arrived_s * 1000),
            served_ms=self._zero_ms + round(done_s * 1000),
            is_delivered=there,
            base_s=float(leg.way.seconds[-1]),
            base_m=float(leg.way.metres[-1]),
            weight_kg=float(orders.weight_kg[order]),
            priority=int(orders.priority[order]),
            window_begins_ms=window[0] if window else 0,
            window_ends_ms=window[1] if window else 0,
            rain_mm=float(self._traffic.rain_mm[min(hour, len(self._traffic.rain_mm) - 1)]),
        )


def _door_to_door_m(at: tuple[float, float], doors: Doorsteps, address: int) -> float:
    return float(distance_m(*at, float(doors.latitude[address]), float(doors.longitude[address])))


def _stretch(leg: Drive, is_broken_down: bool, done_s: float) -> tuple[NDArray[np.float64], ...]:
    """Return the points of a leg and of standing at its end, as times, latitudes and longitudes."""
    at_s, way = leg.at_s, leg.way
    if is_broken_down:
        at_s = np.where(np.arange(len(at_s)) >= len(at_s) // 2, at_s + _REPAIR_S, at_s)
    times = np.append(at_s, max(done_s, at_s[-1] + 0.001))
    return times, np.append(way.latitude, way.latitude[-1]), np.append(way.longitude, way.longitude[-1])
