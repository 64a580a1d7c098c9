"""What finished legs tell of the next ones: the history columns of a leg, each as of its moment.

One class for training, back-test and engine. It is told of legs as they end and asked about legs as they begin, so no
answer can see what ended later; `history_columns` plays finished legs through it in the order of time. What it keeps
are sums by hashed keys of driver and place, drawn to zero by n/(n+5); companies do not see each other's.
"""

import functools
import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from h3.api import basic_int as h3
from numpy.typing import ArrayLike, NDArray

from models.errors import InvalidInput
from models.eta.base_time import PACES
from models.eta.features import Legs

__all__ = ["HISTORY_COLUMNS", "USUAL_VEHICLE", "PaceHistory", "driver_alias", "history_columns", "keys_of"]

HISTORY_COLUMNS = ("driver_recent", "driver_long", "cell_pace", "driver_cell_pace", "pair_pace")
"""Log paces of the driver's last ten legs, of all of them, into the stop's cell, of both, between the two cells."""

USUAL_VEHICLE = "van"
"""What a leg was driven with of which nobody says so."""

_CELL = 7  # H3 resolution, 1.2 km across: finer cells have too few legs
_RECENT = 10  # legs of a driver that count as recent
_SHRINK = 5.0  # n legs count n/(n+5), no news the rest
_DRIVER = 0  # place among the keys of a leg
_UNKNOWN = 0  # key of what is not known
_REMEMBERED = 2**16  # names whose digests are kept: drivers of a shard are asked for again and again


class PaceHistory:
    """Running sums of log ratios of actual to base time."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, float]] = {}
        self._recent: dict[int, deque[float]] = {}
        # what is told of both, worked out as legs end: they are asked for far more often
        self._means: dict[int, float] = {}
        self._recent_means: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._sums)

    def observe(self, legs: Legs, log_ratio: NDArray[np.float64]) -> None:
        """Take in legs that have ended, in the order of their ends: both ends, `driver` and `company` where known."""
        for keys, value in zip(keys_of(legs).tolist(), log_ratio.tolist(), strict=True):
            self.take(keys, value)

    def columns(self, legs: Legs) -> dict[str, NDArray[np.float64]]:
        """Return what is known of legs that begin: `HISTORY_COLUMNS`, NaN where there is no leg to tell."""
        keys = keys_of(legs)
        recent = [self._recent_means.get(key, math.nan) for key in keys[:, _DRIVER].tolist()]
        means = [self._means.get(key, math.nan) for key in keys.T.ravel().tolist()]
        return dict(zip(HISTORY_COLUMNS, (np.array(recent), *np.array(means).reshape(keys.T.shape)), strict=True))

    def copy(self) -> "PaceHistory":
        """Return a history that goes on by itself."""
        other = PaceHistory()
        other._sums = dict(self._sums)
        other._recent = {key: deque(values, _RECENT) for key, values in self._recent.items()}
        other._means, other._recent_means = dict(self._means), dict(self._recent_means)
        return other

    def save(self, path: Path) -> None:
        """Write it as npz."""
        keys, drivers = sorted(self._sums), sorted(self._recent)
        recent = np.full((len(drivers), _RECENT), np.nan)
        for row, driver in zip(recent, drivers, strict=True):
            row[: len(self._recent[driver])] = self._recent[driver]
        np.savez_compressed(
            path,
            keys=np.array(keys, np.uint64),
            counts=np.array([self._sums[key][0] for key in keys], np.int64),
            sums=np.array([self._sums[key][1] for key in keys], np.float64),
            drivers=np.array(drivers, np.uint64),
            recent=recent,
        )

    @classmethod
    def load(cls, path: Path) -> "PaceHistory":
        """Read what `save` wrote."""
        history = cls()
        with np.load(path, allow_pickle=False) as found:
            pairs = zip(found["counts"].tolist(), found["sums"].tolist(), strict=True)
            history._sums = dict(zip(found["keys"].tolist(), pairs, strict=True))
            rows = zip(found["drivers"].tolist(), found["recent"], strict=True)
            history._recent = {key: deque(row[np.isfinite(row)].tolist(), _RECENT) for key, row in rows}
        history._means = {key: _shrunk(count, total) for key, (count, total) in history._sums.items()}
        history._recent_means = {key: _shrunk(len(values), sum(values)) for key, values in history._recent.items()}
        return history

    def take(self, keys: Sequence[int], value: float) -> None:
        """Take in one leg by its keys, as `keys_of` has them."""
        for key in keys:
            if key != _UNKNOWN:
                count, total = self._sums.get(key, (0, 0.0))
                self._sums[key] = (count + 1, total + value)
                self._means[key] = _shrunk(count + 1, total + value)
        if (driver := keys[_DRIVER]) != _UNKNOWN:
            recent = self._recent.setdefault(driver, deque(maxlen=_RECENT))
            recent.append(value)
            self._recent_means[driver] = _shrunk(len(recent), sum(recent))

    def told(self, keys: Sequence[int]) -> tuple[float, ...]:
        """Return what is known of one leg by its keys, in the order of `HISTORY_COLUMNS`."""
        recent = self._recent_means.get(keys[_DRIVER], math.nan)
        return recent, *(self._means.get(key, math.nan) for key in keys)


def history_columns(
    asked: Legs,
    finished: Mapping[str, NDArray[Any]],
    as_of_ms: NDArray[np.int64] | None = None,
    known: PaceHistory | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the history columns of legs, each as of its moment.

    Parameters
    ----------
    asked
        Legs with `moment_ms`, both ends and, where they are known, `driver` and `company`; N each.
    finished
        Legs that have ended: the same but the moment, `ended_ms`, and `log_ratio` of actual to base time; M each.
    as_of_ms
        Up to when history may look, N values at or before the moments; the moments where it is left out.
    known
        What had been learnt before the first of them; it goes on with them.

    Returns
    -------
    dict
        `as_of_ms` and `HISTORY_COLUMNS`.

    Raises
    ------
    InvalidInput
        If `as_of_ms` lies after a moment.
    """
    moments_ms = np.asarray(asked["moment_ms"])
    limits_ms = moments_ms if as_of_ms is None else as_of_ms
    if np.any(limits_ms > moments_ms):
        raise InvalidInput("history would be of the future", [("as_of_ms", "is after moment_ms")])
    history = PaceHistory() if known is None else known
    asking, ended = keys_of(asked).tolist(), keys_of(finished).tolist()
    values, ended_ms = np.asarray(finished["log_ratio"], np.float64).tolist(), np.asarray(finished["ended_ms"])
    order = np.argsort(ended_ms, kind="stable")
    told, next_ = np.empty((len(asking), len(HISTORY_COLUMNS))), 0
    upto = np.searchsorted(ended_ms[order], limits_ms, side="left")
    for place in np.argsort(limits_ms, kind="stable").tolist():
        for row in order[next_ : upto[place]].tolist():
            history.take(ended[row], values[row])
        next_ = int(upto[place])
        told[place] = history.told(asking[place])
    for row in order[next_:].tolist():
        history.take(ended[row], values[row])
    return {"as_of_ms": limits_ms, **dict(zip(HISTORY_COLUMNS, told.T, strict=True))}


