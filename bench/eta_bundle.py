"""A bundle of the usual size and shape for measurements of speed: it is right about nothing but an invented town."""

from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.eta.bundle import LEVELS, Bundle
from models.eta.calibration import fit_calibration, segments_of, tail_scores
from models.eta.features import FeatureSpec, base_times_s, leg_features
from models.eta.grid_pace import GridPace
from models.eta.history import PaceHistory, driver_alias, history_columns
from models.eta.service_time import fit_service_times
from models.eta.smooth import fit_smooth
from models.eta.time_table import fit_time_table

__all__ = ["COMPANY", "ROUNDS", "a_bundle", "driver_of", "some_legs"]

COMPANY = "ten_bench"
"""Whose legs they are."""
ROUNDS = 300
_DRIVERS = 500
_LEAVES = 31
_ROWS = 6_000  # more would train longer and predict no slower
_PORTO = GridPace(lat=41.15, lon=-8.61)
_SPEC = FeatureSpec(pace=_PORTO, zone="Europe/Lisbon")


def some_legs(rows: int, seed: int = 1) -> dict[str, NDArray[Any]]:
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


def driver_of(number: int) -> str:
    """Return the id of the driver with a number."""
    return f"drv_{number}"


def a_bundle() -> Bundle:
    """Return a bundle with 300 trees of 31 leaves for the median and for the distance of each tail from it.

    It reads what is known of drivers and places, as models of a company's own legs do, and says how long stops take.
    """
    legs = some_legs(_ROWS)
    hour = leg_features(legs, _SPEC)[:, _SPEC.names.index("hour")]
    draw = np.random.default_rng(2)
    log_ratio = 0.4 * np.exp(-((hour - 8) ** 2) / 4) + draw.normal(0, 0.2, _ROWS)
    history = PaceHistory()
    known = _with_history(legs, log_ratio, history)
    matrix = leg_features(known, _SPEC)
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
        service=fit_service_times(COMPANY, legs["to_lat"], legs["to_lon"], draw.lognormal(4.8, 0.5, _ROWS)),
        history=history,
    )


def _with_history(
    legs: dict[str, NDArray[Any]], log_ratio: NDArray[np.float64], history: PaceHistory
) -> dict[str, NDArray[Any]]:
    """Return legs with what the ones before tell of each; `history` knows all of them then."""
    aliases = [driver_alias(COMPANY, driver_of(number % _DRIVERS + 1)) for number in range(_ROWS)]
    known: dict[str, NDArray[Any]] = {**legs, "driver": np.array(aliases, dtype=object)}
    known["company"] = np.full(_ROWS, COMPANY, dtype=object)
    took_s = base_times_s(legs, _SPEC) * np.exp(log_ratio)
    ended_ms = known["moment_ms"] + np.rint(took_s * 1000).astype(np.int64)
    finished = {**known, "ended_ms": ended_ms, "log_ratio": log_ratio}
    return {**known, **history_columns(known, finished, known=history)}


def _trees(matrix: NDArray[np.float64], log_ratio: NDArray[np.float64], alpha: float) -> lightgbm.Booster:
    settings = {"objective": "quantile", "alpha": alpha, "num_leaves": _LEAVES, "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(matrix, log_ratio, feature_name=list(_SPEC.names))
    return lightgbm.train(settings, data, ROUNDS)
