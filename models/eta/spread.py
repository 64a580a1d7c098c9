"""How the spreads of single legs join into that of a whole route, as measured on routes of several legs. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spread"]


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

    def joined(self, sums: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return joined half-widths from the sums and the summed squares of single ones, before the factors."""
        return np.asarray(np.sqrt((1 - self.correlation) * squares + self.correlation * sums**2))

    def to_json(self) -> dict[str, float]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, float]) -> "Spread":
        """Return what `to_json` was made from."""
        return cls(**{name: float(value) for name, value in plain.items()})
