"""The order in which a driver makes its open stops, and what is kept of each on the way there.

Pure. A dispatched route says its order. What is in no route follows: whom the driver stands before, then what is due
first, then what lies nearest, a pickup always before its drop-off.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.deliveries.nearest import NOTHING, nearest_first
from engine.shards.stops import STOP_NAMES, StopKind, StopState
from models.eta.spread import usual_service_s

__all__ = [
    "AHEAD",
    "CONFIDENCES",
    "PRIORITIES",
    "AheadFlag",
    "OpenStop",
    "RouteOrder",
    "build_plan",
    "ordered",
    "ranks_of",
]

PRIORITIES = ("low", "normal", "high", "urgent")
CONFIDENCES = ("low", "medium", "high")

AHEAD = np.dtype(
    [
        ("delivery", "<i8"),  # the shard's key of the delivery
        ("driver", "<u4"),  # the driver's number
        ("kind", "u1"),  # StopKind
        ("state", "u1"),  # StopState
        ("priority", "u1"),  # place in PRIORITIES
        ("flags", "u1"),  # AheadFlag
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("opens", "<i8"),  # epoch ms; 0 = at any time
        ("closes", "<i8"),  # epoch ms; 0 = never
        ("since", "<i8"),  # time of arrival, where state says so
        ("born", "<i8"),  # version of the delivery when its driver got it: tells one attempt from the next
        ("service_s", "<f8"),
        ("weight_kg", "<f8"),
        ("base_m", "<f8"),  # of the leg from the stop before; of the first one from where the driver was
        ("base_s", "<f8"),
        ("leg_s", "<f8", (3,)),  # its quantiles: one in ten, the middle, nine in ten
        ("reached", "<i8", (3,)),  # when the stop is reached, epoch ms: the same quantiles; 0 = not estimated yet
        ("shown", "<i8"),  # the middle as people see it, damped
        ("told", "<i8"),  # as it was last told to watchers
        ("updated", "<i8"),  # of which moment the estimate is
        ("promise", "<i8", (3,)),  # the first estimate, frozen
        ("promised", "<i8"),  # of which moment it is
        ("risk", "<f4"),  # probability of coming after the window
        ("calls", "u1"),  # estimates in a row at or above the threshold of risk
        ("confidence", "u1"),  # place in CONFIDENCES
        ("base", "u1"),  # place in engine.eta.bases.BASES: who says base_m and base_s
        ("stood_in", "u1"),  # whether base times alone answer, because the model was trained on others
        ("traffic", "<f4"),  # time in traffic ÷ time on free roads, when its leg was last looked at; 0 = unknown
        ("rest_s", "<f4"),  # length of the driver's break before this stop; no hidden padding: equal plans, equal bytes
        ("rest_ends", "<i8"),  # when it is over by the plan, epoch ms
        ("service_wide_s", "<f4", (2,)),  # from service_s to its one in ten below and nine in ten above
    ],
    align=True,
)
"""One stop of a driver's plan."""

_KEPT = ("born", "shown", "told", "promise", "promised", "risk", "calls", "flags", "reached", "updated", "confidence")
_KEPT_OF_LEG = ("base_m", "base_s", "leg_s", "base", "stood_in", "traffic")
_NEW = -2  # place of a stop that the plan before had not: before none that may be there


class AheadFlag:
    """What has been told of a stop, once and for all."""

    IMMINENT = 1
    """The driver is nearly there."""
    LATE = 2
    """It will probably be missed: told."""
    AT_RISK = 4
    """It will probably be missed: still so."""
    SEEN = 8
    """Its outcome has been scored."""
    PREDICTED = 16
    """Its leg has been predicted, from the stop before it."""
    USUAL = 32
    """Its service time is what such stops usually take: nobody has said it."""


class OpenStop(NamedTuple):
    """One open stop of a driver with what the plan needs to know of its delivery."""

    delivery: int
    name: str
    """Id of the delivery."""
    kind: StopKind
    state: StopState
    latitude: float
    longitude: float
    since_ms: int
    version: int
    opens_ms: int = 0
    closes_ms: int = 0
    service_s: float = 0.0
    weight_kg: float = 0.0
    priority: str = "normal"


@dataclass(frozen=True, slots=True)
class RouteOrder:
    """A dispatched route of a driver."""

    version: int
    departs_ms: int
    profile: str
    visits: tuple[tuple[str, str], ...]
    breaks: tuple[tuple[str, str, int, int], ...] = ()
    """Rests of the driver: the visit that follows, begin and end, epoch ms."""


