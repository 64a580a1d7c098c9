"""Legs of an invented town and a small bundle trained on them, for tests of travel times."""

import functools

import lightgbm
import numpy as np

from models.eta.bundle import LEVELS, Bundle
from models.eta.calibration import fit_calibration, segments_of, tail_scores
from models.eta.features import FeatureSpec, base_times_s, leg_features
from models.eta.grid_pace import GridPace
from models.eta.smooth import fit_smooth
from models.eta.time_table import fit_time_table

JUNE = 1_780_272_000_000  # 1 June 2026, a Monday, 00:00 UTC
SPEC = FeatureSpec(
    pace=GridPace(lat=41.15, lon=-8.61), zone="Europe/Lisbon", country="PT", categories={"vehicle": ("bike", "van")}
)


def some_legs(rows=2_000, seed=1, days=14):
    """Return legs whose pace follows the hour (slow at 8 and 17), with noise, and their durations."""
    draw = np.random.default_rng(seed)
    moment_ms = np.sort(draw.integers(JUNE, JUNE + days * 86_400_000, rows))
    legs = {
        "moment_ms": moment_ms,
        "from_lat": 41.15 + draw.normal(0, 0.02, rows),
        "from_lon": -8.61 + draw.normal(0, 0.02, rows),
        "to_lat": 41.15 + draw.normal(0, 0.02, rows),
        "to_lon": -8.61 + draw.normal(0, 0.02, rows),
        "vehicle": np.where(draw.random(rows) < 0.5, "van", "bike").astype(object),
    }
    matrix = leg_features(legs, SPEC)
    hour = matrix[:, SPEC.names.index("hour")]
    rush = 0.5 * np.exp(-((hour - 8) ** 2) / 4) + 0.5 * np.exp(-((hour - 17) ** 2) / 4)
    slow = np.where(legs["vehicle"] == "bike", 0.3, 0.0)
    legs["duration_s"] = base_times_s(legs, SPEC) * np.exp(rush + slow + draw.normal(0, 0.2, rows))
    return legs


@functools.cache
def a_bundle(rounds=40, seed=1):
    """Return a bundle trained in a blink; it is right about the invented town."""
    legs = some_legs(seed=seed)
    matrix, base_s = leg_features(legs, SPEC), base_times_s(legs, SPEC)
    log_ratio = np.log(legs["duration_s"] / base_s)
    cut = int(len(log_ratio) * 0.75)
    smooth = fit_smooth(matrix[:cut], log_ratio[:cut], SPEC)
    middle_text = quantile_trees(matrix[:cut], log_ratio[:cut], 0.5, rounds)
    left = log_ratio[:cut] - (_answer(middle_text, matrix[:cut]) + smooth(matrix[:cut])) / 2
    low_text, high_text = (quantile_trees(matrix[:cut], left, alpha, rounds) for alpha in (0.1, 0.9))
    middle = (_answer(middle_text, matrix[cut:]) + smooth(matrix[cut:])) / 2
    tails = [_answer(text, matrix[cut:]) for text in (low_text, high_text)]
    scores = tail_scores(np.stack([middle + tails[0], middle, middle + tails[1]], axis=1), log_ratio[cut:])
    names = SPEC.names
    segments = segments_of(matrix[cut:, names.index("hour")], matrix[cut:, names.index("great_circle_m")])
    calibration = fit_calibration(scores, segments)
    return Bundle(
        spec=SPEC,
        texts=dict(zip(LEVELS, ((low_text,), (middle_text,), (high_text,)), strict=True)),
        calibration=calibration,
        running=calibration,
        scores=scores - calibration.of(segments),
        smooth=smooth,
        smooth_share=0.5,
        level=0.0,
        table=fit_time_table(matrix[:cut], log_ratio[:cut], SPEC),
        probe=matrix[:200],
        metadata={"base": "great circle"},
    )


def _answer(text, matrix):
    return lightgbm.Booster(model_str=text).predict(matrix, num_threads=1)


def quantile_trees(matrix, log_ratio, alpha, rounds):
    """Return the text of trees for one quantile of log ratios."""
    settings = {
        "objective": "quantile",
        "alpha": alpha,
        "num_leaves": 15,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 1,
    }
    data = lightgbm.Dataset(matrix, log_ratio, feature_name=list(SPEC.names))
    return lightgbm.train(settings, data, rounds).model_to_string()
