"""By how much weather slows vehicles down. Pure.

Freeway speeds fall by 2 to 13 % in light rain and snow, by 3 to 16 % in heavy rain and by 5 to 40 % in heavy snow
(FHWA, Road Weather Management, "How Do Weather Events Impact Roads?"); a city lies near the middle of those ranges.
Models that were trained with the columns of weather know better, and are not multiplied.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["WEATHER_COLUMNS", "weather_factor"]

WEATHER_COLUMNS = ("rain_mm_h", "temperature_c", "wind_mps")
"""Of legs, as `models.eta.schema` has them."""

_RAIN_MM_H = (0.0, 0.2, 2.5, 7.6, 20.0)
_RAIN = (1.0, 1.02, 1.06, 1.10, 1.18)
_SNOW_MM_H = (0.0, 0.1, 1.3, 2.5, 5.0)  # as water
_SNOW = (1.0, 1.05, 1.14, 1.30, 1.50)
_FREEZES_C = 0.5  # rain at this temperature and below is snow, or ice
_CALM_MPS, _STORM_MPS = 6.0, 20.0
_STORM, _STORM_BY_BIKE = 1.05, 1.4  # by a storm; less in proportion


def weather_factor(
    rain_mm_h: ArrayLike, temperature_c: ArrayLike, wind_mps: ArrayLike, by_bike: ArrayLike = False
) -> NDArray[np.float64]:
    """Return what driving times are multiplied by, at least 1.

    Parameters
    ----------
    rain_mm_h, temperature_c, wind_mps
        Of N legs; NaN where it is not known, which slows nobody.
    by_bike
        Which of them are ridden.
    """
    rain, cold, wind = (np.asarray(values, np.float64) for values in (rain_mm_h, temperature_c, wind_mps))
    wet = np.nan_to_num(rain, nan=0.0)
    fallen = np.where(cold <= _FREEZES_C, np.interp(wet, _SNOW_MM_H, _SNOW), np.interp(wet, _RAIN_MM_H, _RAIN))
    gale = np.clip((np.nan_to_num(wind, nan=0.0) - _CALM_MPS) / (_STORM_MPS - _CALM_MPS), 0.0, 1.0)
    blown = 1.0 + gale * (np.where(by_bike, _STORM_BY_BIKE, _STORM) - 1.0)
    return np.asarray(fallen * blown)
