"""Whether the world has moved since a model was trained: in what it reads, and in how wrong it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eta.bundle import Bundle
from models.eta.features import leg_features
from pipelines.recall import recalled
from pipelines.replay_finishes import Replayed, replay_recalled
from pipelines.scores import Scores, named_segments, score
from pipelines.trips import Trips

__all__ = ["DriftReport", "look_for_drift", "stability_index"]

_BINS = 10
_MOVED = 0.25
"""Above it a feature counts as moved (Siddiqi 2006; 0.1 to 0.25 is worth a look)."""
_DAY_MS = 86_400_000
_LEAST_A_DAY = 20
_COVERAGE = (75.0, 85.0)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What was found."""

    model: str
    rows: int
    scores: Scores
    """In time order."""
    frozen: Scores
    """The bundle alone."""
    features: Mapping[str, float]
    """Population stability index of each feature that varies, the most moved first."""
    days: tuple[Mapping[str, Any], ...]
    """By local day of the legs: rows, mean error, coverage, median shift."""
    levels: Mapping[str, float]
    """Level → share of outcomes below it, percent: 10, 50 and 90 when all is well."""
    factors_min: Mapping[str, float]
    """What moved the predictions, mean absolute minutes by reason."""

    @property
    def alerts(self) -> tuple[str, ...]:
        """What a person should look at."""
        moved = [f"{name} has moved (index {index:.2f})" for name, index in self.features.items() if index > _MOVED]
        days = [
            f"{day['day']}: coverage {day['coverage']:.0f} %"
            for day in self.days
            if not _COVERAGE[0] <= day["coverage"] <= _COVERAGE[1]
        ]
        return (*moved, *days)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "model": self.model,
            "rows": self.rows,
            "scores": self.scores.to_json(),
            "frozen": self.frozen.to_json(),
            "features": dict(self.features),
            "days": [dict(day) for day in self.days],
            "levels": dict(self.levels),
            "factorsMin": dict(self.factors_min),
            "alerts": list(self.alerts),
        }


def look_for_drift(bundle: Bundle, trips: Trips) -> tuple[DriftReport, Replayed]:
    """Return what has moved between the data of a bundle and later trips, and the answers that it rests on.

    Raises
    ------
    InvalidInput
        If the trips lack a column that the bundle reads.
    """
    trips = recalled(bundle, trips)
    replayed = replay_recalled(bundle, trips)
    matrix, actual_s = leg_features(trips.legs, bundle.spec), trips.legs["duration_s"]
    segments = named_segments(trips, bundle.spec)
    indices = {
        name: stability_index(bundle.probe[:, place], matrix[:, place])
        for place, name in enumerate(bundle.spec.names)
        if np.isfinite(bundle.probe[:, place]).any() or np.isfinite(matrix[:, place]).any()
    }
    some = trips.take(np.linspace(0, len(trips) - 1, min(2_000, len(trips))).astype(int))
    minutes = bundle.contributions(some.legs)
    report = DriftReport(
        model=bundle.version,
        rows=len(trips),
        scores=score(replayed.running_s, actual_s, segments),
        frozen=score(replayed.frozen_s, actual_s, segments),
        features=dict(sorted(indices.items(), key=lambda each: -each[1])),
        days=_by_day(trips, replayed),
        levels={
            level: float(100 * np.mean(actual_s < replayed.running_s[:, place]))
            for place, level in enumerate(("p10", "p50", "p90"))
        },
        factors_min={name: float(np.mean(np.abs(values))) for name, values in minutes.items() if np.any(values)},
    )
    return report, replayed


def stability_index(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return the population stability index of one feature: 0 when alike, above 0.25 when moved. Missing is a bin."""
    known = reference[np.isfinite(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.empty(0)
    shares = [_shares(values, edges) for values in (reference, current)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    bins = np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    counts = np.bincount(bins, minlength=len(edges) + 2)
    return np.asarray((counts + 0.5) / (len(values) + 0.5 * len(counts)))


def _by_day(trips: Trips, replayed: Replayed) -> tuple[dict[str, Any], ...]:
    actual_s, days = trips.legs["duration_s"], trips.legs["moment_ms"] // _DAY_MS
    low, middle, high = replayed.running_s.T
    inside, error = (low <= actual_s) & (actual_s <= high), np.abs(middle - actual_s)
    found = []
    for day in np.unique(days):
        rows = days == day
        if rows.sum() >= _LEAST_A_DAY:
            found.append(
                {
                    "day": str(np.datetime64(int(day), "D")),
                    "rows": int(rows.sum()),
                    "mae_s": float(error[rows].mean()),
                    "coverage": float(100 * inside[rows].mean()),
                    "shift": float(np.median(replayed.shifts[rows])),
                }
            )
    return tuple(found)
