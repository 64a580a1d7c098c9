"""What the shards of a route's driver are told of its order of stops. Pure."""

from collections.abc import Mapping
from typing import Literal

from models.documents.driver import Driver
from models.documents.route import Route, RouteStatus
from models.messages.commands import RoutePlanned
from models.store.outbox import Routed

__all__ = ["order_told"]


def order_told(
    event: str, before: Route | None, after: Route | None, drivers: Mapping[str, Driver], profile: str
) -> tuple[Routed, ...]:
    """Return who is told which order: who drives a dispatched route, and that it is over who no longer does.

    Parameters
    ----------
    event
        Id of the event that the change is announced by.
    drivers
        Those of both routes, as far as they exist.
    profile
        Of the vehicle of `after`.
    """
    had = before.driver if before is not None and before.status is RouteStatus.DISPATCHED else None
    has = after.driver if after is not None and after.status is RouteStatus.DISPATCHED else None
    messages = []
    if before is not None and had is not None and had in drivers and had != has:
        messages.append(_told(event, before, drivers[had], profile, is_over=True))
    if after is not None and has is not None and has in drivers:
        messages.append(_told(event, after, drivers[has], profile, is_over=False))
    return tuple(messages)


def _told(event: str, route: Route, driver: Driver, profile: str, *, is_over: bool) -> Routed:
    visits = () if is_over else tuple((stop.delivery_id, stop.kind) for stop in route.stops)
    return Routed(
        driver.partition,
        RoutePlanned(
            event=event,
            tenant=route.tenant,
            driver=driver.number,
            route=route.id,
            version=route.version + is_over,
            departs_ms=round(route.start.timestamp() * 1000),
            profile=profile,
            visits=visits,
            breaks=() if is_over else _breaks(route),
        ),
    )


def _breaks(route: Route) -> tuple[tuple[str, Literal["pickup", "dropoff"], int, int], ...]:
    """Return the breaks on the way to stops; one before leaving or after the last stop concerns nobody who waits."""
    on_the_way = [one for one in route.breaks if one.before < len(route.stops) and one.end > route.start]
    return tuple(
        (
            route.stops[one.before].delivery_id,
            route.stops[one.before].kind,
            round(one.start.timestamp() * 1000),
            round(one.end.timestamp() * 1000),
        )
        for one in on_the_way
    )
