"""Positions as JSON: live drivers, and tracks as columns or GeoJSON."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic.alias_generators import to_camel

from models.documents.document import Shape
from models.documents.live import LiveDriver
from models.messages.fixes import DEGREE, UNKNOWN_BATTERY, Outcome

__all__ = [
    "TRACK",
    "JsonResponse",
    "LiveView",
    "NearestView",
    "TrackView",
    "encode",
    "geojson_of",
    "live_of",
    "track_of",
    "track_response",
]

GEOJSON = "application/geo+json"

_COLUMNS = ("time", "speed", "heading", "accuracy", "altitude")
_LIVE = [(to_camel(field.name), field.name) for field in dataclasses.fields(LiveDriver)]
_DECIMALS = 2  # of speeds and metres: finer than any receiver
_PLACES = 7


class LiveView(Shape):
    """Where a driver is and what it does; null is unknown."""

    id: str
    name: str
    latitude: float
    longitude: float
    time: int
    """Fix time, epoch milliseconds."""
    received: int
    """Server time, epoch milliseconds."""
    speed: float | None
    """Metres a second."""
    heading: float | None
    """Degrees from north."""
    accuracy: float | None
    """Metres."""
    battery: int | None
    """Percent."""
    motion: Literal["unknown", "stopped", "moving"]
    online: bool
    open_stops: int
    stale: bool
    """Read from a snapshot because the owning shard was away."""


class NearestView(Shape):
    """Live drivers by distance."""

    items: Sequence[LiveView]


class TrackView(Shape):
    """Fixes by fix time, as columns of equal length; null is unknown."""

    driver_id: str | None = None
    """Whose track it is, if it was asked for by driver."""
    delivery_id: str | None = None
    """Whose track it is, if it was asked for by delivery."""
    count: int
    """Length of the columns."""
    time: Sequence[int]
    """Fix times, epoch milliseconds."""
    latitude: Sequence[float]
    longitude: Sequence[float]
    speed: Sequence[float | None]
    """Metres a second."""
    heading: Sequence[float | None]
    accuracy: Sequence[float | None]
    """Metres."""
    altitude: Sequence[float | None]
    battery: Sequence[int | None]
    """Percent."""
    received: Sequence[int]
    """Server times, epoch milliseconds."""
    filtered: Sequence[bool]
    """Noise."""
    late: Sequence[bool]
    """Came after newer fixes."""


TRACK: dict[int | str, dict[str, Any]] = {
    200: {"model": TrackView, "content": {GEOJSON: {"schema": {"type": "object"}}}},
}
"""What a route that answers with a track says in the OpenAPI document."""


class JsonResponse(Response):
    """JSON by msgspec: fast on long columns, and an unknown number (NaN) becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON."""
        return encode(content)


def encode(content: Any) -> bytes:
    """Return `content` as JSON; NaN becomes null, and MongoDB's whole numbers become usual ones."""
    return msgspec.json.encode(content, enc_hook=_plain)


def _plain(value: object) -> int:
    if isinstance(value, int):
        return int(value)  # MongoDB's whole numbers of 64 bits have a type of their own
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def live_of(live: LiveDriver) -> dict[str, Any]:
    """Return a live driver as it is answered."""
    return {shown: getattr(live, name) for shown, name in _LIVE}


def track_of(whose: dict[str, str], track: NDArray[np.void]) -> dict[str, Any]:
    """Return a track as columns of equal length, with the ids that say `whose` it is.

    `filtered` marks noise, `late` what came after newer fixes.
    """
    columns = {name: _numbers(track[name]) for name in _COLUMNS}
    battery = track["battery"].astype(object)
    battery[track["battery"] == UNKNOWN_BATTERY] = None
    return {
        **whose,
        "count": len(track),
        **columns,
        "latitude": _degrees(track["lat"]),
        "longitude": _degrees(track["lon"]),
        "battery": battery.tolist(),
        "received": track["received"].tolist(),
        "filtered": (track["outcome"] == Outcome.FILTERED).tolist(),
        "late": (track["outcome"] == Outcome.LATE).tolist(),
    }


def geojson_of(whose: dict[str, str], track: NDArray[np.void]) -> dict[str, Any]:
    """Return a track as a GeoJSON feature (RFC 7946): a line of what is no noise, with the times of its points."""
    kept = track[track["outcome"] != Outcome.FILTERED]
    points = [list(point) for point in zip(_degrees(kept["lon"]), _degrees(kept["lat"]), strict=True)]
    geometry = {"type": "LineString", "coordinates": points} if len(points) > 1 else None
    return {
        "type": "Feature",
        "geometry": geometry,
        "properties": {**whose, "time": kept["time"].tolist(), "speed": _numbers(kept["speed"])},
    }


def track_response(whose: dict[str, str], track: NDArray[np.void], accept: str) -> Response:
    """Answer with a track, as GeoJSON where the `Accept` header names it, else as columns."""
    if GEOJSON in accept:
        return JsonResponse(geojson_of(whose, track), media_type=GEOJSON)
    return JsonResponse(track_of(whose, track))


def _numbers(column: NDArray[Any]) -> list[Any]:
    rounded = np.round(column.astype(np.float64), _DECIMALS) if column.dtype.kind == "f" else column
    numbers: list[Any] = rounded.tolist()
    return numbers


def _degrees(column: NDArray[np.int32]) -> list[float]:
    degrees: list[float] = np.round(column / DEGREE, _PLACES).tolist()
    return degrees
