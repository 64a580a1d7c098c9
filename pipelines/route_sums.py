"""How the errors of legs add up along a route, measured on drivers' ways that no fold had seen.

A way is some legs that one driver drove one after the other. The correlation of their errors says how much wider than
independent legs a way is, and what the joined half-widths lack of four ways in five is calibrated once more.
"""

import numpy as np
from numpy.typing import NDArray

from models.eta.calibration import conformal_offset
from models.eta.spread import Spread, joined, lifts_of, raised
from pipelines.trips import Trips, finishes_ms

__all__ = ["fit_spread", "ways_of"]

_LEGS = (2, 6)  # of a way: what lies before a customer's stop
_LONGEST_STOP_MS = 3_600_000
_LEAST_WAYS = 100
_FACTORS = (0.5, 2.0)


def ways_of(trips: Trips) -> list[NDArray[np.int64]]:
    """Return ways of two to six legs, as places among the trips; no leg is in two."""
    legs = trips.legs
    if "driver" not in legs:
        return []
    companies = np.broadcast_to(np.asarray(legs.get("company", ""), dtype=object), (len(trips),))
    names = np.array([f"{company}/{driver}" for company, driver in zip(companies, legs["driver"], strict=True)])
    order = np.lexsort((legs["moment_ms"], names))
    gap_ms = legs["moment_ms"][order[1:]] - finishes_ms(trips)[order[:-1]]
    goes_on = (names[order[1:]] == names[order[:-1]]) & (gap_ms >= 0) & (gap_ms < _LONGEST_STOP_MS)
    days = np.split(order, np.flatnonzero(~goes_on) + 1)
    least, most = _LEGS
    found, length = [], least
    for day in days:
        place = 0
        while len(day) - place >= length:
            found.append(day[place : place + length])
            place += length
            length = least + (length - least + 1) % (most - least + 1)
    return found


def fit_spread(trips: Trips, quantiles_s: NDArray[np.float64]) -> Spread:
    """Return how spreads join on the ways among trips; the usual where there are fewer than a hundred.

    Parameters
    ----------
    trips
        Trips that were predicted before they were seen.
    quantiles_s
        P10, P50, P90 of each, calibrated, N × 3 seconds.
    """
    ways = ways_of(trips)
    if len(ways) < _LEAST_WAYS:
        return Spread()
    error_s = trips.legs["duration_s"] - quantiles_s[:, 1]
    widths_s = np.abs(np.diff(quantiles_s, axis=1))
    spread = Spread(_correlation(ways, error_s / np.maximum(widths_s.mean(axis=1), 1.0)))
    sums_s = np.array([widths_s[way].sum(axis=0) for way in ways])
    squares = np.array([(widths_s[way] ** 2).sum(axis=0) for way in ways])
    joined_s = np.maximum(joined(spread.correlation, sums_s, squares), 1.0)
    lifts = lifts_of(widths_s)
    leanings = lifts * (widths_s**2).sum(axis=1)
    added = [np.array([column[way].sum() for way in ways]) for column in (error_s, lifts, leanings)]
    missed_s = added[0] - raised(spread.correlation, added[1], added[2], squares)
    low, high = (conformal_offset(ratio) for ratio in (-missed_s / joined_s[:, 0], missed_s / joined_s[:, 1]))
    return Spread(spread.correlation, float(np.clip(low, *_FACTORS)), float(np.clip(high, *_FACTORS)))


def _correlation(ways: list[NDArray[np.int64]], errors: NDArray[np.float64]) -> float:
    """Return the mean correlation of two legs of one way, in [0, 1]."""
    limited = np.clip(errors, -3.0, 3.0)
    limited = limited - limited[np.concatenate(ways)].mean()
    products = [(limited[way].sum() ** 2 - (limited[way] ** 2).sum()) / (len(way) * (len(way) - 1)) for way in ways]
    variance = float(np.mean(limited[np.concatenate(ways)] ** 2))
    return float(np.clip(np.mean(products) / max(variance, 1e-9), 0.0, 1.0))
