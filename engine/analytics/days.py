"""Local days, weeks and months, and which sums cover a range of days.

Pure. A day is the calendar's in the tenant's time zone, so it has 23 or 25 hours when clocks change.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = [
    "Days",
    "Grain",
    "Period",
    "PeriodRange",
    "covering",
    "day_starts_ms",
    "local_day",
    "month_of",
    "names_of_days",
    "period_of",
    "periods",
]

Grain = Literal["day", "week", "month"]
"""Length of the periods that a range is cut into."""

PeriodRange = tuple[str, str]
"""First and last name of buckets (`BucketKey.period`), both included."""

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Days:
    """Local days, both included."""

    first: datetime.date
    last: datetime.date

    @property
    def count(self) -> int:
        """Return how many they are."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Days":
        """Return as many days just before."""
        return Days(self.first - self.count * _DAY, self.first - _DAY)


@dataclass(frozen=True, slots=True)
class Period:
    """A day, an ISO week or a month, as far as it lies in a range."""

    name: str
    """`2026-11-25`, `2026-W48` or `2026-11`."""
    days: Days


def local_day(moment: datetime.datetime, zone: ZoneInfo) -> str:
    """Return the local day of a moment, `2026-11-25`."""
    try:
        return moment.astimezone(zone).date().isoformat()
    except OverflowError:  # the first and the last day that there are have no others beside them
        return moment.date().isoformat()


def day_starts_ms(day: str, zone: ZoneInfo) -> tuple[int, int]:
    """Return the instants at which a local day and the next one begin, epoch milliseconds."""
    date = datetime.date.fromisoformat(day)
    return _midnight_ms(date, zone), _midnight_ms(date + _DAY, zone)


def month_of(day: str) -> str:
    """Return the name of the bucket of a day's month, `M2026-11`."""
    return f"M{day[:7]}"


def periods(days: Days, grain: Grain) -> list[Period]:
    """Cut days into periods, in order; the first and the last may be parts."""
    found: list[Period] = []
    first = days.first
    while first <= days.last:
        last = min(_end_of(first, grain), days.last)
        found.append(Period(_name(first, grain), Days(first, last)))
        first = last + _DAY
    return found


def period_of(bucket: str, grain: Grain) -> str:
    """Return the name of the period that a bucket of a day, or of a month, lies in."""
    return bucket[1:] if bucket.startswith("M") else _name(datetime.date.fromisoformat(bucket), grain)


def names_of_days(days: Days) -> PeriodRange:
    """Return the names of the first and the last day."""
    return days.first.isoformat(), days.last.isoformat()


def covering(days: Days) -> Sequence[PeriodRange]:
    """Return the buckets that cover days, each day once: those of whole months, and of single days at the edges."""
    inner_first = days.first if days.first.day == 1 else _end_of(days.first, "month") + _DAY
    after_inner = (days.last + _DAY).replace(day=1)
    if inner_first >= after_inner:
        return [names_of_days(Days(days.first, days.last))]
    ranges = [(month_of(inner_first.isoformat()), month_of((after_inner - _DAY).isoformat()))]
    if days.first < inner_first:
        ranges.append(names_of_days(Days(days.first, inner_first - _DAY)))
    if after_inner <= days.last:
        ranges.append(names_of_days(Days(after_inner, days.last)))
    return ranges


def _end_of(day: datetime.date, grain: Grain) -> datetime.date:
    match grain:
        case "day":
            return day
        case "week":
            return day + (6 - day.weekday()) * _DAY
        case "month":
            return (day.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY


def _name(day: datetime.date, grain: Grain) -> str:
    match grain:
        case "day":
            return day.isoformat()
        case "week":
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return day.isoformat()[:7]


def _midnight_ms(day: datetime.date, zone: ZoneInfo) -> int:
    # Where clocks skip midnight or pass it twice, fold 0 gives the first instant that `local_day` counts to the day.
    return round(datetime.datetime.combine(day, datetime.time.min, zone).timestamp() * 1000)
