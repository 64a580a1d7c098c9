"""How long a stop takes at the door: address, else building, else area, else the company; each drawn to the wider one.

The hand-over is a model of its own: stairs, lifts and signatures are neither distance nor traffic, and addresses are
too sparse for trees. Places are H3 cells of 4 m, 30 m and 500 m, so that no address is kept, and companies do not see
each other's.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h3
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LEVELS", "ServiceTimes", "fit_service_times"]

LEVELS = ("address", "building", "area", "company", "everybody")
"""From the narrowest to the widest; an answer names the one that it mainly rests on."""

_RESOLUTIONS = (13, 11, 8)
_TAILS = (0.1, 0.5, 0.9)
_SHRINK = 5.0  # n visits count n/(n+5), the wider place the rest
_LEAST_S, _LONGEST_S = 5.0, 3_600.0
_UNKNOWN_S = (45.0, 150.0, 420.0)  # without a single visit: a door in a city, and an honest wide range


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """Quantiles of the seconds at the stop, by place."""

    keys: NDArray[np.uint64]
    """Place and company, hashed, sorted."""
    quantiles: NDArray[np.float64]
    """P10, P50, P90 of each key in seconds, already drawn to what is wider, K × 3."""
    everybody: NDArray[np.float64]
    """P10, P50, P90 over all visits, seconds."""

    def predict(
        self, company: ArrayLike, lat: ArrayLike, lon: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return P10, P50, P90 of stops in seconds (N × 3), and the place in `LEVELS` that each rests on."""
        rows = len(np.atleast_1d(np.asarray(lat)))
        found, level = np.tile(self.everybody, (rows, 1)), np.full(rows, len(LEVELS) - 1)
        if not len(self.keys):
            return found, level
        for place, asked in enumerate(_keys(company, lat, lon, rows)):
            slot = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
            fresh = (self.keys[slot] == asked) & (level == len(LEVELS) - 1)
            found[fresh], level[fresh] = self.quantiles[slot[fresh]], place
        return found, level

    def save(self, path: Path) -> None:
        """Write it as npz."""
        np.savez_compressed(path, keys=self.keys, quantiles=self.quantiles, everybody=self.everybody)

    @classmethod
    def load(cls, path: Path) -> "ServiceTimes":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(found["keys"], found["quantiles"], found["everybody"])


def fit_service_times(
    company: ArrayLike, lat: NDArray[np.float64], lon: NDArray[np.float64], service_s: NDArray[np.float64]
) -> ServiceTimes:
    """Return service times of finished stops; those that took no time or over an hour are left out.

    Parameters
    ----------
    company
        One company's id, or N of them.
    lat, lon
        Places of N stops, degrees WGS 84.
    service_s
        Seconds from arrival to departure, N values; NaN where unknown.
    """
    good = (service_s >= _LEAST_S) & (service_s <= _LONGEST_S)
    if not good.any():
        return ServiceTimes(np.empty(0, np.uint64), np.empty((0, 3)), np.array(_UNKNOWN_S))
    whose = np.broadcast_to(np.asarray(company, dtype=object), service_s.shape)[good]
    logs = np.log(service_s[good])
    everybody = _shrunk(logs, np.log(_UNKNOWN_S))
    parents = np.tile(everybody, (len(logs), 1))
    wider: NDArray[np.int64] = np.full(len(logs), len(logs) + 1)
    keys, quantiles = [], []
    for asked in reversed(list(_keys(whose, lat[good], lon[good], len(logs)))):
        unique, back = np.unique(asked, return_inverse=True)
        order = np.argsort(back, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(back))[:-1])
        found = np.stack([_drawn(logs[rows], parents[rows[0]], wider[rows[0]]) for rows in groups])
        parents, wider = found[back], np.asarray(np.bincount(back)[back], np.int64)
        keys.append(unique)
        quantiles.append(found)
    order = np.argsort(np.concatenate(keys))
    return ServiceTimes(np.concatenate(keys)[order], np.exp(np.concatenate(quantiles)[order]), np.exp(everybody))


def _drawn(logs: NDArray[np.float64], parent: NDArray[np.float64], visits_of_parent: int) -> NDArray[np.float64]:
    """Return the quantiles of a place; one that holds all visits of the wider place has nothing to add to it."""
    return parent if len(logs) == visits_of_parent else _shrunk(logs, parent)


def _shrunk(logs: NDArray[np.float64], parent: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = len(logs) / (len(logs) + _SHRINK)
    return np.asarray(np.sort(weight * np.quantile(logs, _TAILS) + (1 - weight) * parent))


def _keys(company: ArrayLike, lat: ArrayLike, lon: ArrayLike, rows: int) -> Iterator[NDArray[np.uint64]]:
    """Yield the keys of the N stops at each level but the last, the narrowest first."""
    names = np.broadcast_to(np.asarray(company, dtype=object), (rows,))
    unique, back = np.unique(names.astype(str), return_inverse=True)
    salts = np.array([_salt(name) for name in unique], np.uint64)[back]
    places = list(zip(np.atleast_1d(np.asarray(lat)).tolist(), np.atleast_1d(np.asarray(lon)).tolist(), strict=True))
    for resolution in _RESOLUTIONS:
        cells = [h3.str_to_int(h3.latlng_to_cell(at_lat, at_lon, resolution)) for at_lat, at_lon in places]
        yield np.array(cells, np.uint64) ^ salts
    yield salts


def _salt(company: str) -> int:
    return int.from_bytes(hashlib.blake2b(company.encode(), digest_size=8).digest(), "little")
