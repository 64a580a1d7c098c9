"""Calibration that goes on after training: a rolling window of scores, and levels that adapt to what was missed.

Adaptive conformal inference (Gibbs, Candès, NeurIPS 2021, arXiv 2106.00170) for each tail by itself, over the newest
scores (arXiv 2406.06516). It needs outcomes in the order of *finish*. Pure and incremental: some microseconds an
outcome.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.eta.calibration import DISTANCE_BANDS

__all__ = ["OnlineCalibration", "OnlineProfile"]

_TAIL = 0.1


@dataclass(frozen=True, slots=True)
class OnlineProfile:
    """How fast it follows."""

    window: int = 2_000
    """Newest scores kept of each tail."""
    step: float = 0.005
    """By how much an outcome moves the level of each tail."""
    segment_step: float = 0.007
    """By how much, in log ratio, an outcome moves the margins of its hour band and of its distance band."""
    segment_limit: float = 0.3
    """No band's own margin goes beyond this log ratio."""
    least: int = 50
    """With fewer outcomes of its own a tenant's answer is said with low confidence."""
    widest: float = 0.005
    """A level is never below this: beyond the window's largest score nothing is known."""


@dataclass(slots=True)
class OnlineCalibration:
    """How far the two tails are moved beyond the bundle's own calibration."""

    profile: OnlineProfile = field(default_factory=OnlineProfile)
    outcomes: int = 0
    """Outcomes taken in."""
    missed: list[int] = field(default_factory=lambda: [0, 0])
    """Outcomes below P10 and above P90 as they were promised."""
    _bands: dict[tuple[str, int, int], float] = field(default_factory=dict)
    _levels: list[float] = field(default_factory=lambda: [_TAIL, _TAIL])
    _newest: tuple[deque[float], deque[float]] = field(default_factory=lambda: (deque(), deque()))
    _ranked: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def seed(self, scores: NDArray[np.float64]) -> None:
        """Begin with scores that training left (N × 2, the newest last), which move no level."""
        for tail in (0, 1):
            for score in scores[-self.profile.window :, tail].tolist():
                self._keep(tail, score)

    def observe(self, below: float, above: float, segment: int | None = None) -> None:
        """Take in the outcome of a prediction.

        Parameters
        ----------
        below, above
            Scores (`models.eta.calibration.tail_scores`) against the quantiles with the bundle's running calibration
            and the shift of their time, but without the margins of this class.
        segment
            Of `models.eta.calibration.segments_of`, where it is known.
        """
        promised, margins = self.margins(segment), self.margins()
        for tail, score in enumerate((below, above)):
            self.missed[tail] += int(score > promised[tail])
            moved = self._levels[tail] - self.profile.step * (float(score > margins[tail]) - _TAIL)
            self._levels[tail] = min(0.5, max(self.profile.widest, moved))
            if segment is not None:
                self._move_bands(segment, tail, float(score > promised[tail]) - _TAIL)
            self._keep(tail, score)
        self.outcomes += 1

    def margins(self, segment: int | None = None) -> tuple[float, float]:
        """Return what to add to the bundle's offsets of each tail, log ratio; zero before anything is known.

        With a segment its bands' own margins are in it, each a gradient step on the pinball loss an outcome (quantile
        tracking, arXiv 2307.16895): 80 % over all hid 75 % at some hour or distance.
        """
        low, high = self._margin(0), self._margin(1)
        if segment is None:
            return low, high
        return low + self._band_margin(segment, 0), high + self._band_margin(segment, 1)

    @property
    def is_confident(self) -> bool:
        """Whether enough outcomes stand behind it."""
        return self.outcomes >= self.profile.least

    def _band_margin(self, segment: int, tail: int) -> float:
        return sum(self._bands.get((*band, tail), 0.0) for band in _bands_of(segment))

    def _move_bands(self, segment: int, tail: int, excess: float) -> None:
        limit = self.profile.segment_limit
        for band in _bands_of(segment):
            moved = self._bands.get((*band, tail), 0.0) + self.profile.segment_step * excess
            self._bands[(*band, tail)] = min(limit, max(-limit, moved))

    def _margin(self, tail: int) -> float:
        ranked = self._ranked[tail]
        if not ranked:
            return 0.0
        rank = int(np.ceil((len(ranked) + 1) * (1 - self._levels[tail])))
        return ranked[min(rank, len(ranked)) - 1]

    def _keep(self, tail: int, score: float) -> None:
        newest, ranked = self._newest[tail], self._ranked[tail]
        if len(newest) == self.profile.window:
            del ranked[bisect_left(ranked, newest.popleft())]
        newest.append(score)
        insort(ranked, score)


def _bands_of(segment: int) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("hour", segment // len(DISTANCE_BANDS)), ("distance", segment % len(DISTANCE_BANDS))
