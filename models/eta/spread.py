"""How the spreads of single legs and stops join into that of a whole route, as measured on drivers' ways. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Parts", "Spread", "joined", "parts_of", "raised", "usual_service_s"]

_SERVICE = np.array([0.55, 1.0, 1.9])  # of a stop of which only the middle is known


class Parts(NamedTuple):
    """What times bring into a sum of many; sums of these are those of the sum."""

    shared: NDArray[np.float64]
    """Of the half-widths below and above, what errs as one with the others of the way, N × 2 seconds."""
    own: NDArray[np.float64]
    """Of the squared half-widths, what is each time's own, N × 2."""
    lifts: NDArray[np.float64]
    """Means less medians of what is each time's own, length N."""
    leanings: NDArray[np.float64]
    """The same by the squares."""


def parts_of(
    quantiles_s: NDArray[np.float64], correlation: NDArray[np.float64] | float, lift: NDArray[np.float64] | float
) -> Parts:
    """Return what times bring into a sum.

    Parameters
    ----------
    quantiles_s
        N × 3: one in ten, the middle, nine in ten.
    correlation
        Between any two of them, in [0, 1].
    lift
        Mean less median of each, as a share of what its half-width above has over the one below.
    """
    widths = np.abs(np.diff(quantiles_s, axis=1))
    correlation = np.broadcast_to(np.asarray(correlation, np.float64), len(widths))
    alone = 1 - correlation
    own = alone[:, None] * widths**2
    lifts = alone * lift * (widths[:, 1] - widths[:, 0])
    return Parts(np.sqrt(correlation)[:, None] * widths, own, lifts, lifts * own.sum(axis=1))


def joined(sums: Parts) -> NDArray[np.float64]:
    """Return the half-widths of sums below and above, N × 2 seconds."""
    return np.asarray(np.sqrt(sums.own + sums.shared**2))


def raised(sums: Parts) -> NDArray[np.float64]:
    """Return by how much the middle of each sum lies above the sum of the middles, length N.

    The more times are added, the more evenly the sum lies about its mean; what it still leans is the mean lean of its
    parts, weighted by their variances (the median of a Cornish-Fisher expansion: third cumulants and variances add up).
    Of what errs as one the middles do add up.
    """
    return np.asarray(sums.lifts - sums.leanings / np.maximum(sums.own.sum(axis=1), 1e-9))


def usual_service_s(middle_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles of the seconds at stops of which only the middle is known, N × 3."""
    return np.asarray(middle_s[:, None] * _SERVICE)


@dataclass(frozen=True, slots=True)
class Spread:
    """One leg's bad luck is only partly the next one's."""

    correlation: float = 0.3
    """Between any two legs of one driver's way, in [0, 1]."""
    low: float = 1.0
    """Factor of the joined half-width below the middle: the sum calibrated again."""
    high: float = 1.0
    """Factor of the one above."""
    lift: float = 0.3
    """Mean less median of a leg, as a share of what its half-width to P90 has over that to P10; 0.3 of a lognormal."""
    service_correlation: float = 0.1
    """Between any two stops of one driver's way, in [0, 1]."""
    service_lift: float = 0.3
    """As `lift`, of a stop."""

    def row(self) -> NDArray[np.float64]:
        """Return it as numbers: correlation and lift of legs, the same of stops, low and high; length 6."""
        legs, stops = (self.correlation, self.lift), (self.service_correlation, self.service_lift)
        return np.array([*legs, *stops, self.low, self.high])

    def to_json(self) -> dict[str, float]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, float]) -> "Spread":
        """Return what `to_json` was made from."""
        return cls(**{name: float(value) for name, value in plain.items()})
