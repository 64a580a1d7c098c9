"""What figures are made from, read with little ceremony: a rebuild goes through every delivery and trip of a tenant.

Only the fields that count are read, and none of a customer's. A delivery's document keeps its latest changes of
status; where it may have lost earlier ones, the events tell all of them.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from models.documents.analytics import DeliveryStory, Step, TripSpan
from models.documents.delivery import MAX_HISTORY, Status
from models.geo import distance_m
from models.store.connections import Database
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["StoryRepository"]

_BATCH = 1000
_FAR_MS = 2**53
_DELIVERY_FIELDS = {
    **dict.fromkeys(("driver", "route", "createdAt", "timeWindow"), 1),
    **{f"{place}.{axis}": 1 for place in ("pickup", "dropoff") for axis in ("latitude", "longitude")},
    **{f"history.{name}": 1 for name in ("status", "at", "driver")},
}
_TRIP_FIELDS = {"_id": 0, "driver": 1, "from": 1, "to": 1, "distanceM": 1}


class StoryRepository:
    """The deliveries and trips of a tenant, as figures need them."""

    def __init__(self, database: Database) -> None:
        self._deliveries: Any = database["deliveries"]
        self._events: Any = database["events"]
        self._trips: Any = database["trips"]

    async def of(
        self, scope: Scope, deliveries: Collection[str], session: Session | None = None
    ) -> list[DeliveryStory]:
        """Return the stories of those deliveries that exist."""
        query = {"_id": {"$in": list(deliveries)}, "tenant": scope.tenant}
        found = await self._deliveries.find(query, _DELIVERY_FIELDS, session=session).to_list(None)
        return await self._told(scope, found, session)

    async def drivers(self, scope: Scope) -> list[str | None]:
        """Return all drivers that have deliveries or trips, and None for deliveries that nobody has."""
        query = {"tenant": scope.tenant}
        found = {*await self._deliveries.distinct("driver", query), *await self._trips.distinct("driver", query)}
        return [None, *sorted(driver for driver in found if driver is not None)]

    async def of_driver(self, scope: Scope, driver: str | None) -> AsyncIterator[list[DeliveryStory]]:
        """Yield the stories of all deliveries that a driver has, or nobody, in batches, newest first."""
        query = {"tenant": scope.tenant, "driver": driver}
        cursor = self._deliveries.find(query, _DELIVERY_FIELDS, batch_size=_BATCH).sort("_id", -1)
        while batch := await cursor.to_list(_BATCH):
            yield await self._told(scope, batch, None)

    async def count(self, scope: Scope) -> int:
        """Return how many deliveries there are."""
        return int(await self._deliveries.count_documents({"tenant": scope.tenant}))

    async def trips(
        self, scope: Scope, driver: str, from_ms: int = 0, to_ms: int = _FAR_MS, session: Session | None = None
    ) -> list[TripSpan]:
        """Return a driver's trips that began in `[from_ms, to_ms)`, all by default."""
        query = {"tenant": scope.tenant, "driver": driver, "from": {"$gte": from_ms, "$lt": to_ms}}
        found = await self._trips.find(query, _TRIP_FIELDS, session=session).to_list(None)
        return [_trip(fields) for fields in found]

    async def _told(
        self, scope: Scope, found: Sequence[Mapping[str, Any]], session: Session | None
    ) -> list[DeliveryStory]:
        long = [fields["_id"] for fields in found if len(fields.get("history", ())) >= MAX_HISTORY]
        steps = await self._steps_in_events(scope, long, session) if long else {}
        return [_story(fields, steps.get(fields["_id"])) for fields in found]

    async def _steps_in_events(
        self, scope: Scope, deliveries: Sequence[str], session: Session | None
    ) -> dict[str, list[Step]]:
        steps: dict[str, list[Step]] = {delivery: [] for delivery in deliveries}
        query = {
            "tenant": scope.tenant,
            "aggregate": {"$in": list(deliveries)},
            "data.previousStatus": {"$type": "string"},
        }
        async for event in self._events.find(query, session=session).sort([("aggregate", 1), ("sequence", 1)]):
            data = event["data"]
            steps[event["aggregate"]].append(Step(Status(data["status"]), event["time"], data.get("driverId")))
        return steps


def _story(fields: Mapping[str, Any], steps: Sequence[Step] | None) -> DeliveryStory:
    if steps is None:
        steps = [Step(Status(one["status"]), one["at"], one.get("driver")) for one in fields.get("history", ())]
    window = fields.get("timeWindow")
    return DeliveryStory(
        id=fields["_id"],
        driver=fields.get("driver"),
        route=fields.get("route"),
        created_at=fields["createdAt"],
        window=None if window is None else (window["start"], window["end"]),
        direct_m=_direct_m(fields.get("pickup", {}), fields["dropoff"]),
        steps=tuple(steps),
    )


def _direct_m(pickup: Mapping[str, float], dropoff: Mapping[str, float]) -> int | None:
    if "latitude" not in pickup or "latitude" not in dropoff:
        return None
    away_m: float = distance_m(pickup["latitude"], pickup["longitude"], dropoff["latitude"], dropoff["longitude"])
    return round(away_m)


def _trip(fields: Mapping[str, Any]) -> TripSpan:
    times: tuple[int, int] = fields["from"], fields["to"]
    return TripSpan(fields["driver"], *times, fields["distanceM"])
