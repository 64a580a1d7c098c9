"""What models say of the legs ahead. Pure."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.eta.spread import Spread

__all__ = ["Said"]


@dataclass(frozen=True, slots=True)
class Said:
    """What models say of N legs, seconds, each N × 3."""

    raw: NDArray[np.float64]
    """By the model alone."""
    shift: NDArray[np.float64]
    """Log ratio by which the legs that finished lately moved it, length N."""
    said: NDArray[np.float64]
    """Corrected by them."""
    shadow_raw: NDArray[np.float64]
    """The same by the candidate beside it; NaN where there is none."""
    shadow_shift: NDArray[np.float64]
    shadow: NDArray[np.float64]
    model: NDArray[np.uint64]
    """Digests of the champions' versions (`engine.eta.predictor.digest_of`)."""
    candidate: NDArray[np.uint64]
    """The same of the candidate's; 0 where there is none."""
    confidence: NDArray[np.uint8]
    """Places in `engine.eta.plan.CONFIDENCES`: the most that the answer deserves."""
    spread: NDArray[np.float64]
    """How the spreads of the champion's legs join along a plan (`models.eta.spread.Spread.row`), N × 6."""
    stood_in: NDArray[np.bool_]
    """For which legs base times alone answer, because the champion was trained on others."""

    @classmethod
    def empty(cls, size: int) -> "Said":
        """Return room for what is said of some legs."""
        unknown, thrice = np.full(size, np.nan), np.full((size, 3), np.nan)
        return cls(
            raw=thrice.copy(),
            shift=np.zeros(size),
            said=thrice.copy(),
            shadow_raw=thrice.copy(),
            shadow_shift=unknown.copy(),
            shadow=thrice.copy(),
            model=np.zeros(size, np.uint64),
            candidate=np.zeros(size, np.uint64),
            confidence=np.zeros(size, np.uint8),
            spread=np.tile(Spread().row(), (size, 1)),
            stood_in=np.zeros(size, np.bool_),
        )

    def put(self, rows: NDArray[np.int64], said: "Said") -> None:
        """Replace what was said of some legs."""
        for each in fields(self):
            getattr(self, each.name)[rows] = getattr(said, each.name)
