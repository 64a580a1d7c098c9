"""The plain alternative to the REST API: FastAPI, pydantic and Motor, as one writes it in an afternoon.

The same documents under the same indexes, the same bodies in and out, single writes that are majority-committed and in
the journal. It checks no token, role, tenant or version, and keeps no event, audit entry or outbox.
"""

import datetime
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field
from pymongo import ReturnDocument

from bench.plain import serve
from models.ids import new_id
from models.store.connections import connect_mongo

__all__ = ["DATABASE", "MODULE", "TENANT", "plain_rest_app"]

MODULE = "bench.plain_rest"
DATABASE = "plain_rest"
TENANT = "plain"
"""Every document has it, so that the same indexes serve."""

_NEXT = {
    "assigned": ("accepted", "cancelled"),
    "accepted": ("picked_up", "failed"),
    "picked_up": ("in_transit", "failed"),
    "in_transit": ("arrived", "failed"),
    "arrived": ("delivered", "failed"),
}
Instant = datetime.datetime


class PlainPlace(BaseModel):
    """Where."""

    address: str | None = None
    latitude: Annotated[float | None, Field(ge=-90, le=90)] = None
    longitude: Annotated[float | None, Field(ge=-180, le=180)] = None


class PlainCustomer(BaseModel):
    """Who."""

    name: str | None = None
    phone: str | None = None


class PlainWindow(BaseModel):
    """When."""

    start: Instant
    end: Instant


class PlainBody(BaseModel):
    """What is said of a delivery."""

    reference: str | None = None
    pickup: PlainPlace | None = None
    dropoff: PlainPlace
    customer: PlainCustomer = PlainCustomer()
    weightKg: float | None = None  # noqa: N815  # the names on the wire, here and below
    volumeM3: float | None = None  # noqa: N815
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    timeWindow: PlainWindow | None = None  # noqa: N815
    serviceTimeS: int = 0  # noqa: N815
    notes: str | None = None
    driverId: str | None = None  # noqa: N815


class PlainPosition(BaseModel):
    """A point."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    speed: float | None = None
    heading: float | None = None
    accuracy: float | None = None


class PlainMove(BaseModel):
    """The next status."""

    status: str
    location: PlainPosition | None = None
    notes: str | None = None


class PlainAssignment(BaseModel):
    """Who gets it."""

    driverId: str  # noqa: N815


class PlainChange(BaseModel):
    """One step of a delivery's life."""

    status: str
    at: Instant
    driver: str | None = None
    location: PlainPosition | None = None


class PlainDelivery(PlainBody):
    """A delivery."""

    id: str
    version: int
    status: str
    history: list[PlainChange] = []
    createdAt: Instant  # noqa: N815
    updatedAt: Instant  # noqa: N815


class PlainPage(BaseModel):
    """A page of deliveries."""

    items: list[PlainDelivery]
    next: str | None = None


def plain_rest_app(mongo_url: str) -> FastAPI:
    """Return the plain alternative's app."""
    app = FastAPI()
    database = connect_mongo(mongo_url, DATABASE).shared
    deliveries, positions = database["deliveries"], database["positions"]

    async def find(delivery_id: str) -> dict[str, Any]:
        found: dict[str, Any] | None = await deliveries.find_one({"_id": delivery_id})
        if found is None:
            raise HTTPException(404)
        return found

    async def change(delivery_id: str, update: dict[str, Any]) -> PlainDelivery:
        update.setdefault("$set", {})["updatedAt"] = _now()
        update["$inc"] = {"version": 1}
        found = await deliveries.find_one_and_update({"_id": delivery_id}, update, return_document=ReturnDocument.AFTER)
        if found is None:
            raise HTTPException(404)
        return _shown(found)

    @app.post("/api/v1/deliveries", status_code=201)
    async def create(body: PlainBody) -> PlainDelivery:
        moment = _now()
        fields = body.model_dump(exclude_none=True, exclude={"driverId"})
        status = "assigned" if body.driverId else "pending"
        document = {
            "_id": new_id("dlv"),
            "tenant": TENANT,
            "version": 1,
            "status": status,
            "history": [{"status": status, "at": moment, "driver": body.driverId}] if body.driverId else [],
            "createdAt": moment,
            "updatedAt": moment,
            **({"driver": body.driverId} if body.driverId else {}),
            **fields,
        }
        await deliveries.insert_one(document)
        return _shown(document)

    @app.get("/api/v1/deliveries")
    async def list_all(
        limit: int = 50,
        status: Annotated[Sequence[str], Query()] = (),
        driverId: str | None = None,  # noqa: N803
        priority: str | None = None,
    ) -> PlainPage:
        query: dict[str, Any] = {"tenant": TENANT}
        if status:
            query["status"] = {"$in": list(status)}
        if driverId:
            query["driver"] = driverId
        if priority:
            query["priority"] = priority
        found = await deliveries.find(query).sort("_id", -1).limit(limit + 1).to_list(None)
        items = [_shown(fields) for fields in found[:limit]]
        return PlainPage(items=items, next=items[-1].id if len(found) > limit else None)

    @app.get("/api/v1/deliveries/{delivery_id}")
    async def get(delivery_id: str) -> PlainDelivery:
        return _shown(await find(delivery_id))

    @app.put("/api/v1/deliveries/{delivery_id}")
    async def replace(delivery_id: str, body: PlainBody) -> PlainDelivery:
        return await change(delivery_id, {"$set": body.model_dump(exclude_none=True, exclude={"driverId"})})

    @app.put("/api/v1/deliveries/{delivery_id}/assignment")
    async def assign(delivery_id: str, body: PlainAssignment) -> PlainDelivery:
        step = {"status": "assigned", "at": _now(), "driver": body.driverId}
        fields = {"status": "assigned", "driver": body.driverId}
        return await change(delivery_id, {"$set": fields, "$push": {"history": step}})

    @app.patch("/api/v1/deliveries/{delivery_id}/status")
    async def move(delivery_id: str, body: PlainMove) -> PlainDelivery:
        before = await find(delivery_id)
        if body.status not in _NEXT.get(before["status"], ()):
            raise HTTPException(422)
        step = {"status": body.status, "at": _now(), "driver": before.get("driver")}
        if body.location is not None:
            step["location"] = body.location.model_dump(exclude_none=True)
        return await change(delivery_id, {"$set": {"status": body.status}, "$push": {"history": step}})

    @app.get("/api/v1/tracking/{delivery_id}")
    async def track(delivery_id: str) -> dict[str, Any]:
        delivery = _shown(await find(delivery_id))
        live = await positions.find_one({"_id": delivery.driverId})
        return {"deliveryId": delivery.id, "status": delivery.status, "version": delivery.version, "driver": live}

    @app.post("/api/v1/tracking/{delivery_id}")
    async def locate(delivery_id: str, body: PlainPosition) -> dict[str, Any]:
        delivery = await find(delivery_id)
        fields = {**body.model_dump(exclude_none=True), "time": _now()}
        await positions.update_one({"_id": delivery.get("driver")}, {"$set": fields}, upsert=True)
        return {"accepted": True}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _now() -> datetime.datetime:
    return datetime.datetime.now(tz=datetime.UTC)


def _shown(fields: dict[str, Any]) -> PlainDelivery:
    return PlainDelivery(**fields, id=fields["_id"], driverId=fields.get("driver"))


if __name__ == "__main__":
    serve(plain_rest_app(sys.argv[1]), int(sys.argv[2]))
