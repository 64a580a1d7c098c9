"""Times, lengths and ways from a Valhalla server (https://valhalla.github.io/valhalla/api/).

Its limits on matrices (`service_limits.<costing>.max_matrix_location_pairs`) have to be raised for plans; over them it
answers an error, and the next provider is asked.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.providers.asking import JsonServer
from engine.providers.cells import amount_of, cells_of, line_of
from engine.roads.barriers import outlines
from engine.travel.answers import Journey, OutOfRegion, Place, TravelLeg, TravelMatrix
from models.errors import ProviderDown

__all__ = ["ValhallaTravel"]

_MAX_ANSWER_BYTES = 64 * 2**20
_COSTINGS: Mapping[str, Mapping[str, Any]] = {
    "car": {"costing": "auto"},
    "van": {"costing": "auto", "costing_options": {"auto": {"top_speed": 115, "height": 2.8, "width": 2.1}}},
    "truck": {"costing": "truck"},
    "bike": {"costing": "bicycle"},
}
_NOWHERE = (170, 171)  # places without a road, or on roads that do not hang together
_NO_WAY = 442
_SNAP_M = 500  # it would take roads 35 km away


class ValhallaTravel:
    """Asks `/sources_to_targets` and `/route`."""

    name = "valhalla"

    def __init__(self, url: str, timeout_s: float) -> None:
        self._server = JsonServer("valhalla", url, timeout_s, _MAX_ANSWER_BYTES)

    async def matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        """Return the matrix between places; of the instant, the hours in UTC that its speeds know."""
        located = [_located(place) for place in places.tolist()]
        body = {"sources": located, "targets": located, "verbose": False, "units": "kilometers"}
        status, answer = await self._server.post("/sources_to_targets", body | _terms(journey))
        _check(status, answer)
        found = answer.get("sources_to_targets")
        if not isinstance(found, dict):
            raise ProviderDown("valhalla answered something else than a matrix")
        shape = (len(places), len(places))
        return TravelMatrix(
            cells_of(self.name, found.get("durations"), shape),
            cells_of(self.name, found.get("distances"), shape, scale=1000.0),
            self.name,
            None,
            closures=len(journey.barriers),
        )

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg | None:
        """Return the way between two places."""
        located = [_located(origin), _located(destination)]
        body = {"locations": located, "directions_type": "none", "units": "kilometers"}
        status, answer = await self._server.post("/route", body | _terms(journey))
        if isinstance(answer, dict) and answer.get("error_code") == _NO_WAY:
            return None
        _check(status, answer)
        try:
            leg = answer["trip"]["legs"][0]
            said = leg["summary"]["time"], leg["summary"]["length"], leg["shape"]
        except (KeyError, IndexError, TypeError) as fault:
            raise ProviderDown("valhalla answered something else than a route") from fault
        whole = amount_of(self.name, said[0]), amount_of(self.name, said[1], scale=1000.0)
        return TravelLeg(origin, destination, *whole, line_of(self.name, said[2]), self.name, None)

    async def close(self) -> None:
        """Close connections."""
        await self._server.close()


def _terms(journey: Journey) -> dict[str, Any]:
    """Return what is driven, and what is driven around: polygons, whose roads it leaves out."""
    shapes = [[[lon, lat] for lat, lon in ring] for one in journey.barriers for ring in outlines(one)]
    return {**_COSTINGS[journey.profile], **({"exclude_polygons": shapes} if shapes else {})}


def _located(place: Any) -> dict[str, float]:
    return {"lat": round(place[0], 6), "lon": round(place[1], 6), "search_cutoff": _SNAP_M}


def _check(status: int, answer: Any) -> None:
    if not isinstance(answer, dict):
        raise ProviderDown("valhalla answered something else than an object")
    if answer.get("error_code") in _NOWHERE:
        raise OutOfRegion
    if status != 200:
        raise ProviderDown(f"valhalla answered error {answer.get('error_code', status)}")
