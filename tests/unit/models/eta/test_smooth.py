"""The smooth surface of paces."""

import numpy as np
import pytest

from models.eta.smooth import _robust_ridge

COLUMNS = 60


def plainly(columns, target, weights, penalty):
    """The definition, word for word: squares, reweighted so that errors of more than a tenth count absolutely."""
    now = weights
    for _ in range(4):
        normal = columns.T @ np.diag(now) @ columns + penalty * np.eye(columns.shape[1])
        heights = np.linalg.solve(normal, columns.T @ (now * target))
        now = weights * 0.25 / np.maximum(np.abs(target - columns @ heights), 0.1)
    return heights


@pytest.mark.parametrize("legs", [1, 25, COLUMNS - 1, COLUMNS, 300])
@pytest.mark.parametrize("least_weight", [0.0, 0.5])
def test_heights_are_the_same_however_many_legs_there_are(legs, least_weight):
    draw = np.random.default_rng(legs)
    columns = draw.normal(size=(legs, COLUMNS)) * 0.1
    columns[:, -1] = 1e3  # the constant, which the penalty leaves alone
    target = draw.standard_t(2, legs) + columns[:, 0] * 4 + 1.3
    weights = draw.uniform(least_weight, 1, legs)
    weights[0] = least_weight
    found = _robust_ridge(columns, target, weights, 2.0)
    asked = draw.normal(size=(40, COLUMNS)) * 0.1
    asked[:, -1] = 1e3
    np.testing.assert_allclose(asked @ found, asked @ plainly(columns, target, weights, 2.0), atol=1e-6)
