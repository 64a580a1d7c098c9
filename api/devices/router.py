"""Where phone apps and trackers send: one address a protocol, the key in the path, in Basic auth or as Bearer.

A fix that is merely bad is answered with success and counted, because an app deletes or repeats for ever what it is
refused. Only a wrong key (401) and an engine or store that can't take more (503 with `Retry-After`) are errors.
"""

import base64
import binascii
import re
import time
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from pymongo.errors import PyMongoError

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.auth.rights import may
from api.devices import gpslogger, osmand, overland, owntracks
from api.devices.report import DeviceFix, Report
from api.ingest.bodies import read_body
from api.ingest.pings import count_pings
from api.ingest.validate import check_record, pack_record
from api.paging import PageOf, opaque, paging_by
from api.services import Services
from engine.log.append import PARTITION
from engine.registry import DriverRef
from engine.telemetry.metrics import PINGS
from models.documents.document import Instant, Shape
from models.errors import InvalidInput, NotAuthenticated, NotFound, StoreUnavailable
from models.messages.fixes import FIX, Source
from models.store.paging import PageRequest
from models.store.quarantine import QuarantineRepository

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["devices"])

_METHODS = ["GET", "POST", "PUT"]
_KEY_ROLES = frozenset({"device", "gateway"})
_UNNAMED = "unnamed"
_PLACE = re.compile(r"^[0-9a-f]{24}\Z")


class UnknownDevice(Shape):
    """A device that nobody knows."""

    device: str
    """What it calls itself."""
    seen: Instant
    """When it was last heard."""
    count: int
    """Fixes that it has sent."""


class Claim(Shape):
    """Whose device it is."""

    driver_id: str = Field(min_length=1, max_length=200)


@router.api_route("/devices/osmand", methods=_METHODS, name="osmand_by_header", include_in_schema=False)
@router.api_route("/devices/osmand/{token}", methods=_METHODS, name="send_osmand", include_in_schema=False)
async def send_osmand(request: Request, services: ServicesOf, token: str | None = None) -> Response:
    """OsmAnd and Traccar Client: query string, form, or JSON."""
    principal = await _device(request, services, token)
    body = await _body(request, services)
    if _is_json(request, body):
        await _take(services, principal, osmand.read_json(_json(body)))
    else:
        await _take(services, principal, [osmand.read_fields(_fields(request, body))])
    return Response(status_code=200)


@router.post("/devices/owntracks", name="owntracks_by_header", include_in_schema=False)
@router.post("/devices/owntracks/{token}", name="send_owntracks", include_in_schema=False)
async def send_owntracks(request: Request, services: ServicesOf, token: str | None = None) -> Response:
    """OwnTracks in HTTP mode; the answer is a list of commands, and we have none."""
    principal = await _device(request, services, token)
    body = await _body(request, services)
    if body:
        await _take(services, principal, [owntracks.read(_json(body), request.headers.get("x-limit-d"))])
    return Response(b"[]", media_type="application/json")


@router.post("/devices/overland", name="overland_by_header", include_in_schema=False)
@router.post("/devices/overland/{token}", name="send_overland", include_in_schema=False)
async def send_overland(request: Request, services: ServicesOf, token: str | None = None) -> Response:
    """Overland: it deletes its batch only when it is told `ok`."""
    principal = await _device(request, services, token)
    await _take(services, principal, overland.read(_json(await _body(request, services))))
    return Response(b'{"result":"ok"}', media_type="application/json")


@router.api_route("/devices/gpslogger", methods=_METHODS, name="gpslogger_by_header", include_in_schema=False)
@router.api_route("/devices/gpslogger/{token}", methods=_METHODS, name="send_gpslogger", include_in_schema=False)
async def send_gpslogger(request: Request, services: ServicesOf, token: str | None = None) -> Response:
    """GPSLogger's custom URL: query string, form, or a JSON object."""
    principal = await _device(request, services, token)
    body = await _body(request, services)
    read = _json(body) if _is_json(request, body) else None
    fields = read if isinstance(read, dict) else _fields(request, body)
    await _take(services, principal, [gpslogger.read(fields)])
    return Response(status_code=200)


