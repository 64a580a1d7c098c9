"""How right predictions were: error, range, the worst segment, and whether a difference is more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eta.calibration import DISTANCE_BANDS, HOUR_BANDS, segments_of
from models.eta.features import FeatureSpec, leg_features
from pipelines.trips import Trips

__all__ = ["Gain", "Scores", "days_of", "named_segments", "paired_gain", "score"]

_DAY_MS = 86_400_000
_FEW_DAYS = 10
_PARTS = 4
_DRAWS = 2_000
_LEAST_SEGMENT = 100  # coverage of fewer rows swings by 4 points and more on its own


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much one set of predictions is better than another on the same trips."""

    mean_s: float
    """Mean absolute error of the other less ours, seconds."""
    low_s: float
    """2.5 % quantile over redrawn days."""
    high_s: float
    """97.5 % quantile over redrawn days."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies above zero."""
        return self.low_s > 0


@dataclass(frozen=True, slots=True)
class Scores:
    """What predictions of some trips were worth."""

    rows: int
    mae_s: float
    mape: float
    median_ape: float
    rmsle: float
    coverage_80: float
    mean_width_s: float
    below: float
    """Share that came earlier than P10, percent."""
    above: float
    """Share that came later than P90, percent."""
    segments: Mapping[str, tuple[int, float]]
    """Hour band, distance band or weekend → rows and coverage, percent; those of 100 rows and more."""

    @property
    def worst(self) -> dict[str, Any]:
        """The segment with the lowest coverage."""
        if not self.segments:
            return {"segment": "all", "rows": self.rows, "coverage": self.coverage_80}
        name = min(self.segments, key=lambda each: self.segments[each][1])
        return {"segment": name, "rows": self.segments[name][0], "coverage": self.segments[name][1]}

    def to_json(self) -> dict[str, Any]:
        """Return them as plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "segments"}
        return {**plain, "segments": {name: list(value) for name, value in self.segments.items()}}


def score(
    quantiles_s: NDArray[np.float64], actual_s: NDArray[np.float64], segments: Mapping[str, NDArray[np.bool_]]
) -> Scores:
    """Return what predictions were worth.

    Parameters
    ----------
    quantiles_s
        P10, P50, P90, N × 3 seconds.
    actual_s
        N seconds.
    segments
        Named masks over the N trips.
    """
    low, middle, high = quantiles_s.T
    error, inside = np.abs(middle - actual_s), (low <= actual_s) & (actual_s <= high)
    logs = np.log1p(middle) - np.log1p(actual_s)
    counted = {name: mask for name, mask in segments.items() if mask.sum() >= _LEAST_SEGMENT}
    return Scores(
        rows=len(actual_s),
        mae_s=float(error.mean()),
        mape=float(100 * (error / actual_s).mean()),
        median_ape=float(100 * np.median(error / actual_s)),
        rmsle=float(np.sqrt((logs**2).mean())),
        coverage_80=float(100 * inside.mean()),
        mean_width_s=float((high - low).mean()),
        below=float(100 * (actual_s < low).mean()),
        above=float(100 * (actual_s > high).mean()),
        segments={name: (int(mask.sum()), float(100 * inside[mask].mean())) for name, mask in counted.items()},
    )


def named_segments(trips: Trips, spec: FeatureSpec) -> dict[str, NDArray[np.bool_]]:
    """Return the masks of hour bands, distance bands and the weekend."""
    matrix = leg_features(trips.legs, spec)
    hour, weekday, away_m = (matrix[:, spec.names.index(name)] for name in ("hour", "weekday", "great_circle_m"))
    segment = segments_of(hour, away_m)
    hours, distances = segment // len(DISTANCE_BANDS), segment % len(DISTANCE_BANDS)
    return {
        **{name: hours == place for place, name in enumerate(HOUR_BANDS)},
        **{name: distances == place for place, name in enumerate(DISTANCE_BANDS)},
        "weekend": weekday >= 5,
    }


def days_of(trips: Trips) -> NDArray[np.int64]:
    """Return the day (UTC) on which each trip began; quarters of days where there are fewer than ten to draw from."""
    moments_ms = np.asarray(trips.legs["moment_ms"])
    days = moments_ms // _DAY_MS
    return days if len(np.unique(days)) >= _FEW_DAYS else moments_ms // (_DAY_MS // _PARTS)


def paired_gain(
    other_s: NDArray[np.float64], ours_s: NDArray[np.float64], days: NDArray[np.int64], seed: int = 1
) -> Gain:
    """Return the gain in absolute error on the same trips, its interval by redrawing whole days.

    Trips of one day share weather and traffic, so that rows drawn one by one would make the interval too narrow.

    Parameters
    ----------
    other_s, ours_s
        Absolute errors of N trips, seconds.
    days
        Day of each trip.
    """
    _, place = np.unique(days, return_inverse=True)
    sums, counts = np.bincount(place, other_s - ours_s), np.bincount(place)
    draws = np.random.default_rng(seed).integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Gain(float((other_s - ours_s).mean()), float(low), float(high))