@functools.lru_cache(_REMEMBERED)
def driver_alias(tenant: str, driver: str) -> str:
    """Return what a driver is called in data sets and models, which name nobody."""
    return hashlib.blake2b(f"{tenant}/{driver}".encode(), digest_size=8).hexdigest()


def keys_of(legs: Legs) -> NDArray[np.uint64]:
    """Return what a history counts legs by: keys of driver, cell, driver and cell, and pair of cells; N × 4.

    Places of bikes, cars and trucks are others than those of vans: who rides past the jam says nothing of it.
    """
    rows = len(np.asarray(legs["to_lat"]))
    company, driver = _hashed(legs.get("company", ""), rows), _hashed(legs.get("driver", ""), rows)
    to_cell, from_cell = _cells(legs, "to", _cell_of_stop), _cells(legs, "from", _cell)
    known = driver != _UNKNOWN
    whose = _mixed(company, driver)
    vehicle = _other_vehicles(legs, rows)
    company = np.where(vehicle != _UNKNOWN, _mixed(company, vehicle), company)
    return np.stack(
        [
            np.where(known, whose, _UNKNOWN),
            _mixed(company, to_cell),
            np.where(known, _mixed(whose, to_cell), _UNKNOWN),
            _mixed(_mixed(company, from_cell), to_cell),
        ],
        axis=1,
    )


def _other_vehicles(legs: Legs, rows: int) -> NDArray[np.uint64]:
    """Return 64 bits for what each leg is driven with where that is a kind of its own, else 0."""
    given = np.broadcast_to(np.asarray(legs.get("vehicle", USUAL_VEHICLE), dtype=object), (rows,))
    return np.array([_OTHERS.get(name, _UNKNOWN) for name in given.tolist()], np.uint64)


def _hashed(values: ArrayLike, rows: int) -> NDArray[np.uint64]:
    """Return 64 bits for each text, 0 for none."""
    given = np.asarray(values, dtype=object)
    if given.ndim == 0:
        return np.full(rows, _digest(given.item()), np.uint64)
    return np.array([*map(_digest, np.broadcast_to(given, (rows,)).tolist())], np.uint64)


@functools.lru_cache(_REMEMBERED, typed=True)
def _digest(value: object) -> int:
    text = "" if value is None else str(value)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") if text else _UNKNOWN


def _mixed(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 bits that stand for an ordered pair, never 0 (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = one * np.uint64(0x9E3779B97F4A7C15) + other
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.maximum(mixed ^ (mixed >> np.uint64(31)), np.uint64(1))


def _cells(legs: Legs, end: str, cell_of: Callable[[float, float], int]) -> NDArray[np.uint64]:
    lat, lon = (np.asarray(legs[f"{end}_{name}"]).tolist() for name in ("lat", "lon"))
    return np.array([*map(cell_of, lat, lon)], np.uint64)


def _cell(latitude: float, longitude: float) -> int:
    return int(h3.latlng_to_cell(latitude, longitude, _CELL))


def _shrunk(count: int, total: float) -> float:
    return total / (count + _SHRINK)


_cell_of_stop = functools.lru_cache(_REMEMBERED)(_cell)  # drivers move, their stops stay
_OTHERS = {name: _digest(name) for name in PACES if name != USUAL_VEHICLE}
