"""What finished legs tell of the next ones: the history columns of a leg, each as of its moment.

One function for training, back-test and engine: of each leg asked about, only legs that finished before its `as_of_ms`
are seen, so that no answer changes when the future does.
"""

from collections.abc import Mapping
from typing import Any

import h3
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.features import Legs

__all__ = ["history_columns"]

_CELL = 7  # H3 resolution, 1.2 km across: finer cells have too few legs
_RECENT = 10  # legs of a driver that count as recent
_SHRINK = 5.0  # n legs count n/(n+5), no news the rest
_PART = 1e-9  # of a log ratio
_SPAN = 1 << 42  # milliseconds that fit between two keys: 139 years


def history_columns(
    asked: Legs, finished: Mapping[str, NDArray[Any]], as_of_ms: NDArray[np.int64] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the history columns of legs.

    Parameters
    ----------
    asked
        Legs with `moment_ms`, both ends and, where it is known, `driver`; N each.
    finished
        Legs that have ended: both ends, `driver` where known, `ended_ms`, and `log_ratio` of actual to base time; M
        each.
    as_of_ms
        Up to when history may look, N values at or before the moments; the moments where it is left out.

    Returns
    -------
    dict
        `as_of_ms`, and log paces drawn to zero by n/(n+5), NaN where there is no leg to tell.

    Raises
    ------
    InvalidInput
        If `as_of_ms` lies after a moment.
    """
    moments_ms = np.asarray(asked["moment_ms"])
    limits_ms = moments_ms if as_of_ms is None else as_of_ms
    if np.any(limits_ms > moments_ms):
        raise InvalidInput("history would be of the future", [("as_of_ms", "is after moment_ms")])
    keys = {name: (_keys(asked, name), _keys(finished, name)) for name in ("driver", "cell", "driver_cell", "pair")}
    told = (np.asarray(finished["ended_ms"]), np.asarray(finished["log_ratio"], dtype=np.float64))

    def pace(name: str, newest: int | None = None) -> NDArray[np.float64]:
        return _as_of(*keys[name], limits_ms, *told, newest)

    return {
        "as_of_ms": limits_ms,
        "driver_recent": pace("driver", _RECENT),
        "driver_long": pace("driver"),
        "cell_pace": pace("cell"),
        "driver_cell_pace": pace("driver_cell"),
        "pair_pace": pace("pair"),
    }


def _as_of(
    asked: NDArray[np.str_],
    known: NDArray[np.str_],
    limits_ms: NDArray[np.int64],
    ended_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    newest: int | None,
) -> NDArray[np.float64]:
    """Return, for each key asked about, the shrunk mean of its values that ended before the limit."""
    if not len(known):
        return np.full(len(asked), np.nan)
    codes = np.unique(np.concatenate([known, asked]), return_inverse=True)[1].astype(np.int64)
    begin_ms = int(ended_ms.min())
    place = codes[: len(known)] * _SPAN + (ended_ms - begin_ms)
    order = np.argsort(place, kind="stable")
    parts = np.round(values[order] / _PART).astype(np.int64)  # whole, so that one key's sums feel nothing of another's
    place, sums = place[order], np.concatenate([[0], np.cumsum(parts)])
    first = codes[len(known) :] * _SPAN
    until = np.searchsorted(place, first + np.clip(limits_ms - begin_ms, 0, _SPAN - 1), side="left")
    since = np.searchsorted(place, first, side="left")
    if newest is not None:
        since = np.maximum(since, until - newest)
    counts = until - since
    shrunk = (sums[until] - sums[since]) * _PART / (counts + _SHRINK)
    return np.where((counts > 0) & (asked != ""), shrunk, np.nan)


def _keys(legs: Legs, name: str) -> NDArray[np.str_]:
    """Return what legs have in common, as text; empty where it is not known."""
    rows = len(np.asarray(legs["to_lat"]))
    named = np.broadcast_to(np.asarray(legs.get("driver", ""), dtype=object), (rows,))
    driver = np.array(["" if each is None else str(each) for each in named], dtype=str)
    if name == "driver":
        return driver
    cell = _cells(legs, "to")
    if name == "cell":
        return cell
    other = driver if name == "driver_cell" else _cells(legs, "from")
    return np.where(other == "", "", np.char.add(np.char.add(other, "|"), cell))


def _cells(legs: Legs, end: str) -> NDArray[np.str_]:
    places = zip(np.asarray(legs[f"{end}_lat"]).tolist(), np.asarray(legs[f"{end}_lon"]).tolist(), strict=True)
    return np.array([h3.latlng_to_cell(lat, lon, _CELL) for lat, lon in places], dtype=str)
