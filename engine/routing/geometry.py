"""The line that a route draws on the map, stop by stop. Pure."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polyline

from models.documents.delivery import Position
from models.documents.route import Route

__all__ = ["DrawLeg", "Line", "RouteLine", "line_of", "places_along", "straight"]

PRECISION = 5
"""Decimals of an encoded polyline: about a metre."""

Line = Sequence[tuple[float, float]]
"""Points as (latitude, longitude), degrees WGS 84."""

DrawLeg = Callable[[tuple[float, float], tuple[float, float]], Line]
"""Returns the way from one place to another, both ends included."""


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A route as legs: one to each stop, and one to the end where that is known."""

    legs: tuple[Line, ...]

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return the whole line; a point that two legs share comes once."""
        whole: list[tuple[float, float]] = []
        for leg in self.legs:
            whole.extend(leg[1:] if whole and whole[-1] == leg[0] else leg)
        return whole

    def encoded(self) -> str:
        """Return the whole line in Google's polyline format."""
        return str(polyline.encode(self.points, PRECISION))


def straight(one: tuple[float, float], other: tuple[float, float]) -> Line:
    """Draw a leg as the crow flies."""
    return (one, other)


def line_of(route: Route, draw: DrawLeg = straight) -> RouteLine:
    """Return the line of a route."""
    return RouteLine(tuple(tuple(draw(one, other)) for one, other in itertools.pairwise(places_along(route))))


def places_along(route: Route) -> list[tuple[float, float]]:
    """Return the places of a route in order: its start, stops and end, as far as they are known."""
    places = [_at(route.origin), *((stop.latitude, stop.longitude) for stop in route.stops), _at(route.destination)]
    return [place for place in places if place is not None]


def _at(position: Position | None) -> tuple[float, float] | None:
    return None if position is None else (position.latitude, position.longitude)
