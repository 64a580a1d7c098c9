"""How the spreads of single legs join into that of a whole route, as measured on routes of several legs. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spread", "joined", "lifts_of", "raised"]

_LIFT = 0.3
"""Mean less median of a lognormal time, as a share of what its half-width to P90 has over that to P10."""


def lifts_of(widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the mean of each time lies above its median; N × 2 half-widths below and above."""
    return np.asarray(_LIFT * (widths[:, 1] - widths[:, 0]))


def joined(
    correlation: NDArray[np.float64] | float, sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the half-widths of sums from the sums and the summed squares of their parts' half-widths, N × 2."""
    return np.asarray(np.sqrt((1 - correlation) * squares + correlation * sums**2))


def raised(
    correlation: NDArray[np.float64] | float,
    lifts: NDArray[np.float64],
    leanings: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return by how much the middle of a sum lies above the sum of the middles.

    The more times are added, the more evenly the sum lies about its mean; what it still leans is the mean lean of its
    parts, weighted by their variances (the median of a Cornish-Fisher expansion: third cumulants and variances add up).

    Parameters
    ----------
    correlation
        Between any two parts; of parts that err as one the middles do add up.
    lifts, leanings
        Sums over the parts: of their lifts, and of their lifts times their squared half-widths, length N.
    squares
        Summed squared half-widths below and above, N × 2.
    """
    return np.asarray((1 - correlation) * (lifts - leanings / np.maximum(squares.sum(axis=1), 1e-9)))


@dataclass(frozen=True, slots=True)
class Spread:
    """One leg's bad luck is only partly the next one's."""

    correlation: float = 0.3
    """Between any two legs of one driver's way, in [0, 1]."""
    low: float = 1.0
    """Factor of the joined half-width below the middle: the sum calibrated again."""
    high: float = 1.0
    """Factor of the one above."""

    def row(self) -> NDArray[np.float64]:
        """Return correlation, low and high, length 3."""
        return np.array([self.correlation, self.low, self.high])

    def to_json(self) -> dict[str, float]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, float]) -> "Spread":
        """Return what `to_json` was made from."""
        return cls(**{name: float(value) for name, value in plain.items()})
