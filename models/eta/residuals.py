"""What the legs that have just finished say about the next ones: the running residual between trainings.

On the New York set this one number is worth 6 %, more than any further tuning. Pure and incremental; the back-test
replays finishes through it as the engine does.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

__all__ = ["ResidualProfile", "RunningResidual", "freshness"]

_FADING_S = 300.0  # the residual is one of departures, and harms what is said minutes later


@dataclass(frozen=True, slots=True)
class ResidualProfile:
    """How far back the residual looks, and how much it dares to say."""

    window_s: float = 6 * 3600.0
    """Older finishes are forgotten, seconds."""
    most: int = 100
    """Newest finishes that count in each window."""
    shrink: float = 10.0
    """n finishes count n/(n+shrink); the rest is the wider window's answer, and zero above that."""
    least: int = 10
    """With fewer finishes a window says nothing: where trips were sparse it gained nothing and cost 0.2 %."""
    limit: float = 0.7
    """No answer beyond this log ratio (half to double the time), whatever was heard."""


@dataclass(slots=True)
class _Window:
    finishes: deque[tuple[int, float]]
    cached_until_ms: int = -1
    cached_from_ms: int = -1
    cached: tuple[int, float] = (0, 0.0)


@dataclass(slots=True)
class RunningResidual:
    """Median log residual of finished legs, by window names that nest: tenant first, then area.

    A residual is log(actual ÷ P50 without shift) of a prediction made at departure: later moments are another class.
    """

    profile: ResidualProfile = field(default_factory=ResidualProfile)
    _windows: dict[str, _Window] = field(default_factory=dict)

    def observe(self, windows: Sequence[str], finished_ms: int, residual: float) -> None:
        """Take in a leg that has finished.

        Parameters
        ----------
        windows
            Names of the windows it belongs to (`("tnt_1", "tnt_1/851f…")`).
        finished_ms
            When it finished, epoch milliseconds. A finish that comes late is put in its place.
        residual
            log(actual ÷ P50), where P50 had no shift.
        """
        for name in windows:
            window = self._windows.get(name)
            if window is None:
                window = self._windows[name] = _Window(deque(maxlen=self.profile.most))
            _insert(window.finishes, (finished_ms, residual))
            window.cached_until_ms = -1

    def shift(self, windows: Sequence[str], moment_ms: int) -> float:
        """Return the log ratio to add to predictions made at a moment, from legs finished before it.

        Parameters
        ----------
        windows
            From the widest to the narrowest, as in `observe`.
        moment_ms
            Epoch milliseconds.
        """
        answer, profile = 0.0, self.profile
        for name in windows:
            count, middle = self._summary(name, moment_ms)
            if count >= profile.least:
                answer = (count * middle + profile.shrink * answer) / (count + profile.shrink)
        return max(-profile.limit, min(profile.limit, answer))

    def count(self, window: str, moment_ms: int) -> int:
        """Return how many finishes a window's answer at a moment rests on."""
        return self._summary(window, moment_ms)[0]

    def forget(self, moment_ms: int) -> None:
        """Drop windows in which nothing is left at a moment, so that areas come and go without growing memory."""
        oldest = moment_ms - self.profile.window_s * 1000
        gone = [name for name, window in self._windows.items() if window.finishes[-1][0] < oldest]
        for name in gone:
            del self._windows[name]

    def _summary(self, name: str, moment_ms: int) -> tuple[int, float]:
        window = self._windows.get(name)
        if window is None:
            return 0, 0.0
        if window.cached_from_ms <= moment_ms < window.cached_until_ms:
            return window.cached
        since = moment_ms - int(self.profile.window_s * 1000)
        inside = [entry for entry in window.finishes if since <= entry[0] < moment_ms]
        window.cached = (len(inside), median(residual for _, residual in inside)) if inside else (0, 0.0)
        window.cached_from_ms, window.cached_until_ms = moment_ms, _next_change(window.finishes, moment_ms, since)
        return window.cached


def freshness(elapsed_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of a residual counts for legs that are so long under way: all at departure, none after 5 min.

    Their own progress says more the longer they are.
    """
    return np.asarray(np.maximum(0.0, 1.0 - elapsed_s / _FADING_S))


def _insert(finishes: deque[tuple[int, float]], entry: tuple[int, float]) -> None:
    """Keep the newest finishes in the order of time; nearly always at the end."""
    if not finishes or finishes[-1][0] <= entry[0]:
        finishes.append(entry)
        return
    place = bisect_right([time for time, _ in finishes], entry[0])
    if len(finishes) == finishes.maxlen:
        if place == 0:
            return  # older than all that count
        finishes.popleft()
        place -= 1
    finishes.insert(place, entry)


def _next_change(finishes: deque[tuple[int, float]], moment_ms: int, since: int) -> int:
    """Return when the oldest finish inside falls out, or a known one ahead comes in."""
    leaving = next((time for time, _ in finishes if time >= since), None)
    coming = next((time + 1 for time, _ in finishes if time >= moment_ms), None)
    ends = [coming] if coming is not None else []
    if leaving is not None:
        ends.append(moment_ms + leaving - since + 1)
    return min(ends, default=moment_ms + 1)
