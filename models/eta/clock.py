"""Local wall time of instants, for arrays: the hour and weekday that traffic follows.

A leg's zone is that of its stop. Hour and weekday are taken from it here and nowhere else, once.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import InvalidInput

__all__ = ["BANDS", "LocalClock", "bands_of", "instants_of_wall_time", "is_zone", "local_clock"]

BANDS = 48
"""Hours of a working day, then of a day of the weekend."""

_QUARTER_MS = 900_000  # no zone has moved its clocks at another minute since 1972
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class LocalClock:
    """What the clocks on the wall showed, N values each."""

    hour: NDArray[np.float64]
    """Hours since midnight with their fraction, [0, 24)."""
    weekday: NDArray[np.float64]
    """0 is Monday, 6 Sunday; holidays are Sundays, because they drive like them."""
    is_holiday: NDArray[np.float64]
    """1 on a public holiday, else 0."""


def bands_of(hour: NDArray[np.float64], weekday: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of the `BANDS` each time is in."""
    return np.asarray(hour.astype(np.int64) + np.where(weekday >= _SATURDAY, BANDS // 2, 0))


def is_zone(name: str) -> bool:
    """Return whether a name is one of the IANA time zones."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def local_clock(moment_ms: NDArray[np.int64], zone: ArrayLike, country: str = "", subdivision: str = "") -> LocalClock:
    """Return the local clock at each instant.

    Parameters
    ----------
    moment_ms
        Epoch milliseconds, N values.
    zone
        One IANA name, or N of them.
    country, subdivision
        ISO 3166 codes of the calendar of holidays; without a country no day is one.

    Raises
    ------
    InvalidInput
        If a zone is unknown.
    """
    wall_ms = moment_ms + _offsets_ms(moment_ms, np.asarray(zone))
    days = wall_ms // _DAY_MS
    is_holiday = _are_holidays(days, country, subdivision)
    weekday = np.where(is_holiday, _SUNDAY, (days + 3) % 7)  # 1 January 1970 was a Thursday
    hour = (wall_ms - days * _DAY_MS) / _HOUR_MS
    return LocalClock(hour, weekday.astype(np.float64), is_holiday.astype(np.float64))


def instants_of_wall_time(wall_ms: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Return the epoch milliseconds at which a zone's clocks showed `wall_ms` (as if it were UTC).

    The hour that autumn repeats is taken the first time, the hour that spring leaves out as if clocks had gone on.
    """
    return wall_ms - _by_quarter(wall_ms, zone, _offset_of_wall_s) * 1000


def _offsets_ms(moment_ms: NDArray[np.int64], zone: NDArray[np.str_]) -> NDArray[np.int64]:
    if zone.ndim == 0:
        return _by_quarter(moment_ms, str(zone), _offset_s) * 1000
    offsets = np.zeros(len(moment_ms), np.int64)
    for name in np.unique(zone.astype(str)):
        rows = zone.astype(str) == name
        offsets[rows] = _by_quarter(moment_ms[rows], str(name), _offset_s) * 1000
    return offsets


def _by_quarter(ms: NDArray[np.int64], zone: str, offset_of: Callable[[str, int], int]) -> NDArray[np.int64]:
    """Ask a zone once for each quarter of an hour: a batch of the live engine lies in one, a year in 35,000."""
    if not is_zone(zone):
        raise InvalidInput(f"{zone!r} is not a time zone", [("zone", "is not the IANA name of a time zone")])
    quarters, back = np.unique(ms // _QUARTER_MS, return_inverse=True)
    return np.array([offset_of(zone, int(quarter)) for quarter in quarters], np.int64)[back]


@lru_cache(maxsize=65_536)
def _offset_s(zone: str, quarter: int) -> int:
    at = datetime.datetime.fromtimestamp(quarter * 900, datetime.UTC).astimezone(ZoneInfo(zone))
    return _seconds(at.utcoffset())


@lru_cache(maxsize=65_536)
def _offset_of_wall_s(zone: str, quarter: int) -> int:
    wall = datetime.datetime.fromtimestamp(quarter * 900, datetime.UTC).replace(tzinfo=ZoneInfo(zone))
    return _seconds(wall.utcoffset())


def _seconds(offset: datetime.timedelta | None) -> int:
    return 0 if offset is None else int(offset.total_seconds())


def _are_holidays(days: NDArray[np.int64], country: str, subdivision: str) -> NDArray[np.bool_]:
    if not country:
        return np.zeros(len(days), bool)
    unique, back = np.unique(days, return_inverse=True)
    return np.array([_is_holiday(country, subdivision, int(day)) for day in unique], bool)[back]


@lru_cache(maxsize=8_192)
def _is_holiday(country: str, subdivision: str, day: int) -> bool:
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    return date in _calendar(country, subdivision, date.year)


@lru_cache(maxsize=64)
def _calendar(country: str, subdivision: str, year: int) -> holidays.HolidayBase:
    try:
        return holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    except NotImplementedError as fault:
        raise InvalidInput(f"no calendar of holidays for {country} {subdivision}", [("country", "unknown")]) from fault
