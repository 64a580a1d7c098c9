"""Routes as callers see them: whole, as a change, and as a line on the map."""

from collections.abc import Sequence
from typing import Any

from engine.routing.geometry import RouteLine
from models.documents.delivery import Position
from models.documents.document import Instant, Shape
from models.documents.route import PlanLimits, PlannedBreak, PlannedStop, Route, RouteStatus, Violation

__all__ = ["RouteChange", "RouteView", "change_of", "geojson_of", "view_of"]


class RouteView(Shape):
    """A route with its times, and what it breaks."""

    id: str
    version: int
    name: str | None
    status: RouteStatus
    driver_id: str | None
    vehicle_id: str | None
    start: Instant
    end: Instant
    origin: Position | None
    destination: Position | None
    stops: Sequence[PlannedStop]
    breaks: Sequence[PlannedBreak]
    """Rests of the driver on the way, as the vehicle has them."""
    deliveries: Sequence[str]
    distance_m: float
    duration_s: float
    cost: float
    """By the vehicle's own rates, in the company's currency."""
    constraints: PlanLimits
    """Limits beside the vehicle's own."""
    violations: Sequence[Violation]
    """What the plan breaks; a plan by hand may break something."""
    locked: bool
    job_id: str | None
    """The optimisation that made it."""
    created_at: Instant
    updated_at: Instant


class RouteChange(Shape):
    """What a change makes of a route, and how that differs from before."""

    route: RouteView
    """As it would be."""
    distance_m: float
    """Added to the way; less than 0 where it gets shorter."""
    duration_s: float
    cost: float
    """By the vehicle's own rates."""
    broken: Sequence[Violation]
    """What it breaks that it did not break before, or breaks by more."""
    mended: Sequence[Violation]
    """What it broke before and does not any more."""


def view_of(route: Route) -> RouteView:
    """Return a route as it is answered."""
    fields = {name: getattr(route, name) for name in RouteView.model_fields if hasattr(route, name)}
    return RouteView(**fields, driver_id=route.driver, vehicle_id=route.vehicle, job_id=route.job)


def change_of(before: Route, after: Route) -> RouteChange:
    """Return a change of a route as it is answered."""
    had, has = _excesses(before), _excesses(after)
    return RouteChange(
        route=view_of(after),
        distance_m=round(after.distance_m - before.distance_m, 1),
        duration_s=round(after.duration_s - before.duration_s, 1),
        cost=round(after.cost - before.cost, 2),
        broken=[one for one in after.violations if one.excess > had.get(_about(after, one), 0.0)],
        mended=[one for one in before.violations if _about(before, one) not in has],
    )


def geojson_of(route: Route, line: RouteLine) -> dict[str, Any]:
    """Return a route as GeoJSON: a feature for each leg, and one for each stop."""
    legs = [
        _feature("LineString", [[lon, lat] for lat, lon in leg], {"leg": number})
        for number, leg in enumerate(line.legs)
    ]
    stops = [
        _feature(
            "Point",
            [stop.longitude, stop.latitude],
            {"stop": number, "deliveryId": stop.delivery_id, "kind": stop.kind, "arrival": stop.arrival.isoformat()},
        )
        for number, stop in enumerate(route.stops)
    ]
    return {"type": "FeatureCollection", "features": [*legs, *stops]}


def _feature(kind: str, coordinates: list[Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _about(route: Route, violation: Violation) -> tuple[str, str | None]:
    """Return what a violation is about, however the stops are numbered."""
    stop = None if violation.stop is None else route.stops[violation.stop]
    return violation.kind, None if stop is None else f"{stop.kind} {stop.delivery_id}"


def _excesses(route: Route) -> dict[tuple[str, str | None], float]:
    return {_about(route, violation): violation.excess for violation in route.violations}
