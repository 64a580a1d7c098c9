"""Travel times between all of some places as a model sees them: what plans are made with when they shall hold.

A planner takes the middle, or a higher quantile to be late less often. Pure.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.features import Legs

__all__ = ["predicted_times", "quantile_of"]

_LEVELS = (0.1, 0.5, 0.9)
_AT_ONCE = 50_000  # legs; the features of one batch take some 15 MB


def predicted_times(
    predict: Callable[[Legs], NDArray[np.float64]],
    places: NDArray[np.float64],
    base_s: NDArray[np.float64],
    base_m: NDArray[np.float64],
    moment_ms: int,
    quantile: float = 0.5,
) -> NDArray[np.float64]:
    """Return a quantile of the time from each of N places to each other, N × N seconds, 0 on the diagonal.

    Parameters
    ----------
    predict
        From columns of legs (`models.eta.schema`) to P10, P50 and P90 in seconds: a bundle's `predict`.
    places
        N × 2, latitude and longitude in degrees WGS 84.
    base_s, base_m
        Base times and ways, N × N. Where no way leads (infinite), none is predicted.
    moment_ms
        When the plan begins, epoch milliseconds.
    quantile
        Between 0.1 and 0.9.

    Raises
    ------
    InvalidInput
        If the quantile is out of that range.
    """
    rows, columns = np.divmod(np.arange(base_s.size), len(places))
    wanted = np.flatnonzero((rows != columns) & np.isfinite(base_s.ravel()) & (base_s.ravel() > 0))
    times = np.where(rows == columns, 0.0, base_s.ravel()).astype(np.float64)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        legs = {
            "moment_ms": np.full(len(some), moment_ms, np.int64),
            "from_lat": places[rows[some], 0],
            "from_lon": places[rows[some], 1],
            "to_lat": places[columns[some], 0],
            "to_lon": places[columns[some], 1],
            "base_s": base_s.ravel()[some],
            "base_m": base_m.ravel()[some],
        }
        times[some] = quantile_of(predict(legs), quantile)
    return times.reshape(base_s.shape)


def quantile_of(predicted: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Return a quantile of N predictions (N × 3 seconds), between the three on the scale of logarithms.

    Raises
    ------
    InvalidInput
        If it is below 0.1 or above 0.9: the model says nothing there.
    """
    low, high = _LEVELS[0], _LEVELS[-1]
    if not low <= quantile <= high:
        raise InvalidInput(f"a quantile lies between {low} and {high}", [("quantile", "out of range")])
    logs = np.log(np.maximum(predicted, 1.0))
    place = int(quantile > _LEVELS[1])
    share = (quantile - _LEVELS[place]) / (_LEVELS[place + 1] - _LEVELS[place])
    return np.asarray(np.exp(logs[:, place] * (1 - share) + logs[:, place + 1] * share))