@router.get("/quarantine", name="list_quarantine")
async def list_quarantine(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("quarantine.manage"))],
    page: Annotated[PageRequest, Depends(paging_by(_PLACE))],
) -> PageOf[UnknownDevice]:
    """Return the devices that sent with a good key and that nobody knows, those first heard last before others."""
    found = await QuarantineRepository(services.database).devices(principal.scope, page)
    following = opaque(str(found.items[-1]["_id"])) if found.more else None
    items = [UnknownDevice(device=one["device"], seen=one["seen"], count=one["count"]) for one in found.items]
    return PageOf(items=items, next=following)


@router.post("/quarantine/{device}/claim", name="claim_device")
async def claim_device(
    device: str,
    claim: Claim,
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("quarantine.manage"))],
) -> dict[str, Any]:
    """Say which driver a device is: its kept fixes go to the log as the driver's."""
    quarantine = QuarantineRepository(services.database)
    ref = (await services.registry.resolve(principal.tenant, [claim.driver_id])).get(claim.driver_id)
    if ref is None:
        raise InvalidInput("the driver does not exist", [("driverId", f"there is no driver {claim.driver_id}")])
    kept = await quarantine.claim(principal.scope, device, ref.id)
    if kept is None:
        raise NotFound("device in quarantine", device)
    await _append(services, ref, kept)
    await quarantine.release(principal.scope, device)
    return {"driverId": ref.id, "accepted": len(kept)}


async def _device(request: Request, services: Services, token: str | None) -> Principal:
    principal = await services.authenticator.authenticate(token or _token_of(request))
    if principal.role not in _KEY_ROLES or not may(principal, "positions.send"):
        raise NotAuthenticated("send a device key or a gateway key")
    return principal


def _token_of(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError) as fault:
            raise NotAuthenticated("the Basic credentials are broken") from fault
    return request.query_params.get("token", "")


async def _body(request: Request, services: Services) -> bytes:
    services.appender.check()
    return await read_body(request, services.settings.ingest.max_body_bytes)


def _is_json(request: Request, body: bytes) -> bool:
    return "json" in request.headers.get("content-type", "") or body.lstrip()[:1] in (b"{", b"[")


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # counted as one bad fix: the device must not send it again and again


def _fields(request: Request, body: bytes) -> dict[str, str]:
    query = dict(request.query_params)
    return {**query, **dict(parse_qsl(body.decode(errors="replace")[:100_000]))}


async def _take(services: Services, principal: Principal, reports: list[Report]) -> None:
    latest_ms = int((time.time() + services.settings.ingest.max_future_s) * 1000)
    for report in reports:
        packed = [_packed(fix, report.source) for fix in report.fixes]
        good = [record for record in packed if not check_record(record, latest_ms)]
        count_pings(principal.tenant, 0, report.bad + len(packed) - len(good))
        if not good:
            continue
        try:
            await _place(services, principal, report.device, good)
        except PyMongoError as fault:
            raise StoreUnavailable("the quarantine does not answer", 2.0) from fault


async def _place(services: Services, principal: Principal, device: str | None, records: list[bytes]) -> None:
    """Put fixes on the log as their driver's, or into quarantine where nobody knows the device."""
    if principal.role == "device":
        device = principal.driver
    known = await services.registry.resolve(principal.tenant, [device] if device else [])
    if device in known:
        await _append(services, known[device], records)
        return
    quarantine = QuarantineRepository(services.database)
    name = device or _UNNAMED
    driver = await quarantine.claimed_by(principal.scope, name)
    claimed = await services.registry.resolve(principal.tenant, [driver] if driver else [])
    if driver in claimed:
        await _append(services, claimed[driver], records)
        return
    kept = await quarantine.keep(principal.scope, name, records)
    PINGS.labels(principal.tenant, "quarantined" if kept else "dropped").inc(len(records))


async def _append(services: Services, ref: DriverRef, records: list[bytes]) -> None:
    fixes = np.frombuffer(bytearray(b"".join(records)), FIX)
    fixes["driver"] = ref.number
    await services.appender.append(fixes, np.full(len(fixes), ref.partition, PARTITION))
    count_pings(ref.tenant, len(fixes), 0)


def _packed(fix: DeviceFix, source: Source) -> bytes:
    return pack_record(
        fix.time_ms,
        fix.latitude,
        fix.longitude,
        speed=fix.speed_mps,
        heading=fix.heading_deg,
        accuracy=fix.accuracy_m,
        altitude=fix.altitude_m,
        battery=fix.battery_pct,
        source=source,
    )
