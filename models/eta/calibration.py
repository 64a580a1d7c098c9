"""Two-tail conformal calibration of P10 and P90, by segment where the data allow it.

Conformalized quantile regression (Romano, Patterson, Candès 2019, arXiv 1905.03222) with each tail by itself: under
drift one symmetric score leaves 17 % late against 5 % early. Scores are in the space of the model, the log ratio to
base time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DISTANCE_BANDS",
    "HOUR_BANDS",
    "Calibration",
    "conformal_offset",
    "fit_calibration",
    "segments_of",
    "tail_scores",
]

HOUR_BANDS = ("morning", "midday", "evening", "late", "night")
"""7–10, 10–16, 16–19, 19–22 and 22–7 o'clock."""
DISTANCE_BANDS = ("short", "middle", "long")
"""Great circle under 1.5 km, to 4 km, beyond."""

_HOUR_EDGES = np.array([7.0, 10.0, 16.0, 19.0, 22.0])
_DISTANCE_EDGES_M = np.array([1_500.0, 4_000.0])
_LEAST_ROWS = 200  # below it a segment's score is its parent's: research on both cities
_TAIL = 0.1


def segments_of(hour: NDArray[np.float64], great_circle_m: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the segment of each leg: hour band × 3 + distance band."""
    band = (np.searchsorted(_HOUR_EDGES, hour, side="right") - 1) % len(HOUR_BANDS)
    return np.asarray(band * len(DISTANCE_BANDS) + np.searchsorted(_DISTANCE_EDGES_M, great_circle_m, side="right"))


def tail_scores(quantiles: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the outcome fell below P10 and rose above P90, N × 2; negative inside.

    Parameters
    ----------
    quantiles
        N × 3 log ratios, sorted.
    actual
        N log ratios.
    """
    return np.stack([quantiles[:, 0] - actual, actual - quantiles[:, 2]], axis=1)


def conformal_offset(scores: NDArray[np.float64], tail: float = _TAIL) -> float:
    """Return the ⌈(n+1)·(1−tail)⌉-th smallest score, which a new one passes with probability `tail` at most."""
    rank = int(np.ceil((len(scores) + 1) * (1 - tail)))
    return float(np.partition(scores, min(rank, len(scores)) - 1)[min(rank, len(scores)) - 1])


@dataclass(frozen=True, slots=True)
class Calibration:
    """By how much the two tails of each segment are moved outwards."""

    offsets: Mapping[int, tuple[float, float]]
    """Segment → (below P10, above P90), log ratio; segments that are not here take the whole's."""
    whole: tuple[float, float]
    """Of all legs together."""
    rows: int
    """On how many legs it rests."""

    def of(self, segments: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the offsets of legs by their segments, N × 2."""
        size = len(HOUR_BANDS) * len(DISTANCE_BANDS)
        table = np.tile(np.array(self.whole), (size, 1))
        for segment, offsets in self.offsets.items():
            table[segment] = offsets
        return table[segments]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        by_segment = {str(segment): list(offsets) for segment, offsets in self.offsets.items()}
        return {"offsets": by_segment, "whole": list(self.whole), "rows": self.rows}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Calibration":
        """Return what `to_json` was made from."""
        by_segment = {int(segment): (float(low), float(high)) for segment, (low, high) in plain["offsets"].items()}
        low, high = plain["whole"]
        return cls(by_segment, (float(low), float(high)), int(plain["rows"]))


def fit_calibration(scores: NDArray[np.float64], segments: NDArray[np.int64]) -> Calibration:
    """Return the calibration of scores (N × 2) that the model was not trained on.

    A segment with fewer than 200 legs takes the score of its distance band at all hours, and the whole's below that.
    """
    whole = _offsets(scores)
    bands = segments % len(DISTANCE_BANDS)
    by_segment: dict[int, tuple[float, float]] = {}
    for segment in range(len(HOUR_BANDS) * len(DISTANCE_BANDS)):
        own, parent = segments == segment, bands == segment % len(DISTANCE_BANDS)
        if own.sum() >= _LEAST_ROWS:
            by_segment[segment] = _offsets(scores[own])
        elif parent.sum() >= _LEAST_ROWS:
            by_segment[segment] = _offsets(scores[parent])
    return Calibration(by_segment, whole, len(scores))


def _offsets(scores: NDArray[np.float64]) -> tuple[float, float]:
    return conformal_offset(scores[:, 0]), conformal_offset(scores[:, 1])