def build_plan(
    driver: int,
    stops: Sequence[OpenStop],
    routes: Mapping[str, RouteOrder],
    here: tuple[float, float] | None,
    before: NDArray[np.void],
) -> NDArray[np.void]:
    """Return the plan of a driver's open stops as `AHEAD` records, in the order of making them.

    Parameters
    ----------
    here
        Where the driver is, degrees; None if nobody knows.
    before
        The plan so far: promises and what was told stay with their stops.
    """
    chosen = ordered(stops, routes, here)
    plan = np.zeros(len(chosen), AHEAD)
    if not chosen:
        return plan
    told = dict(zip(OpenStop._fields, zip(*chosen, strict=True), strict=True))
    plan["driver"] = driver
    for name in ("delivery", "kind", "state", "service_s", "weight_kg"):
        plan[name] = told[name]
    plan["lat"], plan["lon"], plan["since"] = told["latitude"], told["longitude"], told["since_ms"]
    plan["opens"], plan["closes"], plan["born"] = told["opens_ms"], told["closes_ms"], told["version"]
    plan["service_wide_s"] = np.abs(np.diff(usual_service_s(plan["service_s"]), axis=1))
    plan["priority"] = [PRIORITIES.index(name) if name in PRIORITIES else 1 for name in told["priority"]]
    _put_rests(plan, chosen, routes)
    _keep(plan, before)
    return plan


def _put_rests(plan: NDArray[np.void], chosen: Sequence[OpenStop], routes: Mapping[str, RouteOrder]) -> None:
    rests = {(name, kind): span for route in routes.values() for name, kind, *span in route.breaks}
    for place, stop in enumerate(chosen if rests else ()):
        begins, ends = rests.get(_visit(stop), (0, 0))
        plan["rest_s"][place], plan["rest_ends"][place] = (ends - begins) / 1000, ends


def _keep(plan: NDArray[np.void], before: NDArray[np.void]) -> None:
    """Take over what was known of stops, and of their legs where these begin and end where they did."""
    known = {stop: place for place, stop in enumerate(_keys(before))}
    was = np.array([known.get(stop, _NEW) for stop in _keys(plan)])
    stayed = np.flatnonzero(was != _NEW)
    for name in _KEPT:
        plan[name][stayed] = before[name][was[stayed]]
    has_place = np.zeros(len(plan), np.bool_)
    has_place[stayed] = (before["lat"][was[stayed]] == plan["lat"][stayed]) & (
        before["lon"][was[stayed]] == plan["lon"][stayed]
    )
    is_usual = has_place & (plan["service_s"] == 0) & (plan["flags"] & AheadFlag.USUAL > 0)
    for name in ("service_s", "service_wide_s"):
        plan[name][is_usual] = before[name][was[is_usual]]
    plan["flags"][~is_usual] &= ~np.uint8(AheadFlag.USUAL)
    has_leg = np.zeros(len(plan), np.bool_)
    has_leg[1:] = has_place[1:] & has_place[:-1] & (was[1:] == was[:-1] + 1)
    kept = np.flatnonzero(has_leg)
    for name in _KEPT_OF_LEG:
        plan[name][kept] = before[name][was[kept]]
    plan["flags"][~has_leg] &= ~np.uint8(AheadFlag.PREDICTED)


def _keys(plan: NDArray[np.void]) -> list[tuple[int, int]]:
    return list(zip(plan["delivery"].tolist(), plan["kind"].tolist(), strict=True))


def ordered(
    stops: Sequence[OpenStop], routes: Mapping[str, RouteOrder], here: tuple[float, float] | None
) -> list[OpenStop]:
    """Return open stops in the order of making them; those that the driver has left are made."""
    ahead = [stop for stop in stops if stop.state is not StopState.LEFT]
    ranks = ranks_of(routes)
    planned = [stop for stop in ahead if _visit(stop) in ranks]
    planned.sort(key=lambda stop: (stop.state is not StopState.ARRIVED, ranks[_visit(stop)]))
    loose = [stop for stop in ahead if _visit(stop) not in ranks]
    if planned:
        here = (planned[-1].latitude, planned[-1].longitude)
    return planned + _nearest_first(loose, here)


def ranks_of(routes: Mapping[str, RouteOrder]) -> dict[tuple[str, str], int]:
    """Return the place of each planned visit (delivery id, which of its stops), routes in the order of leaving."""
    leaving = sorted(routes.items(), key=lambda item: (item[1].departs_ms, item[0]))
    visits = [visit for _, route in leaving for visit in route.visits]
    return {visit: place for place, visit in reversed(list(enumerate(visits)))}


def _visit(stop: OpenStop) -> tuple[str, str]:
    return stop.name, STOP_NAMES[stop.kind]


def _nearest_first(stops: Sequence[OpenStop], here: tuple[float, float] | None) -> list[OpenStop]:
    """Return stops by urgency, of equally urgent ones always the nearest, of equally near ones the first."""
    if len(stops) < 2:
        return [*stops]
    keys = [(stop.state is not StopState.ARRIVED, stop.closes_ms or math.inf) for stop in stops]
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    fetched = {stop.delivery: place for place, stop in enumerate(stops) if stop.kind is StopKind.PICKUP}
    waits_for = [NOTHING if stop.kind is StopKind.PICKUP else fetched.get(stop.delivery, NOTHING) for stop in stops]
    order = nearest_first(
        np.array([ranks[key] for key in keys], np.int64),
        np.array(waits_for, np.int64),
        np.array([stop.latitude for stop in stops]),
        np.array([stop.longitude for stop in stops]),
        here or (math.nan, math.nan),
    )
    return [stops[place] for place in order.tolist()]
