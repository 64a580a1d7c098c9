"""What a bundle has to beat: the ways in which one would tell arrival times without it."""

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.eta.features import FeatureSpec, leg_features
from pipelines.trips import Trips

__all__ = ["alternatives_s"]

_BANDS = 12
_SHRINK = 20.0
_HOURS = 168


def alternatives_s(train: Trips, test: Trips, spec: FeatureSpec, *, threads: int = 1) -> dict[str, NDArray[np.float64]]:
    """Return each alternative's times for the test trips, seconds, learned from the training trips.

    `naive`: great circle ÷ mean speed. `table`: mean pace by hour of the week and distance, shrunk. `lgbm_plain`:
    LightGBM on the same features and seconds, absolute loss, 300 trees of 31 leaves. `provider`: the provider's time ×
    one factor, where there is one.
    """
    known, asked = leg_features(train.legs, spec), leg_features(test.legs, spec)
    duration_s = train.legs["duration_s"]
    away_m, asked_m = (matrix[:, spec.names.index("great_circle_m")] for matrix in (known, asked))
    found = {
        "naive": asked_m / (away_m.sum() / duration_s.sum()),
        "table": _table_s(known, duration_s, asked, spec),
        "lgbm_plain": _plain_s(known, duration_s, asked, spec, threads),
    }
    if "base_s" in train.legs:
        factor = np.median(duration_s / train.legs["base_s"])
        found["provider"] = test.legs["base_s"] * factor
    return found


def _table_s(
    known: NDArray[np.float64], duration_s: NDArray[np.float64], asked: NDArray[np.float64], spec: FeatureSpec
) -> NDArray[np.float64]:
    hour, away = spec.names.index("hour_of_week"), spec.names.index("great_circle_m")
    pace = duration_s / known[:, away]
    edges_m = np.unique(np.quantile(known[:, away], np.linspace(0, 1, _BANDS + 1)[1:-1]))
    band, asked_band = np.searchsorted(edges_m, known[:, away]), np.searchsorted(edges_m, asked[:, away])
    size = len(edges_m) + 1
    parents = np.bincount(band, pace, size) / np.maximum(np.bincount(band, minlength=size), 1)
    cell, asked_cell = known[:, hour].astype(int) * size + band, asked[:, hour].astype(int) * size + asked_band
    counts = np.bincount(cell, minlength=_HOURS * size)
    sums = np.bincount(cell, pace, _HOURS * size)
    means = (sums + _SHRINK * np.tile(parents, _HOURS)) / (counts + _SHRINK)
    return np.asarray(means[asked_cell] * asked[:, away])


def _plain_s(
    known: NDArray[np.float64],
    duration_s: NDArray[np.float64],
    asked: NDArray[np.float64],
    spec: FeatureSpec,
    threads: int,
) -> NDArray[np.float64]:
    settings = {"objective": "l1", "num_leaves": 31, "learning_rate": 0.05, "num_threads": threads, "verbosity": -1}
    data = lightgbm.Dataset(
        known, duration_s, feature_name=list(spec.names), categorical_feature=list(spec.categories) or "auto"
    )
    return np.asarray(lightgbm.train({**settings, "seed": 1}, data, 300).predict(asked, num_threads=threads))
