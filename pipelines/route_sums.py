"""How the errors of legs and stops add up along a route, measured on drivers' ways that no fold had seen.

A way is some legs that one driver drove one after the other, with the stops between them, as it could be foretold when
it began. The correlations of their errors say how much wider than independent ones a way is, their means how much
longer than its middles; and what the joined half-widths lack of four ways in five is calibrated once more, on the very
rules by which shards join them (`engine.eta.chain`).
"""

from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from engine.eta.chain import arrivals_along
from models.eta.calibration import conformal_offset
from models.eta.spread import Spread
from pipelines.trips import Trips, finishes_ms, passes_over_a_stop

__all__ = ["fit_spread", "ways_of"]

_LENGTHS = (2, 4, 8, 16, 32)  # legs of a way: from the stop after the next to a whole day
_LONGEST_STOP_MS = 3_600_000
_LEAST_WAYS = 100
_FACTORS = (0.5, 2.0)
_LIFTS = (0.0, 1.0)
_FAR = 3.0  # half-widths: no error counts for more


def ways_of(trips: Trips) -> list[NDArray[np.int64]]:
    """Return ways of two to 32 legs, as places among the trips; no leg is in two."""
    legs = trips.legs
    if "driver" not in legs:
        return []
    companies = np.broadcast_to(np.asarray(legs.get("company", ""), dtype=object), (len(trips),))
    names = np.array([f"{company}/{driver}" for company, driver in zip(companies, legs["driver"], strict=True)])
    order = np.lexsort((legs["moment_ms"], names))
    gap_ms = legs["moment_ms"][order[1:]] - _begins_ms(trips)[order[:-1]]
    goes_on = (names[order[1:]] == names[order[:-1]]) & (np.abs(gap_ms) < _LONGEST_STOP_MS)
    goes_on &= legs["moment_ms"][order[1:]] >= finishes_ms(trips)[order[:-1]]
    days = np.split(order, np.flatnonzero(~goes_on) + 1)
    lengths = cycle(_LENGTHS)
    found = []
    for day in days:
        place = 0
        while len(day) - place >= _LENGTHS[0]:
            found.append(day[place : place + next(lengths)])
            place += len(found[-1])
    return found


def fit_spread(
    trips: Trips,
    quantiles_s: NDArray[np.float64],
    shifts: NDArray[np.float64] | None = None,
    services_s: NDArray[np.float64] | None = None,
) -> Spread:
    """Return how spreads join on the ways among trips; the usual where there are fewer than a hundred.

    Parameters
    ----------
    trips
        Trips that were predicted before they were seen.
    quantiles_s
        P10, P50, P90 of each, calibrated, N × 3 seconds.
    shifts
        Log ratio that what had finished before each trip added to them: a way is foretold with that of its first leg.
    services_s
        P10, P50, P90 of the seconds at each trip's stop, foretold likewise, N × 3; without, they count as known.
    """
    ways = ways_of(trips)
    if len(ways) < _LEAST_WAYS:
        return Spread()
    asked = _Foretold.of(trips, ways, quantiles_s, np.zeros(len(trips)) if shifts is None else shifts, services_s)
    spread = Spread(asked.correlation(asked.legs_s, asked.drove_s), lift=_lift(asked.legs_s, asked.drove_s))
    if services_s is not None:
        is_between = asked.stood_s >= 0
        spread = replace(
            spread,
            service_correlation=asked.correlation(asked.stops_s, asked.stood_s),
            service_lift=_lift(asked.stops_s[is_between], asked.stood_s[is_between]),
        )
    low, high = asked.factors(spread)
    return replace(spread, low=low, high=high)


