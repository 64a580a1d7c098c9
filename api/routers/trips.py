"""What drivers did: trips, and the stops between them."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.live_view import JsonResponse
from api.moments import Span
from api.paging import opaque, paging_by
from api.routers.drivers import visible_driver
from models.documents.delivery import Position
from models.documents.document import Shape
from models.store.motion import MotionRepository
from models.store.paging import PageRequest

__all__ = ["router"]

router = APIRouter(prefix="/drivers", tags=["drivers"])
Watcher = Annotated[Principal, Depends(allowed("drivers.view"))]
Page = Annotated[PageRequest, Depends(paging_by(re.compile(r"^[0-9]{1,15}[tv]\Z")))]


class TripView(Shape):
    """A drive between two stops."""

    id: str
    from_: int = Field(alias="from")
    """Epoch milliseconds."""
    to: int | None
    """Epoch milliseconds."""
    start: Position
    end: Position
    distance_m: float


class VisitView(Shape):
    """A stop that a driver made."""

    id: str
    from_: int = Field(alias="from")
    """Epoch milliseconds."""
    to: int | None
    """Epoch milliseconds; null while it lasts."""
    place: Position


class MotionView(Shape):
    """What a driver did, in the order of time; a page counts trips and visits together."""

    trips: Sequence[TripView]
    visits: Sequence[VisitView]
    next: str | None = None
    """Cursor of the next page, if there is one."""


@router.get("/{driver_id}/trips", responses={200: {"model": MotionView}})
async def get_trips(services: ServicesOf, principal: Watcher, driver_id: str, span: Span, page: Page) -> Response:
    """Return a driver's trips and visits that began in a range of time, oldest first."""
    driver = await visible_driver(services, principal, driver_id)
    found = await MotionRepository(services.database).page(principal.scope, driver, *span, page)
    shown = {"trips": [_shown(trip) for trip in found.trips], "visits": [_shown(visit) for visit in found.visits]}
    return JsonResponse({**shown, "next": None if found.place is None else opaque(found.place)})


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """Return a trip or visit as it is answered: places spelled out, our own bookkeeping left out."""
    shown: dict[str, Any] = {"id": record["_id"], "from": record["from"], "to": record.get("to")}
    for name in ("start", "end", "place"):
        if name in record:
            shown[name] = {"latitude": record[name][0], "longitude": record[name][1]}
    if "distanceM" in record:
        shown["distanceM"] = record["distanceM"]
    return shown
