"""Where an address is, for people who plan."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from engine.gazetteer.build import ATTRIBUTION
from engine.geocoding.chain import Source
from engine.providers.geocoding import LocatedKind
from models.documents.document import Latitude, Longitude, Shape
from models.errors import InvalidInput, NotFound

__all__ = ["router"]

router = APIRouter(prefix="/geocode", tags=["geocode"])


class GeocodeView(Shape):
    """Where an address is."""

    latitude: float
    longitude: float
    kind: LocatedKind
    confidence: float
    """0 to 1; deliveries take what reaches `OUTRIDER_GEOCODING__LEAST_CONFIDENCE`."""
    name: str | None
    """What was found, written out; null for a remembered answer."""
    source: Source
    """`provider`, `cache` (what it said before) or `gazetteer` (offline)."""
    attribution: str
    """To be shown with the answer."""


@router.get("")
async def geocode(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("deliveries.manage"))],
    address: Annotated[str, Query(min_length=1, max_length=500)],
    lat: Annotated[Latitude | None, Query(description="Where to look first if the address names no town")] = None,
    lon: Annotated[Longitude | None, Query()] = None,
) -> GeocodeView:
    """Return where an address is: as the provider says, else as it said before, else from the offline gazetteer."""
    if (lat is None) != (lon is None):
        raise InvalidInput("lat and lon come together", [("lat" if lat is None else "lon", "missing")])
    near = None if lat is None or lon is None else (lat, lon)
    answer = await services.geocoding.find(principal.scope, address, near)
    if answer is None:
        raise NotFound("place for", "this address")
    found = answer.located
    return GeocodeView(
        latitude=found.latitude,
        longitude=found.longitude,
        kind=found.kind,
        confidence=found.confidence,
        name=found.name,
        source=answer.source,
        attribution=ATTRIBUTION,
    )
