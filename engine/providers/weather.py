"""Weather by the hour from a server that answers as Open-Meteo does (https://open-meteo.com/en/docs)."""

import time
from typing import Any

from engine.conditions.answers import Weather
from engine.providers.asking import JsonServer
from models.errors import ProviderDown

__all__ = ["OpenMeteoWeather"]

_MAX_ANSWER_BYTES = 2**20
_LIMITS = {"precipitation": (0.0, 500.0), "temperature_2m": (-95.0, 65.0), "wind_speed_10m": (0.0, 130.0)}
"""What is asked for, and between what it can be: mm/h, °C, m/s."""
_HOUR_S = 3600
_MOST_HOURS = 400
_LATEST_S = 2**40  # what is later is no time of weather, and fits into nothing


class OpenMeteoWeather:
    """Asks `/v1/forecast` for yesterday, today and the next two days."""

    name = "open_meteo"
    answers = Weather

    def __init__(self, url: str, timeout_s: float) -> None:
        self._server = JsonServer("the weather's server", url, timeout_s, _MAX_ANSWER_BYTES)

    async def ask(self, latitude: float, longitude: float) -> Weather:
        """Return the weather around a place; raises ProviderDown."""
        parameters = {
            "latitude": f"{latitude:g}",
            "longitude": f"{longitude:g}",
            "hourly": ",".join(_LIMITS),
            "wind_speed_unit": "ms",
            "timeformat": "unixtime",
            "timezone": "GMT",
            "past_days": "1",
            "forecast_days": "3",
        }
        status, answer = await self._server.get("/v1/forecast", parameters)
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("hourly"), dict):
            raise ProviderDown("the weather's server answered something else than hours")
        hourly = answer["hourly"]
        begins_s, count = _hours(hourly.get("time"))
        rain, temperature, wind = (_values(hourly.get(name), count, *limits) for name, limits in _LIMITS.items())
        return Weather(time.time(), begins_s, rain, temperature, wind)

    async def close(self) -> None:
        """Close connections."""
        await self._server.close()


def _hours(times: Any) -> tuple[int, int]:
    """Return the first hour, and how many follow one another."""
    if not isinstance(times, list) or not 0 < len(times) <= _MOST_HOURS:
        raise ProviderDown("the weather's server answered no hours")
    if any(type(at) is not int for at in times) or any(
        at != times[0] + _HOUR_S * place for place, at in enumerate(times)
    ):
        raise ProviderDown("the weather's server answered hours that do not follow one another")
    if not 0 <= times[0] <= _LATEST_S:
        raise ProviderDown("the weather's server answered hours that can't be")
    return times[0], len(times)


def _values(values: Any, count: int, least: float, most: float) -> tuple[float | None, ...]:
    if not isinstance(values, list) or len(values) != count:
        raise ProviderDown("the weather's server answered hours without values")
    found: list[float | None] = []
    for value in values:
        if value is None:
            found.append(None)
        elif type(value) in (int, float) and least <= value <= most:
            found.append(float(value))
        else:
            raise ProviderDown("the weather's server answered values that can't be")
    return tuple(found)
