"""Play finished trips again in the order of time: what is predicted at a moment may use what had finished by then.

The same classes correct predictions here and in the engine (`models.eta.residuals`, `models.eta.online_calibration`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.eta.bundle import Bundle
from models.eta.calibration import tail_scores
from models.eta.features import base_times_s, leg_features
from models.eta.online_calibration import OnlineCalibration, OnlineProfile
from models.eta.residuals import ResidualProfile, RunningResidual, freshness
from pipelines.recall import recalled
from pipelines.trips import Trips, finishes_ms

__all__ = ["Replayed", "replay", "replay_quantiles", "replay_recalled", "running_shifts"]

_ALL = "all"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a bundle said of trips it had not seen: frozen, and corrected by what had finished."""

    frozen_s: NDArray[np.float64]
    """P10, P50, P90 by the bundle alone, N × 3 seconds."""
    running_s: NDArray[np.float64]
    """The same in time order, with the running residual and online calibration."""
    shifts: NDArray[np.float64]
    """Log ratio that finished trips added."""


def replay(
    bundle: Bundle,
    trips: Trips,
    residual: ResidualProfile | None = None,
    online: OnlineProfile | None = None,
) -> Replayed:
    """Return what a bundle answers for trips in the order of time, each with what had finished before its moment."""
    return replay_recalled(bundle, recalled(bundle, trips), residual, online)


def replay_recalled(
    bundle: Bundle,
    known: Trips,
    residual: ResidualProfile | None = None,
    online: OnlineProfile | None = None,
) -> Replayed:
    """Return the same of trips that have been told already what the bundle remembers (`pipelines.recall`)."""
    quantiles = bundle.log_quantiles(leg_features(known.legs, bundle.spec))
    return replay_quantiles(bundle, known, quantiles, residual, online)


def replay_quantiles(
    bundle: Bundle,
    trips: Trips,
    quantiles: NDArray[np.float64],
    residual: ResidualProfile | None = None,
    online: OnlineProfile | None = None,
) -> Replayed:
    """Return the same where the log ratios are known (N × 3, not calibrated), and only calibration is the bundle's."""
    matrix, base_s = leg_features(trips.legs, bundle.spec), base_times_s(trips.legs, bundle.spec)
    actual = np.log(trips.legs["duration_s"] / base_s)
    shifts = running_shifts(trips, actual - quantiles[:, 1], residual)
    segments = bundle.segments(matrix)
    offsets = bundle.running.of(segments)
    scores = tail_scores(quantiles + shifts[:, None], actual) - offsets
    margins = _margins(trips, scores, segments, bundle.scores, online)
    return Replayed(
        bundle.times_s(base_s, matrix, quantiles),
        bundle.times_s(base_s, matrix, quantiles, shifts, offsets + margins),
        shifts,
    )


def running_shifts(
    trips: Trips, residuals: NDArray[np.float64], profile: ResidualProfile | None = None
) -> NDArray[np.float64]:
    """Return the running residual at the moment of each trip.

    Parameters
    ----------
    trips
        In the order of their moments.
    residuals
        log(actual ÷ P50) of each trip, which count once it has ended.

    Notes
    -----
    As in the engine (`engine.eta.corrections`) a leg that is predicted again under way counts once, by what was said at
    its departure, and later moments take less of what others left.
    """
    running, moments = RunningResidual(profile or ResidualProfile()), trips.legs["moment_ms"]
    ends, elapsed_s = finishes_ms(trips), _elapsed_s(trips)
    shifts = np.zeros(len(trips))
    for arrived, place in _in_order(moments, ends):
        if not arrived:
            shifts[place] = running.shift((_ALL,), int(moments[place]))
        elif elapsed_s[place] == 0:
            running.observe((_ALL,), int(ends[place]), float(residuals[place]))
    return shifts * freshness(elapsed_s)


def _elapsed_s(trips: Trips) -> NDArray[np.float64]:
    """Return how long each trip was under way at its moment, seconds; 0 where nobody says so."""
    return np.nan_to_num(np.asarray(trips.legs.get("elapsed_s", np.zeros(len(trips))), np.float64), nan=0.0)


def _margins(
    trips: Trips,
    scores: NDArray[np.float64],
    segments: NDArray[np.int64],
    seed: NDArray[np.float64],
    profile: OnlineProfile | None,
) -> NDArray[np.float64]:
    online = OnlineCalibration(profile or OnlineProfile())
    online.seed(seed)
    margins = np.zeros((len(trips), 2))
    for arrived, place in _in_order(trips.legs["moment_ms"], finishes_ms(trips)):
        if arrived:
            online.observe(float(scores[place, 0]), float(scores[place, 1]), int(segments[place]))
        else:
            margins[place] = online.margins(int(segments[place]))
    return margins


def _in_order(moments_ms: NDArray[np.int64], ends_ms: NDArray[np.int64]) -> list[tuple[bool, int]]:
    """Return (arrived, place) of departures and arrivals in the order of time; at one instant departures go first."""
    times = np.concatenate([moments_ms, ends_ms])
    order = np.argsort(times, kind="stable").tolist()
    count = len(moments_ms)
    return [(place >= count, place % count) for place in order]
