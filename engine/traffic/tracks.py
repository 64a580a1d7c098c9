"""Fixes of many drivers as tracks to be matched: in order, thinned, each step in one track alone. Pure."""

import numpy as np
from numpy.typing import NDArray

from models.messages.fixes import DEGREE, Outcome

__all__ = ["RecentTracks"]

_STEP_S = 12.0  # closer fixes are left out: a step of a jam has to be longer than the noise of its ends
_GAP_S = 45.0  # a longer silence begins another track: a phone that sleeps at a door is no jam
_AHEAD_S = 150.0  # clocks that are further ahead are wrong
_OLDEST_S = 1800.0  # what a phone kept for longer says nothing of now
_FORGET_S = 600.0


class RecentTracks:
    """Remembers the last fix of each driver, so that the next ones go on from it."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float, float]] = {}

    def take(
        self, stored: NDArray[np.void], now_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return new fixes as tracks of two or more: degrees, degrees, epoch seconds, and where each begins (and F).

        Parameters
        ----------
        stored
            `STORED` records in any order. Those that moved nothing, and old ones, are left out.
        now_s
            The present, epoch seconds.
        """
        seconds = stored["time"] / 1000
        kept = (stored["outcome"] == Outcome.LIVE) & (seconds > now_s - _OLDEST_S) & (seconds < now_s + _AHEAD_S)
        stored, seconds = stored[kept], seconds[kept]
        order = np.lexsort((seconds, stored["driver"]))
        rows: list[tuple[float, float, float]] = []
        starts = [0]
        driver, last = -1, (0.0, 0.0, 0.0)
        columns = (stored["driver"], stored["lat"] / DEGREE, stored["lon"] / DEGREE, seconds)
        for number, lat, lon, at_s in zip(*(column[order].tolist() for column in columns), strict=True):
            if number != driver:
                _close(rows, starts)
                driver = number
                last = self._last.get(number, (0.0, 0.0, 0.0))
            since_s = at_s - last[2]
            if since_s < _STEP_S:
                continue
            if since_s > _GAP_S:
                _close(rows, starts)
            elif len(rows) == starts[-1]:
                rows.append(last)
            last = (lat, lon, at_s)
            self._last[number] = last
            rows.append(last)
        _close(rows, starts)
        self._last = {number: one for number, one in self._last.items() if one[2] > now_s - _FORGET_S}
        # a column behind the other, as set-up compiled the rules of roads for: strides would compile them anew
        lat, lon, seconds = np.ascontiguousarray(np.array(rows, np.float64).reshape(-1, 3).T)
        return lat, lon, seconds, np.array(starts, np.int64)


def _close(rows: list[tuple[float, float, float]], starts: list[int]) -> None:
    """End the track under way; one fix alone is none."""
    if len(rows) - starts[-1] >= 2:
        starts.append(len(rows))
    else:
        del rows[starts[-1] :]
