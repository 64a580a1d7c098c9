"""From quantiles of legs to quantiles of arrivals along a plan.

Pure. Spreads do not add up, because one leg's bad luck is only partly the next one's: squares and sums of the legs'
half-widths are carried side by side and joined by a measured correlation. Medians do not quite either: legs and stops
are seldom much shorter than usual and now and then much longer, and over a dozen of them that evens out to later than
twelve times the usual. A stop that has to wait for its window swallows earliness, and lateness up to the waiting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.eta.spread import joined, lifts_of, raised

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
    clock = np.zeros(len(counts))  # seconds since each driver set out: middles added up
    carried = _Carried.of(len(counts))
    for step in range(int(counts.max(initial=0))):
        going = np.flatnonzero(counts > step)
        at = first[going] + step
        clock[going] += legs_s[at, 1]
        carried.add(going, np.abs(np.diff(legs_s[at], axis=1)))
        widths = carried.joined(going, spreads[going])
        opens = np.where(opens_ms[at] > 0, (opens_ms[at] - begins_ms[going]) / 1000, -np.inf)
        middle = clock[going] + carried.raised(going, spreads[going])
        quantiles = np.stack([middle - widths[:, 0], middle, middle + widths[:, 1]], axis=1)
        served = np.maximum(quantiles, opens[:, None])
        reached[at] = begins_ms[going][:, None] + np.rint(np.maximum(served, 0.0) * 1000).astype(np.int64)
        carried.narrow(going, np.diff(served, axis=1), widths)
        clock[going] = served[:, 1] - carried.raised(going, spreads[going]) + service_s[at]
        carried.add(going, service_s[at][:, None] * np.array(_SERVICE))
    return reached


@dataclass(frozen=True, slots=True)
class _Carried:
    """What each driver brings along from the legs and stops so far."""

    sums: NDArray[np.float64]
    """Of half-widths below and above, D × 2."""
    squares: NDArray[np.float64]
    """Of the same, squared."""
    lifts: NDArray[np.float64]
    """Means less medians, length D."""
    leanings: NDArray[np.float64]
    """The same by the squares."""

    @classmethod
    def of(cls, drivers: int) -> "_Carried":
        return cls(np.zeros((drivers, 2)), np.zeros((drivers, 2)), np.zeros(drivers), np.zeros(drivers))

    def add(self, rows: NDArray[np.int64], widths: NDArray[np.float64]) -> None:
        lifts, squares = lifts_of(widths), widths**2
        self.sums[rows] += widths
        self.squares[rows] += squares
        self.lifts[rows] += lifts
        self.leanings[rows] += lifts * squares.sum(axis=1)

    def joined(self, rows: NDArray[np.int64], spreads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the half-widths of the sums."""
        return np.asarray(joined(spreads[:, :1], self.sums[rows], self.squares[rows]) * spreads[:, 1:])

    def raised(self, rows: NDArray[np.int64], spreads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much the middles of the sums lie above the added middles."""
        return raised(spreads[:, 0], self.lifts[rows], self.leanings[rows], self.squares[rows])

    def narrow(self, rows: NDArray[np.int64], left: NDArray[np.float64], widths: NDArray[np.float64]) -> None:
        """Carry on with what waiting has left of the half-widths."""
        share = np.where(widths > 0, left / np.where(widths > 0, widths, 1.0), 0.0)
        # who waits in the middle case but is late in the bad one is late by less; who never waits keeps all of it
        share = np.minimum(share, 1.0)
        least = share.min(axis=1)
        self.sums[rows] *= share
        self.squares[rows] *= share**2
        self.lifts[rows] *= least
        self.leanings[rows] *= least**3
