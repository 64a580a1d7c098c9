"""The leg that a driver is under way on: what is kept of its beginning on the driver's head, and how it goes. Pure."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import NOWHERE_CLOSED, BaseTimes, Ends, GreatCircles
from engine.eta.legs_ahead import LegsAhead, Whereabouts
from engine.eta.said import Said
from engine.roads.barriers import Barrier
from engine.roads.pinned import Journeys
from engine.shards.stops import StopState
from models.eta.weather import WEATHER_COLUMNS
from models.geo import distances_m

__all__ = ["SETTING_OUT_M", "begin_legs", "mark_places", "place_on_legs", "progress"]

SETTING_OUT_M = 40.0
"""Who has not come further still stands where the leg begins, metres."""

_MARK_MS = 60_000
_RECENT_S = 300.0  # a mark older than this says nothing of the last minutes
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
_TOLD = (
    ("leg_stops_left", "stops_left"),
    ("leg_service_s", "service_ahead_s"),
    ("leg_traffic", "traffic_ratio"),
    *((f"leg_{name}", name) for name in WEATHER_COLUMNS),
)
"""Fields of a head that keep what the model was told then."""
_STRAIGHT = GreatCircles()


def place_on_legs(
    heads: NDArray[np.void], first: NDArray[np.void], lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return from where D drivers at given places go on: who has hardly set out, from where its leg begins.

    Where a van stood is known better than where it is on its first metres, which may be on the next street.
    """
    begins = _is_of(heads, first) & (heads["leg_ms"] > 0) & _has_stayed(heads, lat, lon)
    return np.where(begins, heads["leg_lat"], lat), np.where(begins, heads["leg_lon"], lon)


def progress(
    heads: NDArray[np.void],
    first: NDArray[np.void],
    here: Whereabouts,
    base: BaseTimes,
    barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = NOWHERE_CLOSED,
    slots: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return how the legs to the first stops have gone so far, D values each.

    `barriers` says which drivers go around which closures, `slots` where each one's head is, so that ways are gone on
    with.
    """
    under_way = _is_of(heads, first) & (heads["leg_ms"] > 0)
    elapsed_s = np.where(under_way, np.maximum(0, here.now_ms - heads["leg_ms"]) / 1000.0, 0.0)
    since_s = (here.now_ms - heads["past_ms"]) / 1000.0
    recent_m = distances_m(heads["past_lat"], heads["past_lon"], here.lat, here.lon)
    has_past = (heads["past_ms"] > 0) & (since_s > 0) & (since_s < _RECENT_S)
    return {
        "elapsed_s": elapsed_s,
        "driven_ratio": _driven(heads, here, elapsed_s, base, barriers, slots),
        "straight_ratio": _driven(heads, here, elapsed_s, _STRAIGHT, NOWHERE_CLOSED, None),
        "recent_mps": np.divide(recent_m, since_s, out=np.full(len(heads), np.nan), where=has_past),
    }


def _driven(
    heads: NDArray[np.void],
    here: Whereabouts,
    elapsed_s: NDArray[np.float64],
    base: BaseTimes,
    barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]],
    slots: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Return the time taken so far ÷ the base time of the way driven so far; NaN for who has not set out."""
    ratio = np.full(len(heads), np.nan)
    gone = np.flatnonzero(elapsed_s > 0)
    starts, profile = heads["leg_lat"][gone], heads["profile"][gone]
    ends = Ends(starts, heads["leg_lon"][gone], here.lat[gone], here.lon[gone], profile)
    around = {these: drivers[gone] for these, drivers in barriers.items()}
    journeys = None if slots is None else Journeys(slots[gone], is_to_pinned=False)
    seconds = base.between(ends, barriers=around, journeys=journeys).seconds
    ratio[gone] = np.divide(elapsed_s[gone], seconds, out=ratio[gone], where=seconds > 0)
    return ratio


def mark_places(heads: NDArray[np.void], here: Whereabouts) -> None:
    """Keep where the drivers were a minute ago, and the minute before."""
    due = here.now_ms - heads["mark_ms"] >= _MARK_MS
    for name in ("ms", "lat", "lon"):
        heads[f"past_{name}"] = np.where(due, heads[f"mark_{name}"], heads[f"past_{name}"])
    for name, value in (("ms", here.now_ms), ("lat", here.lat), ("lon", here.lon)):
        heads[f"mark_{name}"] = np.where(due, value, heads[f"mark_{name}"])


def begin_legs(
    heads: NDArray[np.void],
    first: NDArray[np.void],
    here: Whereabouts,
    asked: LegsAhead,
    said: Said,
    at: NDArray[np.int64],
) -> None:
    """Remember what was said at the beginning of a leg, so that its end can be compared.

    `first` is the stop that each driver is under way to, `at` says where among the legs asked that to it is. Heads
    still say when they were estimated last.
    """
    is_other = ~_is_of(heads, first)
    # the place stays where the leg was first seen to begin: one that follows who creeps along is never left
    is_new = is_other | (heads["leg_ms"] == 0)
    begins = (is_new | _has_stayed(heads, here.lat, here.lon)) & (first["state"] != StopState.ARRIVED)
    heads["leg_delivery"] = np.where(is_other, first["delivery"], heads["leg_delivery"])
    heads["leg_kind"] = np.where(is_other, first["kind"], heads["leg_kind"])
    heads["leg_ms"] = np.where(is_other & ~begins, 0, heads["leg_ms"])
    for name, value in (
        ("leg_ms", here.begins_ms),
        ("leg_lat", np.where(is_new, here.lat, heads["leg_lat"])),
        ("leg_lon", np.where(is_new, here.lon, heads["leg_lon"])),
        ("leg_base_s", first["base_s"]),
        ("leg_base_m", first["base_m"]),
        ("leg_base", first["base"]),
        *((field, np.asarray(asked.legs[name])[at]) for field, name in _TOLD),
        *((field, getattr(said, name)[at]) for field, name in _SAID),
    ):
        heads[name] = np.where(begins[:, None] if value.ndim == 2 else begins, value, heads[name])


def _is_of(heads: NDArray[np.void], first: NDArray[np.void]) -> NDArray[np.bool_]:
    """Tell which heads' legs lead to these stops."""
    return np.asarray((heads["leg_delivery"] == first["delivery"]) & (heads["leg_kind"] == first["kind"]))


def _has_stayed(heads: NDArray[np.void], lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which drivers were where their leg begins at the last estimate, and are there still."""
    is_near = distances_m(heads["leg_lat"], heads["leg_lon"], lat, lon) < SETTING_OUT_M
    return np.asarray((heads["leg_ms"] >= heads["at"]) & is_near)
