"""Two models on the same finished trips, in the order of time, on those alone that neither had learned from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.bundle import Bundle
from pipelines.recall import learned_until_ms
from pipelines.replay_finishes import replay
from pipelines.scores import Gain, Scores, days_of, named_segments, paired_gain, score
from pipelines.trips import Trips

__all__ = ["Comparison", "compare_on"]

_LEAST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models were worth on the same trips."""

    ours: Scores
    theirs: Scores
    gain: Gain
    """By how much ours is better, seconds, with an interval over redrawn days."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures by the names of the command's output."""
        return {
            "compared_rows": self.ours.rows,
            "compared_mae_s": [self.ours.mae_s, self.theirs.mae_s],
            "compared_coverage_80": [self.ours.coverage_80, self.theirs.coverage_80],
            "gain_s": [self.gain.mean_s, self.gain.low_s, self.gain.high_s],
        }


def compare_on(ours: Bundle, theirs: Bundle, trips: Trips) -> Comparison:
    """Return what two models were worth on trips that are newer than what either learned from.

    Raises
    ------
    InvalidInput
        If fewer than a hundred trips are.
    """
    until_ms = max(learned_until_ms(ours), learned_until_ms(theirs))
    newer = trips.take(trips.legs["moment_ms"] > until_ms)
    if len(newer) < _LEAST_ROWS:
        raise InvalidInput(
            f"{len(newer)} of {len(trips)} trips are newer than what both models learned from: {_LEAST_ROWS} are needed"
        )
    actual_s, segments = newer.legs["duration_s"], named_segments(newer, ours.spec)
    said = [_said_of(bundle, trips, until_ms) for bundle in (ours, theirs)]
    errors = [np.abs(one[:, 1] - actual_s) for one in said]
    scores = [score(one, actual_s, segments) for one in said]
    return Comparison(scores[0], scores[1], paired_gain(errors[1], errors[0], days_of(newer)))


def _said_of(bundle: Bundle, trips: Trips, since_ms: int) -> NDArray[np.float64]:
    """Return what a model says of trips after a moment, having seen those that began after its own training."""
    unknown = trips.take(trips.legs["moment_ms"] > learned_until_ms(bundle))
    said: NDArray[np.float64] = replay(bundle, unknown).running_s[unknown.legs["moment_ms"] > since_ms]
    return said
