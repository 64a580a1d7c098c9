"""From quantiles of legs to quantiles of arrivals along a plan.

Pure. Spreads do not add up, because one leg's bad luck is only partly the next one's: each time is taken to be made of
a part that a whole way shares and a part of its own, in measured proportions, one for legs and one for stops (the
one-factor model of credit risk, Vasicek 1987). Medians do not quite add up either: legs and stops are seldom much
shorter than usual and now and then much longer, and over a dozen of them that evens out to later than twelve times the
usual. A stop that has to wait for its window swallows earliness, and lateness up to the waiting.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compiled import estimate_rule

__all__ = ["arrivals_along", "warm_up"]

_Sums = tuple[float, float, float, float, float, float]


def arrivals_along(
    begins_ms: NDArray[np.int64],
    counts: NDArray[np.int64],
    legs_s: NDArray[np.float64],
    services_s: NDArray[np.float64],
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
    services_s
        S × 3 seconds that each stop takes, likewise.
    opens_ms
        Before when each stop is not served; 0 is never.
    spreads
        How each driver's legs and stops join (`models.eta.spread.Spread.row`), D × 6.

    Returns
    -------
    NDArray
        S × 3 epoch milliseconds, not falling from left to right, never before `opens_ms`.
    """
    reached = np.zeros((len(legs_s), 3), np.int64)
    whole: Any = (np.ascontiguousarray(column, np.int64) for column in (begins_ms, counts, opens_ms))
    broken: Any = (np.ascontiguousarray(column, np.float64) for column in (legs_s, services_s, spreads))
    _follow(reached, *whole, *broken)
    return reached


def warm_up() -> None:
    """Compile, or load from the cache, what `arrivals_along` runs."""
    one = np.ones((1, 3))
    arrivals_along(np.ones(1, np.int64), np.ones(1, np.int64), one, one, np.ones(1, np.int64), np.ones((1, 6)))


@estimate_rule
def _follow(
    reached: NDArray[np.int64],
    begins_ms: NDArray[np.int64],
    counts: NDArray[np.int64],
    opens_ms: NDArray[np.int64],
    legs_s: NDArray[np.float64],
    services_s: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> None:
    stop = 0
    for driver in range(len(counts)):
        of_legs, lift_of_legs, of_stops, lift_of_stops, low, high = spreads[driver]
        clock_s = 0.0  # since the driver set out: middles added up
        sums = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        for place in range(counts[driver]):
            clock_s += legs_s[stop, 1]
            sums = _with(sums, legs_s[stop], of_legs, lift_of_legs)
            # a leg alone is calibrated by its model
            below = math.sqrt(sums[2] + sums[0] ** 2) * (low if place else 1.0)
            above = math.sqrt(sums[3] + sums[1] ** 2) * (high if place else 1.0)
            opens_s = (opens_ms[stop] - begins_ms[driver]) / 1000 if opens_ms[stop] > 0 else -np.inf
            middle = clock_s + _raised(sums)
            first, half, last = max(middle - below, opens_s), max(middle, opens_s), max(middle + above, opens_s)
            for quantile, at_s in enumerate((first, half, last)):
                reached[stop, quantile] = begins_ms[driver] + np.int64(np.rint(max(at_s, 0.0) * 1000))
            # who waits in the middle case but is late in the bad one is late by less; who never waits keeps all of it
            left_below = min(1.0, (half - first) / below) if below > 0 else 0.0
            left_above = min(1.0, (last - half) / above) if above > 0 else 0.0
            sums = _narrowed(sums, left_below, left_above)
            clock_s = half - _raised(sums) + services_s[stop, 1]
            sums = _with(sums, services_s[stop], of_stops, lift_of_stops)
            stop += 1


@estimate_rule
def _with(sums: _Sums, quantiles_s: NDArray[np.float64], correlation: float, lift: float) -> _Sums:
    """Return what a driver brings along with one more time.

    Half-widths below and above that err as one; squared half-widths below and above of what is each time's own; means
    less medians of what is each time's own; the same by the squares.
    """
    below, above = abs(quantiles_s[1] - quantiles_s[0]), abs(quantiles_s[2] - quantiles_s[1])
    shared, alone = math.sqrt(correlation), 1.0 - correlation
    own_below, own_above, lean = alone * below**2, alone * above**2, alone * lift * (above - below)
    return (
        sums[0] + shared * below,
        sums[1] + shared * above,
        sums[2] + own_below,
        sums[3] + own_above,
        sums[4] + lean,
        sums[5] + lean * (own_below + own_above),
    )


@estimate_rule
def _raised(sums: _Sums) -> float:
    """Return by how much the middle of a sum lies above the sum of the middles.

    The more times are added, the more evenly the sum lies about its mean; what it still leans is the mean lean of its
    parts, weighted by their variances (the median of a Cornish-Fisher expansion: third cumulants and variances add up).
    Of what errs as one the middles do add up.
    """
    return sums[4] - sums[5] / max(sums[2] + sums[3], 1e-9)


@estimate_rule
def _narrowed(sums: _Sums, below: float, above: float) -> _Sums:
    """Return what waiting leaves, given the shares of the half-widths that are left."""
    least = min(below, above)
    return (
        sums[0] * below,
        sums[1] * above,
        sums[2] * below**2,
        sums[3] * above**2,
        sums[4] * least,
        sums[5] * least**3,
    )