@dataclass(frozen=True, slots=True)
class _Foretold:
    """W ways of S legs in all, one after the other, with what was said when each began."""

    counts: NDArray[np.int64]
    """How many of the legs are each way's."""
    begins_ms: NDArray[np.int64]
    legs_s: NDArray[np.float64]
    """S × 3."""
    drove_s: NDArray[np.float64]
    stops_s: NDArray[np.float64]
    """S × 3."""
    stood_s: NDArray[np.float64]
    """At each stop, without waiting for its window; −1 where nobody knows it of this stop alone: at the last of a way,
    after which it is over, and where the next was made on foot."""
    opens_ms: NDArray[np.int64]
    arrived_ms: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        trips: Trips,
        ways: list[NDArray[np.int64]],
        quantiles_s: NDArray[np.float64],
        shifts: NDArray[np.float64],
        services_s: NDArray[np.float64] | None,
    ) -> "_Foretold":
        """Return the ways among trips."""
        rows, counts = np.concatenate(ways), np.array([len(way) for way in ways], np.int64)
        firsts = rows[np.cumsum(counts) - counts]
        moments_ms, begins_ms = trips.legs["moment_ms"], _begins_ms(trips)
        stood_s = np.full(len(rows), -1.0)
        is_last = np.zeros(len(rows), bool)
        is_last[np.cumsum(counts) - 1] = True
        before = np.flatnonzero(~is_last)
        stood_s[before] = np.maximum(0.0, (moments_ms[rows[before + 1]] - begins_ms[rows[before]]) / 1000)
        known_s = np.maximum(stood_s, 0.0)[:, None].repeat(3, axis=1)
        # what was said of one stop is no word on two
        is_two = passes_over_a_stop(trips.legs, rows[before], rows[before + 1])
        stood_s[before[is_two]] = -1.0
        opens_ms = np.nan_to_num(trips.legs.get("opens_ms", np.zeros(len(trips))), nan=0.0)
        return cls(
            counts=counts,
            begins_ms=moments_ms[firsts],
            legs_s=quantiles_s[rows] * np.exp(np.repeat(shifts[firsts], counts) - shifts[rows])[:, None],
            drove_s=trips.legs["duration_s"][rows],
            stops_s=known_s if services_s is None else np.where(stood_s[:, None] < 0, known_s, services_s[rows]),
            stood_s=stood_s,
            opens_ms=opens_ms[rows].astype(np.int64),
            arrived_ms=finishes_ms(trips)[rows],
        )

    def correlation(self, said_s: NDArray[np.float64], took_s: NDArray[np.float64]) -> float:
        """Return the mean correlation of two times of one way, in [0, 1]; times below 0 are unknown."""
        error = _errors(said_s, took_s)
        known = (took_s >= 0).astype(np.float64)
        error = np.where(known > 0, error - np.average(error, weights=known), 0.0)
        starts = np.cumsum(self.counts) - self.counts
        sums, squares, size = (np.add.reduceat(column, starts) for column in (error, error**2, known))
        pairs = size * (size - 1)
        is_long = pairs > 0
        if not is_long.any():
            return 0.0
        products = (sums[is_long] ** 2 - squares[is_long]) / pairs[is_long]
        return float(np.clip(np.mean(products) / max(squares.sum() / known.sum(), 1e-9), 0.0, 1.0))

    def factors(self, spread: Spread) -> tuple[float, float]:
        """Return by what the half-widths of sums below and above have to be multiplied to hold four in five."""
        plain = np.tile(replace(spread, low=1.0, high=1.0).row(), (len(self.counts), 1))
        reached = arrivals_along(self.begins_ms, self.counts, self.legs_s, self.stops_s, self.opens_ms, plain)
        ends = np.cumsum(self.counts) - 1
        late_ms = np.maximum(self.arrived_ms[ends], self.opens_ms[ends]) - reached[ends, 1]
        widths_ms = np.maximum(np.diff(reached[ends], axis=1), 1000)
        low, high = (conformal_offset(ratio) for ratio in (-late_ms / widths_ms[:, 0], late_ms / widths_ms[:, 1]))
        return float(np.clip(low, *_FACTORS)), float(np.clip(high, *_FACTORS))


def _begins_ms(trips: Trips) -> NDArray[np.float64]:
    """Return when the hand-over at the end of each trip could begin: at arrival, or when the stop's window opens."""
    ends_ms = finishes_ms(trips).astype(np.float64)
    return np.asarray(np.fmax(ends_ms, trips.legs.get("opens_ms", ends_ms)))


def _errors(said_s: NDArray[np.float64], took_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return errors of the middles in half-widths."""
    widths_s = np.maximum(np.diff(said_s, axis=1).mean(axis=1), 1.0)
    return np.asarray(np.clip((took_s - said_s[:, 1]) / widths_s, -_FAR, _FAR))


def _lift(said_s: NDArray[np.float64], took_s: NDArray[np.float64]) -> float:
    """Return how far means lie above the middles, as a share of what half-widths above have over those below."""
    widths_s = np.diff(said_s, axis=1)
    lean_s = float((widths_s[:, 1] - widths_s[:, 0]).sum())
    above_s = float((_errors(said_s, took_s) * np.maximum(widths_s.mean(axis=1), 1.0)).sum())
    return float(np.clip(above_s / lean_s, *_LIFTS)) if lean_s > 0 else 0.0
