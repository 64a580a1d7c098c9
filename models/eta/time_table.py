"""Hour × distance: the look-up table that answers when no model can, and that a model has to beat.

Cells are shrunk to the distance band over all hours, and those to the whole (a cell of n legs counts n/(n+20)).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.eta.clock import BANDS, bands_of
from models.eta.features import FeatureSpec, Legs, base_times_s, check_legs, leg_features

__all__ = ["TimeTable", "fit_time_table"]

_BANDS = 12  # of distance, by quantiles
_SHRINK = 20.0
_LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class TimeTable:
    """Quantiles of the log ratio to base time by hour and distance."""

    edges_m: NDArray[np.float64]
    """Inner edges of the bands of great circle, metres."""
    log_ratios: NDArray[np.float64]
    """48 × bands × 3, the hours of working days first."""

    def log_quantiles(
        self, hour: NDArray[np.float64], weekday: NDArray[np.float64], away_m: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return P10, P50, P90 of the log ratio, N × 3."""
        return np.asarray(self.log_ratios[bands_of(hour, weekday), np.searchsorted(self.edges_m, away_m)])

    def predict(self, legs: Legs, spec: FeatureSpec) -> NDArray[np.float64]:
        """Return P10, P50, P90 of the travel time, N × 3 seconds."""
        check_legs(legs, spec)
        hour, weekday, away_m = _read(leg_features(legs, spec), spec)
        return np.asarray(base_times_s(legs, spec)[:, None] * np.exp(self.log_quantiles(hour, weekday, away_m)))

    def save(self, path: Path) -> None:
        """Write it as npz."""
        np.savez_compressed(path, edges_m=self.edges_m, log_ratios=self.log_ratios)

    @classmethod
    def load(cls, path: Path) -> "TimeTable":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(found["edges_m"], found["log_ratios"])


def fit_time_table(matrix: NDArray[np.float64], log_ratio: NDArray[np.float64], spec: FeatureSpec) -> TimeTable:
    """Return the table of finished legs.

    Parameters
    ----------
    matrix
        Features, N × F.
    log_ratio
        Logarithm of the actual time ÷ base time, N values.
    """
    hour, weekday, away_m = _read(matrix, spec)
    edges_m = np.unique(np.quantile(away_m, np.linspace(0, 1, _BANDS + 1)[1:-1]))
    rows, bands = bands_of(hour, weekday), np.searchsorted(edges_m, away_m)
    whole = _quantiles(log_ratio)
    table = np.empty((BANDS, len(edges_m) + 1, len(_LEVELS)))
    for band in range(len(edges_m) + 1):
        in_band = bands == band
        parent = _shrunk(log_ratio[in_band], whole)
        for row in range(BANDS):
            table[row, band] = _shrunk(log_ratio[in_band & (rows == row)], parent)
    return TimeTable(edges_m, np.sort(table, axis=2))


def _shrunk(values: NDArray[np.float64], parent: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(values):
        return parent
    weight = len(values) / (len(values) + _SHRINK)
    return np.asarray(weight * _quantiles(values) + (1 - weight) * parent)


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.quantile(values, _LEVELS), dtype=np.float64)


def _read(matrix: NDArray[np.float64], spec: FeatureSpec) -> tuple[NDArray[np.float64], ...]:
    return tuple(matrix[:, spec.names.index(name)] for name in ("hour", "weekday", "great_circle_m"))
