"""Gradient-boosted trees (LightGBM) as one would train them by hand, for one quantile or loss."""

from dataclasses import asdict, dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.eta.features import FeatureSpec

__all__ = ["TreePlan", "train_trees"]


@dataclass(frozen=True, slots=True)
class TreePlan:
    """How trees are grown."""

    objective: str = "l1"
    """`l1`, `huber` or `quantile`."""
    alpha: float = 0.5
    """Level of a quantile, or the width of huber's square part."""
    rounds: int = 500
    """Trees at most."""
    leaves: int = 31
    """Leaves of a tree."""
    least_rows: int = 40
    """Rows of a leaf at least."""
    rate: float = 0.04
    """Learning rate."""
    feature_share: float = 0.6
    """Features that each tree sees."""
    row_share: float = 0.7
    """Rows that each tree sees."""
    l2: float = 1.0
    """Ridge on leaf values."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def train_trees(
    matrix: NDArray[np.float64],
    target: NDArray[np.float64],
    spec: FeatureSpec,
    plan: TreePlan,
    *,
    threads: int,
    seed: int = 1,
    stop_on: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> lightgbm.Booster:
    """Return trees grown on features (N × F) and their target; with `stop_on` no more of them than help there."""
    settings = {
        "objective": plan.objective,
        "alpha": plan.alpha,
        "num_leaves": plan.leaves,
        "min_data_in_leaf": plan.least_rows,
        "learning_rate": plan.rate,
        "feature_fraction": plan.feature_share,
        "bagging_fraction": plan.row_share,
        "bagging_freq": 1,
        "lambda_l2": plan.l2,
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    names, categories = list(spec.names), list(spec.categories)
    data = lightgbm.Dataset(matrix, target, feature_name=names, categorical_feature=categories or "auto")
    if stop_on is None:
        return lightgbm.train(settings, data, plan.rounds)
    apart = lightgbm.Dataset(*stop_on, reference=data)
    stopping = lightgbm.early_stopping(max(20, plan.rounds // 10), verbose=False)
    return lightgbm.train(settings, data, plan.rounds, valid_sets=[apart], callbacks=[stopping])
