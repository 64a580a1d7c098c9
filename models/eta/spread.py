"""How the spreads of single legs and stops join into that of a whole route, as measured on drivers' ways. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spread", "usual_service_s"]

_SERVICE = np.array([0.55, 1.0, 1.9])  # of a stop of which only the middle is known


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
