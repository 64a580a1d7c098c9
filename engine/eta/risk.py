"""How likely a stop is missed, and when that is worth a word.

Pure. The three quantiles are read as two halves of normal distributions that meet in the middle. A word is said once:
when the probability was high twice in a row; it counts as still at risk until it is well below.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.eta.plan import AheadFlag

__all__ = ["Alarms", "RiskRule", "late_probability", "raise_alarms"]

_Z90 = 1.2815515655446004  # nine in ten lie below it


@dataclass(frozen=True, slots=True)
class RiskRule:
    """When somebody is told."""

    raised: float = 0.6
    """Probability at which a stop counts as at risk."""
    cleared: float = 0.35
    """Probability below which it no longer does."""
    calls: int = 2
    """Estimates in a row that have to say so."""
    imminent_s: float = 600.0
    """How long before the arrival a customer is told that the driver is near, seconds."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Places of the plan's records of which something is to be told."""

    late: NDArray[np.int64]
    imminent: NDArray[np.int64]


def late_probability(reached: NDArray[np.int64], closes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how likely each arrival is after its window; 0 where there is none.

    Parameters
    ----------
    reached
        N × 3 quantiles, epoch milliseconds.
    closes
        Ends of the windows, epoch milliseconds; 0 where there is none.
    """
    middle = reached[:, 1]
    slack = (closes - middle).astype(np.float64)
    width = np.where(slack >= 0, reached[:, 2] - middle, middle - reached[:, 0]).astype(np.float64)
    standard = slack / np.maximum(width, 1.0) * _Z90
    return np.asarray(np.where(closes > 0, ndtr(-standard), 0.0))


def raise_alarms(
    stops: NDArray[np.void], now_ms: NDArray[np.int64], is_next: NDArray[np.bool_], rule: RiskRule
) -> Alarms:
    """Bring risk and flags of freshly estimated stops up to date, in place, and return what is to be told.

    Parameters
    ----------
    stops
        N `AHEAD` records.
    now_ms
        The moment of each estimate.
    is_next
        Whether each stop is the one that its driver makes next.
    """
    risk = late_probability(stops["reached"], stops["closes"])
    stops["risk"] = risk
    is_high = risk >= rule.raised
    stops["calls"] = np.where(is_high, np.minimum(stops["calls"], 250) + 1, 0)
    sure = is_high & (stops["calls"] >= rule.calls)
    stops["flags"] = np.where(sure, stops["flags"] | AheadFlag.AT_RISK, stops["flags"])
    calm = risk < rule.cleared
    stops["flags"] = np.where(calm, stops["flags"] & ~np.uint8(AheadFlag.AT_RISK), stops["flags"])
    late = sure & (stops["flags"] & AheadFlag.LATE == 0)
    soon = (stops["reached"][:, 1] - now_ms <= rule.imminent_s * 1000) & is_next & (stops["kind"] == 2)
    imminent = soon & (stops["flags"] & AheadFlag.IMMINENT == 0)
    stops["flags"] = stops["flags"] | np.where(late, AheadFlag.LATE, 0) | np.where(imminent, AheadFlag.IMMINENT, 0)
    return Alarms(np.flatnonzero(late), np.flatnonzero(imminent))
