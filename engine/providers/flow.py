"""How traffic flows, from a server that answers as TomTom's Flow Segment Data does.

https://developer.tomtom.com/traffic-api/documentation/traffic-flow/flow-segment-data: of the road that is nearest to
a point, how long its stretch takes now and when it is free.
"""

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from engine.conditions.answers import Flow
from engine.providers.asking import JsonServer
from models.errors import ProviderDown

__all__ = ["FlowServer"]

_MAX_ANSWER_BYTES = 2**20
_FASTEST, _SLOWEST = 0.5, 8.0
_LONGEST_S = 1e6  # that a stretch of road can take
_LEAST_CONFIDENCE = 0.3  # below, the server itself guesses by the hour


class FlowServer:
    """Asks one URL with `{latitude}` and `{longitude}` in it, which may hold a key."""

    name = "flow"
    answers = Flow

    def __init__(self, url: SecretStr, timeout_s: float) -> None:
        parts = urlsplit(url.get_secret_value())
        self._path, self._parameters = parts.path or "/", dict(parse_qsl(parts.query))
        root = f"{parts.scheme}://{parts.netloc}"
        self._server = JsonServer("the traffic's server", root, timeout_s, _MAX_ANSWER_BYTES)

    async def ask(self, latitude: float, longitude: float) -> Flow:
        """Return how traffic flows around a place; raises ProviderDown."""
        place = {"{latitude}": f"{latitude:g}", "{longitude}": f"{longitude:g}"}
        parameters = {name: _filled(value, place) for name, value in self._parameters.items()}
        status, answer = await self._server.get(_filled(self._path, place), parameters)
        segment = answer.get("flowSegmentData") if status == 200 and isinstance(answer, dict) else None
        if not isinstance(segment, dict):
            raise ProviderDown("the traffic's server answered something else than a segment")
        now_s, free_s = _number(segment.get("currentTravelTime")), _number(segment.get("freeFlowTravelTime"))
        sure = _number(segment.get("confidence", 1.0))
        if not free_s or segment.get("roadClosure") is True or sure < _LEAST_CONFIDENCE:
            return Flow(time.time(), None)  # says nothing of the streets around
        return Flow(time.time(), min(max(now_s / free_s, _FASTEST), _SLOWEST))

    async def close(self) -> None:
        """Close connections."""
        await self._server.close()


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _LONGEST_S:
        raise ProviderDown("the traffic's server answered times that can't be")
    return float(value)


def _filled(text: str, place: dict[str, str]) -> str:
    for name, value in place.items():
        text = text.replace(name, value)
    return text
