"""From quantiles of legs to quantiles of arrivals along a plan.

Pure. Spreads do not add up, because one leg's bad luck is only partly the next one's: each time is taken to be made of
a part that a whole way shares and a part of its own, in measured proportions, one for legs and one for stops (the
one-factor model of credit risk, Vasicek 1987). Medians do not quite add up either: legs and stops are seldom much
shorter than usual and now and then much longer, and over a dozen of them that evens out to later than twelve times the
usual. A stop that has to wait for its window swallows earliness, and lateness up to the waiting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.eta.spread import Parts, joined, parts_of, raised

__all__ = ["arrivals_along"]


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
    first = np.cumsum(counts) - counts
    clock = np.zeros(len(counts))  # seconds since each driver set out: middles added up
    carried = _Carried.of(len(counts))
    for step in range(int(counts.max(initial=0))):
        going = np.flatnonzero(counts > step)
        at, spread = first[going] + step, spreads[going]
        clock[going] += legs_s[at, 1]
        carried.add(going, parts_of(legs_s[at], spread[:, 0], spread[:, 1]))
        widths = carried.joined(going) * (spread[:, 4:] if step else 1.0)  # a leg alone is calibrated by its model
        opens = np.where(opens_ms[at] > 0, (opens_ms[at] - begins_ms[going]) / 1000, -np.inf)
        middle = clock[going] + carried.raised(going)
        quantiles = np.stack([middle - widths[:, 0], middle, middle + widths[:, 1]], axis=1)
        served = np.maximum(quantiles, opens[:, None])
        reached[at] = begins_ms[going][:, None] + np.rint(np.maximum(served, 0.0) * 1000).astype(np.int64)
        carried.narrow(going, np.diff(served, axis=1), widths)
        clock[going] = served[:, 1] - carried.raised(going) + services_s[at, 1]
        carried.add(going, parts_of(services_s[at], spread[:, 2], spread[:, 3]))
    return reached


@dataclass(frozen=True, slots=True)
class _Carried:
    """What each driver brings along from the legs and stops so far: sums over them."""

    parts: Parts

    @classmethod
    def of(cls, drivers: int) -> "_Carried":
        return cls(Parts(np.zeros((drivers, 2)), np.zeros((drivers, 2)), np.zeros(drivers), np.zeros(drivers)))

    def add(self, rows: NDArray[np.int64], more: Parts) -> None:
        for mine, theirs in zip(self.parts, more, strict=True):
            mine[rows] += theirs

    def joined(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the half-widths of the sums."""
        return joined(self._of(rows))

    def raised(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much the middles of the sums lie above the added middles."""
        return raised(self._of(rows))

    def narrow(self, rows: NDArray[np.int64], left: NDArray[np.float64], widths: NDArray[np.float64]) -> None:
        """Carry on with what waiting has left of the half-widths."""
        share = np.where(widths > 0, left / np.where(widths > 0, widths, 1.0), 0.0)
        # who waits in the middle case but is late in the bad one is late by less; who never waits keeps all of it
        share = np.minimum(share, 1.0)
        least = share.min(axis=1)
        self.parts.shared[rows] *= share
        self.parts.own[rows] *= share**2
        self.parts.lifts[rows] *= least
        self.parts.leanings[rows] *= least**3

    def _of(self, rows: NDArray[np.int64]) -> Parts:
        return Parts(*(column[rows] for column in self.parts))
