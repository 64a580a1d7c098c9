"""The legs that lie ahead of drivers: which of them are predicted, and what models are told of each.

Pure. Stops of D drivers stand one after the other, those of each in the order of making them; a leg leads to each from
the stop before, the first one from where the driver is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.conditions.board import ConditionBoard
from engine.eta.bases import PROFILES, ROADS, Ends
from engine.eta.predictor import Legs
from models.eta.weather import WEATHER_COLUMNS

__all__ = ["LegsAhead", "WantedLegs", "Whereabouts", "departures_ms", "ends_of", "met", "on_the_route"]

_TRAFFIC_LASTS_MS = 3_600_000  # what the roads take now says little of a leg that begins later
_BIKE = PROFILES.index("bike")


@dataclass(frozen=True, slots=True)
class LegsAhead:
    """Legs to be predicted, with whose they are."""

    legs: Legs
    tenants: NDArray[np.uint32]
    """The shard's index of each leg's tenant."""
    drivers: NDArray[np.uint32]
    """Number of each leg's driver."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where D drivers are."""

    now_ms: NDArray[np.int64]
    """The present by each driver's own clock."""
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    begins_ms: NDArray[np.int64]
    """When each goes on: now, or when its route leaves."""


@dataclass(frozen=True, slots=True)
class WantedLegs:
    """Which of S stops are whose, and the legs of which W are predicted; the others keep theirs."""

    counts: NDArray[np.int64]
    """How many of the stops are each driver's."""
    firsts: NDArray[np.int64]
    """Place of each driver's first stop."""
    places: NDArray[np.int64]
    """Of the W among the stops, rising."""
    owner: NDArray[np.int64]
    """Which driver's each of the W is."""
    of_firsts: NDArray[np.int64]
    """Where among the W each driver's first leg is: it is always predicted."""

    @classmethod
    def of(cls, counts: NDArray[np.int64], is_wanted: NDArray[np.bool_]) -> "WantedLegs":
        """Return the legs that are wanted, and each driver's first."""
        firsts = np.cumsum(counts) - counts
        is_wanted = is_wanted.copy()
        is_wanted[firsts] = True
        places = np.flatnonzero(is_wanted)
        owner = np.repeat(np.arange(len(counts)), counts)[places]
        return cls(counts, firsts, places, owner, np.searchsorted(places, firsts))


def ends_of(stops: NDArray[np.void], wanted: WantedLegs, here: Whereabouts, profile: NDArray[np.uint8]) -> Ends:
    """Return where the wanted legs begin and end, and what they are driven with: `profile` of each driver."""
    from_lat, from_lon = _froms(stops["lat"], here.lat, wanted.firsts), _froms(stops["lon"], here.lon, wanted.firsts)
    at = wanted.places
    return Ends(from_lat[at], from_lon[at], stops["lat"][at], stops["lon"][at], profile[wanted.owner])


def _froms(places: NDArray[np.float64], here: NDArray[np.float64], firsts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return where each leg begins: at the stop before, the first one where the driver is."""
    begins = np.empty(len(places))
    begins[1:] = places[:-1]
    begins[firsts] = here
    return begins


def departures_ms(stops: NDArray[np.void], wanted: WantedLegs, begins_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return about when each of the S legs begins: by the arrivals estimated last, else by base times, and service."""
    firsts, counts = wanted.firsts, wanted.counts
    took_s = stops["base_s"] + stops["service_s"] + stops["rest_s"]
    since_s = np.cumsum(took_s) - np.repeat((np.cumsum(took_s) - took_s)[firsts], counts) - stops["service_s"]
    first_guess = np.repeat(begins_ms, counts) + np.rint(since_s * 1000).astype(np.int64)
    reached = np.where(stops["reached"][:, 1] > 0, stops["reached"][:, 1], first_guess)
    left = np.maximum(reached, stops["opens"]) + np.rint(stops["service_s"] * 1000).astype(np.int64)
    departs = np.empty(len(stops), np.int64)
    departs[1:] = left[:-1]
    departs[firsts] = begins_ms
    return np.maximum(departs, np.repeat(begins_ms, counts))


def met(
    stops: NDArray[np.void],
    places: NDArray[np.int64],
    departs_ms: NDArray[np.int64],
    now_ms: NDArray[np.int64],
    profile: NDArray[np.uint8],
    conditions: ConditionBoard,
) -> dict[str, NDArray[Any]]:
    """Return when W legs begin, the weather then, and the traffic of now where that is soon.

    They lead to the stops at `places`. What the fleet's own drives say of traffic goes before what other servers say.
    """
    lat, lon, traffic = stops["lat"][places], stops["lon"][places], stops["traffic"][places].astype(np.float64)
    is_soon = departs_ms - now_ms < _TRAFFIC_LASTS_MS
    is_on_roads = (stops["base"][places] == ROADS) & (profile != _BIKE)
    flow = np.where(is_on_roads, conditions.flow_at(lat, lon), np.nan)
    return {
        "moment_ms": departs_ms,
        "traffic_ratio": np.where(is_soon, np.where(traffic > 0, traffic, flow), np.nan),
        **dict(zip(WEATHER_COLUMNS, conditions.weather_at(lat, lon, departs_ms / 1000), strict=True)),
    }


def on_the_route(stops: NDArray[np.void], wanted: WantedLegs) -> dict[str, NDArray[np.float64]]:
    """Return where each wanted leg stands in its route, and what the stop is."""
    firsts, counts, places, owner = wanted.firsts, wanted.counts, wanted.places, wanted.owner
    index = places - firsts[owner]
    total = np.cumsum(stops["service_s"])
    ends = total[(firsts + counts - 1)[owner]]
    return {
        "stop_index": index.astype(np.float64),
        "stops_left": (counts[owner] - index).astype(np.float64),
        "service_ahead_s": ends - total[places] + stops["service_s"][places],
        "weight_kg": stops["weight_kg"][places].astype(np.float64),
        "priority": np.maximum(0, stops["priority"][places].astype(np.float64) - 1),
    }
