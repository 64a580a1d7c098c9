"""Who says how long legs take: the protocol of models, and the answer that needs none. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.eta.bases import GREAT_CIRCLE, PROFILES, ROADS
from engine.travel.pace import ROAD_PACES
from models.eta.base_time import PACES
from models.eta.clock import local_clock
from models.eta.history import PaceHistory
from models.eta.spread import Spread
from models.eta.weather import WEATHER_COLUMNS, weather_factor

__all__ = ["ANY_BASE", "COLD_START", "OWN_BASE", "ColdStart", "Legs", "Predictor", "digest_of"]

Legs = Mapping[str, ArrayLike]
"""Columns of N legs by name, as `models.eta.schema` lists them, and some that go before it: `profile` (place in
`engine.eta.bases.PROFILES`), `base_of` (place in `BASES`: who says `base_s`), and what the great circle says of the
same legs: `straight_s`, `straight_m`, `straight_ratio` (for `base_s`, `base_m`, `driven_ratio`)."""

OWN_BASE = "own"
"""Of models that make base times themselves."""
ANY_BASE = "provider"
"""Of models that were trained on somebody's base times, nobody knows whose: they are answered for with low confidence.
"""

COLD_START = "cold-start"
"""Version of the estimate that needs no model."""

# Four of five real trips lie in this range. What every leg costs however short it is, is hardly anything for who is
# under way or has somebody at the kerb: below, that and the driving are two things that nobody knows.
_LESS_FIXED, _LESS_DRIVEN, _HIGH = 0.9, 0.35, 1.6


class Predictor(Protocol):
    """Says how long legs take."""

    version: str
    """Under which its answers are remembered."""
    spread: Spread
    """How the spreads of its legs join along a route."""
    history: PaceHistory | None
    """What it knew of finished legs when it was made; None if it reads no history."""
    history_until_ms: int
    """When the newest of them had ended, epoch milliseconds."""
    base: str
    """Whose base times it was trained on: one of `engine.eta.bases.BASES`, `OWN_BASE` or `ANY_BASE`."""
    reads_driven: bool
    """Whether its answers may hang on what the way driven so far takes on the roads."""

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return one in ten, middle and nine in ten of the seconds that each leg takes, N × 3, sorted."""

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what makes legs longer or shorter than their base times: minutes by reason, N each.

        `shift` is the log ratio that what just happened adds, N values.
        """

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base time of each leg as the model reads it, seconds."""

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantiles of the seconds at a tenant's stops, N × 3; 0 where nothing is known."""


def digest_of(version: str) -> int:
    """Return 64 bits that stand for a model's version in packed records."""
    return int.from_bytes(hashlib.blake2b(version.encode(), digest_size=8).digest(), "little")


class ColdStart:
    """Base times and a range that is wide and honest."""

    version = COLD_START
    spread = Spread()
    history: PaceHistory | None = None
    history_until_ms = 0
    base = OWN_BASE
    reads_driven = False

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return base times with the range in which four of five real trips lie."""
        fixed_s, driven_s = _parts_s(legs)
        usual_s = fixed_s + driven_s
        below_s = np.hypot(_LESS_FIXED * fixed_s, _LESS_DRIVEN * driven_s)
        return np.stack([usual_s - below_s, usual_s, _HIGH * usual_s], axis=1)

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what the weather and what just happened add: base times are all there is beside them."""
        usual_s = np.sum(_parts_s(legs), axis=0)
        wet = _weather(legs)
        return {"weather": usual_s * (1.0 - 1.0 / wet) / 60, "today": usual_s * np.expm1(shift) / 60}

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base times as they are given."""
        return np.asarray(legs["base_s"], np.float64)

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return nothing: no stop has been seen."""
        return np.zeros((len(lat), 3))


def _parts_s(legs: Legs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what legs usually take, however short they are and for their length: free roads at the pace of the hour.

    Base times of the great circle hold both already. Where traffic is known, it takes the place of the hour's, and of
    the weather's: it flows so in this weather.
    """
    wet, base_s = _weather(legs), np.asarray(legs["base_s"], np.float64)
    on_roads = np.flatnonzero((np.asarray(legs.get("base_of", GREAT_CIRCLE)) == ROADS) & (base_s > 0))
    kind = np.asarray(legs.get("profile", np.full(len(base_s), _USUAL)), np.int64)
    fixed_s = np.minimum(_STRAIGHT_FIXED_S[kind], base_s)
    driven_s = base_s - fixed_s
    if not on_roads.size:
        return wet * fixed_s, wet * driven_s
    moments = np.asarray(legs["moment_ms"])[on_roads].astype(np.int64)
    zone = np.asarray(legs.get("zone", "UTC"))
    clock = local_clock(moments, zone if zone.ndim == 0 else zone[on_roads])
    hour = (clock.weekday * 24 + clock.hour).astype(np.int64)
    profile = kind[on_roads]
    traffic = np.asarray(legs.get("traffic_ratio", np.full(len(base_s), np.nan)), np.float64)[on_roads]
    factor = np.where(np.isfinite(traffic), traffic, _HOURS[profile, hour])
    fixed_s[on_roads], driven_s[on_roads] = _FIXED_S[profile], factor * base_s[on_roads]
    return wet * fixed_s, wet * driven_s


def _weather(legs: Legs) -> NDArray[np.float64]:
    """Return what the weather multiplies legs by: nothing where it is not known, or traffic is."""
    rows = len(np.asarray(legs["base_s"]))
    unknown = np.full(rows, np.nan)
    rain, cold, wind = (np.asarray(legs.get(name, unknown), np.float64) for name in WEATHER_COLUMNS)
    if not (np.isfinite(rain).any() or np.isfinite(wind).any()):
        return np.ones(rows)
    by_bike = np.asarray(legs.get("profile", np.zeros(rows))) == PROFILES.index("bike")
    has_traffic = np.isfinite(np.asarray(legs.get("traffic_ratio", unknown), np.float64))
    return np.where(has_traffic, 1.0, weather_factor(rain, cold, wind, by_bike))


_USUAL = PROFILES.index("van")
_STRAIGHT_FIXED_S = np.array([PACES[name].fixed_s for name in PROFILES])
_FIXED_S = np.array([ROAD_PACES[name].fixed_s for name in PROFILES])  # type: ignore[index]  # the same names
_HOURS = np.array([ROAD_PACES[name].hours for name in PROFILES])  # type: ignore[index]  # the same names
