"""A bundle of the usual size and shape for measurements of speed: it is right about nothing but an invented town."""

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.eta.bundle import LEVELS, Bundle
from models.eta.calibration import fit_calibration, segments_of, tail_scores
from models.eta.features import FeatureSpec, base_times_s, leg_features
from models.eta.grid_pace import GridPace
from models.eta.smooth import fit_smooth
from models.eta.time_table import fit_time_table

__all__ = ["ROUNDS", "a_bundle", "some_legs"]

ROUNDS = 300
_LEAVES = 31
_ROWS = 6_000  # more would train longer and predict no slower
_PORTO = GridPace(lat=41.15, lon=-8.61)
_SPEC = FeatureSpec(pace=_PORTO, zone="Europe/Lisbon")


def some_legs(rows: int, seed: int = 1) -> dict[str, NDArray[np.generic]]:
    """Return legs of an invented town with a rush hour."""
    draw = np.random.default_rng(seed)
    moment_ms = 1_750_000_000_000 + draw.integers(0, 14 * 86_400_000, rows)
    return {
        "moment_ms": moment_ms,
        "from_lat": 41.15 + draw.normal(0, 0.02, rows),
        "from_lon": -8.61 + draw.normal(0, 0.02, rows),
        "to_lat": 41.15 + draw.normal(0, 0.02, rows),
        "to_lon": -8.61 + draw.normal(0, 0.02, rows),
        "elapsed_s": draw.integers(0, 900, rows).astype(np.float64),
    }


def a_bundle() -> Bundle:
    """Return a bundle with 300 trees of 31 leaves for the median and for the distance of each tail from it."""
    legs = some_legs(_ROWS)
    matrix, base_s = leg_features(legs, _SPEC), base_times_s(legs, _SPEC)
    hour = matrix[:, _SPEC.names.index("hour")]
    draw = np.random.default_rng(2)
    log_ratio = 0.4 * np.exp(-((hour - 8) ** 2) / 4) + draw.normal(0, 0.2, _ROWS) + 0 * base_s
    smooth = fit_smooth(matrix, log_ratio, _SPEC)
    median = _trees(matrix, log_ratio, 0.5)
    middle = (median.predict(matrix, num_threads=1) + smooth(matrix)) / 2
    low, high = (_trees(matrix, log_ratio - middle, alpha) for alpha in (0.1, 0.9))
    texts = {level: (trees.model_to_string(),) for level, trees in zip(LEVELS, (low, median, high), strict=True)}
    tails = [trees.predict(matrix, num_threads=1) for trees in (low, high)]
    scores = tail_scores(np.stack([middle + tails[0], middle, middle + tails[1]], axis=1), log_ratio)
    segments = segments_of(hour, matrix[:, _SPEC.names.index("great_circle_m")])
    calibration = fit_calibration(scores, segments)
    return Bundle(
        spec=_SPEC,
        texts=texts,
        calibration=calibration,
        running=calibration,
        scores=scores[-2000:],
        smooth=smooth,
        smooth_share=0.5,
        level=0.0,
        table=fit_time_table(matrix, log_ratio, _SPEC),
        probe=matrix[:1000],
        metadata={"base": "street grid"},
    )


def _trees(matrix: NDArray[np.float64], log_ratio: NDArray[np.float64], alpha: float) -> lightgbm.Booster:
    settings = {"objective": "quantile", "alpha": alpha, "num_leaves": _LEAVES, "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(matrix, log_ratio, feature_name=list(_SPEC.names))
    return lightgbm.train(settings, data, ROUNDS)
