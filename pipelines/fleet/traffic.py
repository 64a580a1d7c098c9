"""How much longer than free flow a way takes, by place and instant: the simulated city's ground truth.

The hours follow what real taxis of Porto took against free flow: 1.3 to 1.5 times at night, 2.1 times at nine. On top
lie what a model can learn (weekday, holiday, rain, quarters that clog more than others), what only fresh residuals can
tell (a slow day, a slow afternoon, an accident) and what nobody can (lights that turn red).
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

from models.geo import distance_m, distances_m

__all__ = ["Traffic"]

_WEEKDAY = (
    *(1.25, 1.20, 1.18, 1.18, 1.20, 1.28, 1.45, 1.75, 2.05, 2.10, 1.80, 1.70),
    *(1.75, 1.75, 1.68, 1.70, 1.80, 2.00, 2.10, 1.85, 1.55, 1.42, 1.35, 1.30),
)
_SUNDAY = (
    *(1.30, 1.25, 1.20, 1.18, 1.16, 1.16, 1.18, 1.22, 1.28, 1.35, 1.42, 1.50),
    *(1.52, 1.48, 1.45, 1.45, 1.50, 1.55, 1.55, 1.48, 1.40, 1.35, 1.30, 1.28),
)
"""Time ÷ free-flow time by local hour, of the whole city."""
_SATURDAY_SHARE = 0.5  # of the way from Sunday to a weekday

_CELL_DEGREES = 0.02  # about 2 km: a quarter
_CENTRE_M = 6_000.0  # where the clogging has fallen to a third
_DAY_SIGMA = 0.06
_CITY_SIGMA, _CITY_HOURS = 0.07, 4.0
_CELL_SIGMA, _CELL_HOURS = 0.06, 3.0
_RAIN_PER_MM, _RAIN_MOST_MM = 0.025, 8.0
_WET_DAYS = 0.35
_ACCIDENTS_A_DAY = 3.0
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Traffic:
    """Factors of one simulated stretch of days; seconds count from its first local midnight."""

    begins: datetime.datetime
    """Local midnight of the first day, with its zone."""
    corner: tuple[float, float]
    """South-west corner of the cells, degrees."""
    congestion: NDArray[np.float64]
    """Hours: what the whole city adds to free flow, 0.8 for 1.8 times."""
    common: NDArray[np.float64]
    """Hours: what the day, the hour's mood and the rain multiply everything by."""
    rain_mm: NDArray[np.float64]
    """Hours: rain, as a forecast would have it."""
    sensitivity: NDArray[np.float64]
    """Cells, rows × columns: how much of the congestion a quarter gets."""
    mood: NDArray[np.float32]
    """Hours × rows × columns: what a quarter multiplies by for some hours."""
    accidents: Sequence[Sequence[tuple[float, ...]]]
    """Of each hour: begin and end in seconds, latitude, longitude, radius in metres, factor."""

    @classmethod
    def simulate(
        cls,
        rng: np.random.Generator,
        first_day: datetime.date,
        days: int,
        box: tuple[float, float, float, float],
        zone: ZoneInfo,
    ) -> Self:
        """Draw the traffic of some days.

        Parameters
        ----------
        rng
            Where chance comes from: the same state gives the same city.
        first_day, days
            Local days.
        box
            South, west, north and east of the city, degrees WGS 84.
        zone
            Its time zone; the holidays are Portugal's.
        """
        hours = days * 24 + 24
        begins = datetime.datetime.combine(first_day, datetime.time(), zone)
        rows, columns = (int((box[2 + axis] - box[axis]) / _CELL_DEGREES) + 1 for axis in (0, 1))
        rain = _rain(rng, hours)
        slow = np.repeat(rng.normal(0.0, _DAY_SIGMA, hours // 24), 24)
        wet = 1.0 + _RAIN_PER_MM * np.minimum(rain, _RAIN_MOST_MM)
        return cls(
            begins=begins,
            corner=(box[0], box[1]),
            congestion=_congestion(begins, hours),
            common=np.exp(slow + _wander(rng, (hours,), _CITY_SIGMA, _CITY_HOURS)) * wet,
            rain_mm=rain,
            sensitivity=_sensitivity(rng, box, rows, columns),
            mood=np.exp(_wander(rng, (hours, rows, columns), _CELL_SIGMA, _CELL_HOURS)).astype(np.float32),
            accidents=_accidents(rng, hours, box),
        )

    def factor(self, latitude: float, longitude: float, at_s: float) -> float:
        """Return time ÷ free-flow time at a place, degrees, at an instant, seconds from the first midnight."""
        hour = min(int(at_s // _HOUR_S), len(self.common) - 1)
        rows, columns = self.sensitivity.shape
        row = min(max(int((latitude - self.corner[0]) / _CELL_DEGREES), 0), rows - 1)
        column = min(max(int((longitude - self.corner[1]) / _CELL_DEGREES), 0), columns - 1)
        factor = 1.0 + self._congestion_at(at_s) * float(self.sensitivity[row, column])
        factor *= float(self.common[hour]) * float(self.mood[hour, row, column])
        for begin, end, accident_lat, accident_lon, radius_m, slower in self.accidents[hour]:
            if begin <= at_s < end and distance_m(latitude, longitude, accident_lat, accident_lon) < radius_m:
                factor *= slower
        return factor

    def local(self, at_s: float) -> datetime.datetime:
        """Return an instant as local time of the city."""
        return (self.begins.astimezone(datetime.UTC) + datetime.timedelta(seconds=at_s)).astimezone(self.begins.tzinfo)

    def _congestion_at(self, at_s: float) -> float:
        place = max(at_s / _HOUR_S - 0.5, 0.0)  # a figure stands for the middle of its hour
        low = min(int(place), len(self.congestion) - 2)
        share = min(place - low, 1.0)
        return float(self.congestion[low]) * (1.0 - share) + float(self.congestion[low + 1]) * share


def _congestion(begins: datetime.datetime, hours: int) -> NDArray[np.float64]:
    start, resting = begins.astimezone(datetime.UTC), holidays.country_holidays("PT")
    city = np.empty(hours)
    for hour in range(hours):
        local = (start + datetime.timedelta(hours=hour)).astimezone(begins.tzinfo)
        share = 1.0 if local.weekday() < 5 else _SATURDAY_SHARE if local.weekday() == 5 else 0.0
        if local.date() in resting:
            share = 0.0
        city[hour] = share * _WEEKDAY[local.hour] + (1.0 - share) * _SUNDAY[local.hour] - 1.0
    return city


def _rain(rng: np.random.Generator, hours: int) -> NDArray[np.float64]:
    rain = np.zeros(hours)
    for day in range(hours // 24):
        if rng.random() < _WET_DAYS:
            begin, length = int(rng.integers(24)), int(rng.integers(2, 10))
            rain[day * 24 + begin : day * 24 + begin + length] = rng.gamma(1.5, 1.6)
    return rain


def _wander(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, hours: float) -> NDArray[np.float64]:
    """Return a walk that is drawn back to 0 (an Ornstein-Uhlenbeck process), hour by hour along the first axis."""
    keep = np.exp(-1.0 / hours)
    steps = rng.normal(0.0, sigma * np.sqrt(1.0 - keep**2), shape)
    steps[0] = rng.normal(0.0, sigma, shape[1:])
    for hour in range(1, shape[0]):
        steps[hour] += keep * steps[hour - 1]
    return steps


def _sensitivity(
    rng: np.random.Generator, box: tuple[float, float, float, float], rows: int, columns: int
) -> NDArray[np.float64]:
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    latitudes = box[0] + (np.arange(rows)[:, None] + 0.5) * _CELL_DEGREES
    longitudes = box[1] + (np.arange(columns)[None, :] + 0.5) * _CELL_DEGREES
    away_m = distances_m(latitudes, longitudes, middle[0], middle[1])
    return (0.45 + 0.85 * np.exp(-away_m / _CENTRE_M)) * rng.lognormal(0.0, 0.15, (rows, columns))


def _accidents(
    rng: np.random.Generator, hours: int, box: tuple[float, float, float, float]
) -> list[list[tuple[float, ...]]]:
    by_hour: list[list[tuple[float, ...]]] = [[] for _ in range(hours)]
    for _ in range(int(rng.poisson(_ACCIDENTS_A_DAY * hours / 24))):
        begin = rng.uniform(0.0, hours * _HOUR_S)
        end = begin + rng.uniform(0.5, 2.5) * _HOUR_S
        place = (rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3]))
        accident = (begin, end, *place, rng.uniform(800.0, 2_000.0), rng.uniform(1.4, 2.6))
        for hour in range(int(begin // _HOUR_S), min(int(end // _HOUR_S) + 1, hours)):
            by_hour[hour].append(accident)
    return by_hour
