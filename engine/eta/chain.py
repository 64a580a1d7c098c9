"""From quantiles of legs to quantiles of arrivals along a plan.

Pure. Medians add up; spreads do not, because one leg's bad luck is only partly the next one's: squares and sums of
the legs' half-widths are carried side by side and joined by a measured correlation. A stop that has to wait for its
window swallows earliness, and lateness up to the waiting.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["arrivals_along"]

_SERVICE = (0.45, 0.9)
"""Half-widths of a stop's service time below and above its middle, as shares of it."""


def arrivals_along(
    begins_ms: NDArray[np.int64],
    counts: NDArray[np.int64],
    legs_s: NDArray[np.float64],
    service_s: NDArray[np.float64],
    opens_ms: NDArray[np.int64],
    spreads: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return when each stop is reached and may be served, three quantiles of it.

    Parameters
    ----------
    begins_ms
        When each of D drivers sets out, epoch milliseconds.
    counts
        How many of the stops below are each driver's, length D; they sum to S.
    legs_s
        S × 3 seconds of the leg to each stop, not falling from left to right.
    service_s
        How long each stop takes, length S.
    opens_ms
        Before when each stop is not served; 0 is never.
    spreads
        How each driver's legs join (`models.eta.spread.Spread.row`), D × 3.

    Returns
    -------
    NDArray
        S × 3 epoch milliseconds, not falling from left to right, never before `opens_ms`.
    """
    reached = np.zeros((len(legs_s), 3), np.int64)
    first = np.cumsum(counts) - counts
    clock = np.zeros(len(counts))  # seconds since each driver set out: the middle
    sums, squares = np.zeros((len(counts), 2)), np.zeros((len(counts), 2))  # of half-widths below and above
    for step in range(int(counts.max(initial=0))):
        going = np.flatnonzero(counts > step)
        at = first[going] + step
        clock[going] += legs_s[at, 1]
        _widen(sums, squares, going, np.abs(np.diff(legs_s[at], axis=1)))
        widths = _joined(sums[going], squares[going], spreads[going])
        opens = np.where(opens_ms[at] > 0, (opens_ms[at] - begins_ms[going]) / 1000, -np.inf)
        middle = clock[going]
        quantiles = np.stack([middle - widths[:, 0], middle, middle + widths[:, 1]], axis=1)
        served = np.maximum(quantiles, opens[:, None])
        reached[at] = begins_ms[going][:, None] + np.rint(np.maximum(served, 0.0) * 1000).astype(np.int64)
        left = np.diff(served, axis=1)
        _narrow(sums, squares, going, left, widths)
        clock[going] = served[:, 1] + service_s[at]
        _widen(sums, squares, going, service_s[at][:, None] * np.array(_SERVICE))
    return reached


def _widen(
    sums: NDArray[np.float64], squares: NDArray[np.float64], rows: NDArray[np.int64], widths: NDArray[np.float64]
) -> None:
    sums[rows] += widths
    squares[rows] += widths**2


def _joined(
    sums: NDArray[np.float64], squares: NDArray[np.float64], spreads: NDArray[np.float64]
) -> NDArray[np.float64]:
    correlation = spreads[:, :1]
    return np.asarray(np.sqrt((1 - correlation) * squares + correlation * sums**2) * spreads[:, 1:])


def _narrow(
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    rows: NDArray[np.int64],
    left: NDArray[np.float64],
    widths: NDArray[np.float64],
) -> None:
    """Carry on with what waiting has left of the half-widths."""
    share = np.where(widths > 0, left / np.where(widths > 0, widths, 1.0), 0.0)
    # who waits in the middle case but is late in the bad one is late by less; who never waits keeps all of it
    share = np.minimum(share, 1.0)
    sums[rows] *= share
    squares[rows] *= share**2
