"""Whom to estimate anew, and how far an answer may move at once.

Pure. A ping rarely changes an estimate: between two of them the clock runs down by itself. A driver is looked at again
when its plan is another, when all its legs are to be predicted anew, when what is left differs from what the clock
says, or when the estimate is old.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import Ends, GreatCircles

__all__ = ["Pacing", "away_s", "damped", "due_slots", "is_due", "is_news"]

_QUICK = GreatCircles()


@dataclass(frozen=True, slots=True)
class Pacing:
    """How often drivers are estimated and people are told."""

    share: float = 0.02
    """Change of the time that is left which matters, as a share of it …"""
    seconds: float = 15.0
    """… or in seconds, whichever is less."""
    fresh_s: float = 10.0
    """A driver that moves is estimated at least this often."""
    silent_s: float = 60.0
    """One that says nothing is looked at this often: the clock alone can make it late."""
    least_s: float = 2.0
    """Two estimates of a driver are no closer than this unless its plan changed."""
    legs_s: float = 300.0
    """How often the legs behind the first are predicted again."""
    told_s: float = 30.0
    """Change of what is shown that is told to watchers and kept in the history …"""
    told_share: float = 0.05
    """… or as a share of the time that is left, whichever is more: what is hours away is not told by the minute."""
    least_left_s: float = 60.0
    """Nobody is told "now" while the driver is still under way."""


def due_slots(
    heads: NDArray[np.void],
    passed_ms: NDArray[np.int64],
    lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    now_ms: NDArray[np.int64],
    pacing: Pacing,
) -> NDArray[np.int64]:
    """Return the places of the heads to estimate now.

    Parameters
    ----------
    heads
        H `HEAD` records.
    passed_ms
        Whether each one's partition is being looked at: its moment of log time, 0 if it is not.
    lat, lon
        Where each driver is.
    now_ms
        The present on each driver's own clock: its last fix, and how long that is ago.
    """
    looked = passed_ms > 0
    waited_s = (now_ms - heads["at"]) / 1000.0
    changed = is_due(heads, away_s(heads, lat, lon), waited_s, pacing)
    is_old = waited_s >= np.where(heads["moved"] != 0, pacing.fresh_s, pacing.silent_s)
    is_asked = (heads["stale"] != 0) | (heads["legs_at"] == 0)
    return np.flatnonzero(looked & (is_asked | changed | is_old))


def is_due(
    heads: NDArray[np.void], away: NDArray[np.float64], waited_s: NDArray[np.float64], pacing: Pacing
) -> NDArray[np.bool_]:
    """Tell for which drivers what is left differs enough from what the clock says."""
    expected = heads["left_s"] - waited_s
    projected = heads["left_s"] * np.divide(away, heads["away_s"], out=np.ones(len(heads)), where=heads["away_s"] > 0)
    limit = np.minimum(pacing.seconds, pacing.share * np.maximum(expected, 0.0))
    differs = np.abs(projected - expected) > limit
    return np.asarray((heads["moved"] != 0) & (waited_s >= pacing.least_s) & differs)


def away_s(heads: NDArray[np.void], lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the next stop is, seconds by pace and great circle: cheap, and good enough to compare."""
    return _QUICK.between(Ends(lat, lon, heads["lat"], heads["lon"], heads["profile"])).seconds


def damped(shown_ms: NDArray[np.int64], reached_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what people see: half way to the new middle while the old answer lies in the new range, else there.

    Parameters
    ----------
    shown_ms
        What they saw, epoch milliseconds; 0 is nothing.
    reached_ms
        The new quantiles, N × 3.
    """
    low, middle, high = reached_ms.T
    inside = (shown_ms >= low) & (shown_ms <= high) & (shown_ms > 0)
    return np.asarray(np.where(inside, (shown_ms + middle) // 2, middle))


def is_news(
    shown_ms: NDArray[np.int64], told_ms: NDArray[np.int64], now_ms: NDArray[np.int64], pacing: Pacing
) -> NDArray[np.bool_]:
    """Tell for which stops what people would see differs enough from what they were told, instants as epoch ms."""
    least_ms = np.maximum(pacing.told_s * 1000, pacing.told_share * (shown_ms - now_ms))
    return np.asarray(np.abs(shown_ms - told_ms) > least_ms)
