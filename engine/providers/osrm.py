"""Times, lengths and ways from an OSRM server (http://project-osrm.org/docs/v5.24.0/api/).

OSRM serves one kind of vehicle a server and knows no hours; it is asked under `driving` for all. It drives through
closures, because it can leave out classes of roads alone; its answers say that they go around none.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.providers.asking import JsonServer
from engine.providers.cells import amount_of, cells_of, line_of
from engine.travel.answers import Journey, OutOfRegion, Place, TravelLeg, TravelMatrix
from models.errors import ProviderDown

__all__ = ["OsrmTravel"]

_MAX_ANSWER_BYTES = 64 * 2**20  # a thousand places: a million cells, twice
_FAR_M = 1_000.0  # OSRM answers for any point on Earth: a snap over this is another region


class OsrmTravel:
    """Asks `/table` and `/route`."""

    name = "osrm"

    def __init__(self, url: str, timeout_s: float) -> None:
        self._server = JsonServer("osrm", url, timeout_s, _MAX_ANSWER_BYTES)

    async def matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        """Return the table between places."""
        status, answer = await self._server.get(
            f"/table/v1/driving/{_joined(places)}", {"annotations": "duration,distance"}
        )
        _check(status, answer)
        _check_near(answer.get("sources"))
        shape = (len(places), len(places))
        return TravelMatrix(
            cells_of(self.name, answer.get("durations"), shape),
            cells_of(self.name, answer.get("distances"), shape),
            self.name,
            _date(answer),
        )

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg | None:
        """Return the way between two places."""
        places = np.array([origin, destination])
        parameters = {"overview": "full", "geometries": "polyline6", "steps": "false"}
        status, answer = await self._server.get(f"/route/v1/driving/{_joined(places)}", parameters)
        if isinstance(answer, dict) and answer.get("code") == "NoRoute":
            return None
        _check(status, answer)
        _check_near(answer.get("waypoints"))
        try:
            route = answer["routes"][0]
            said = route["duration"], route["distance"], route["geometry"]
        except (KeyError, IndexError, TypeError) as fault:
            raise ProviderDown("osrm answered something else than a route") from fault
        whole = amount_of(self.name, said[0]), amount_of(self.name, said[1])
        return TravelLeg(origin, destination, *whole, line_of(self.name, said[2]), self.name, _date(answer))

    async def close(self) -> None:
        """Close connections."""
        await self._server.close()


def _joined(places: NDArray[np.float64]) -> str:
    return ";".join(f"{longitude:.6f},{latitude:.6f}" for latitude, longitude in places.tolist())


def _check(status: int, answer: Any) -> None:
    code = answer.get("code") if isinstance(answer, dict) else None
    if code == "NoSegment":
        raise OutOfRegion
    if status != 200 or code != "Ok":
        raise ProviderDown(f"osrm answered {code or status}")


def _check_near(waypoints: Any) -> None:
    """Refuse an answer whose places were put on roads far away."""
    try:
        far = any(float(one["distance"]) > _FAR_M for one in waypoints)
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise ProviderDown("osrm did not say where it put the places") from fault
    if far:
        raise OutOfRegion


def _date(answer: dict[str, Any]) -> str | None:
    found = answer.get("data_version")
    return found[:10] if isinstance(found, str) and found else None
