"""What a phone on the road needs: the day's round, the next stop, and all that happened in a dead zone at once."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints, ValidationError

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.ingest.decode import Message, PingRow
from api.ingest.pings import accept
from api.routers.deliveries import PLANNERS_ONLY, StatusMove
from api.services import Services
from engine.deliveries.lifecycle import ALLOWED, Move
from engine.deliveries.round import StopAhead, end_of_day, round_of
from engine.deliveries.uploads import LateMove, MoveOutcome, Uploads
from models.documents.delivery import Delivery, Position, Priority, Status, TimeWindow
from models.documents.document import Instant, Latitude, Longitude, Shape, now
from models.documents.route import Route
from models.errors import ForbiddenTransition, InvalidInput, NotAllowed, NotFound, OutriderError, TryLater
from models.messages.fixes import Source
from models.store.accounts import AccountRepository
from models.store.deliveries import DeliveryRepository
from models.store.routes import RouteRepository

__all__ = ["router"]

router = APIRouter(prefix="/driver-app", tags=["driver app"])
OnTheRoad = Annotated[Principal, Depends(allowed("driver-app.use"))]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
_MAX_ITEMS = 1000


class StopView(Shape):
    """A stop of the round."""

    delivery_id: str
    version: int
    status: Status
    next: Sequence[str]
    """Statuses that the driver may give it now."""
    kind: Literal["pickup", "dropoff"]
    address: str | None
    latitude: float | None
    longitude: float | None
    customer: str | None
    phone: str | None
    reference: str | None
    priority: Priority
    time_window: TimeWindow | None
    service_time_s: int
    weight_kg: float | None
    notes: str | None


class Round(Shape):
    """What a driver has to do today, in the order of doing it."""

    driver_id: str
    route_id: str | None
    """The planned route that the first stops are of, if there is one."""
    stops: Sequence[StopView]


class NextStop(Shape):
    """Where a driver has to go next."""

    driver_id: str
    stop: StopView | None
    """None when all is done."""
    remaining: int
    """Stops of today, this one included."""


class LateStatus(StatusMove):
    """A status that a delivery took while the phone was out of reach."""

    type: Literal["status"]
    id: ItemId
    """The phone's own name for it; the same when it is sent again."""
    time: Instant
    """When it happened, by the phone's clock."""
    delivery_id: Annotated[str, StringConstraints(max_length=64)]


class LatePing(Shape):
    """A position that the phone kept while it was out of reach."""

    type: Literal["ping"]
    id: ItemId
    """The phone's own name for it; the same when it is sent again."""
    time: Instant
    """When it was taken, by the phone's clock."""
    latitude: Latitude
    longitude: Longitude
    speed: float | None = None
    """Metres a second."""
    heading: float | None = None
    accuracy: float | None = None
    altitude: float | None = None
    battery: float | None = None
    sequence: int | None = Field(None, ge=0, lt=2**63)


class Upload(Shape):
    """What happened while the phone was out of reach, in any order."""

    items: Annotated[
        list[Annotated[LateStatus | LatePing | dict[str, Any], Field(union_mode="left_to_right")]],
        Field(min_length=1, max_length=_MAX_ITEMS),
    ]
    """Each is judged by itself, also one that can't be read."""


class CurrentState(Shape):
    """A delivery as it is now."""

    status: Status
    version: int


class ItemResult(Shape):
    """What became of one item."""

    index: int
    """Its place in the upload."""
    id: str | None
    """The phone's own name for it, where it could be read."""
    outcome: Literal["done", "already-done", "refused"]
    at: Instant | None = None
    """The time that was kept: the phone's, but not before the driver got the delivery and not in the future."""
    reason: str | None = None
    """Why it was refused: a code of the problem types, or a reason of `POST /pings`."""
    detail: str | None = None
    field: str | None = None
    """The field at fault."""
    current: CurrentState | None = None
    """The delivery as it is now, where it still is the driver's."""
    allowed: Sequence[str] | None = None
    """What could follow its status."""


class UploadResult(Shape):
    """What became of an upload."""

    items: Sequence[ItemResult]
    """In the order of the upload."""


@router.get("/route")
async def get_round(
    services: ServicesOf,
    principal: OnTheRoad,
    lat: Annotated[Latitude | None, Query(description="Where the phone is, if it knows")] = None,
    lon: Annotated[Longitude | None, Query()] = None,
) -> Round:
    """Return what the driver has to do today, in its order.

    The stops of a dispatched route come as planned; the rest by deadline, then priority, then what is nearest.
    """
    driver = _driver(principal)
    route, ordered = await _ordered(services, principal, driver, lat, lon)
    return Round(driver_id=driver, route_id=route.id if route else None, stops=[_stop(one) for one in ordered])


@router.get("/next")
async def get_next_stop(
    services: ServicesOf,
    principal: OnTheRoad,
    lat: Annotated[Latitude | None, Query(description="Where the phone is, if it knows")] = None,
    lon: Annotated[Longitude | None, Query()] = None,
) -> NextStop:
    """Return where the driver has to go next."""
    driver = _driver(principal)
    _, ordered = await _ordered(services, principal, driver, lat, lon)
    return NextStop(driver_id=driver, stop=_stop(ordered[0]) if ordered else None, remaining=len(ordered))


@router.post("/batch")
async def upload_batch(services: ServicesOf, principal: OnTheRoad, body: Upload) -> UploadResult:
    """Take what happened in a dead zone: statuses and positions, applied in the order in which they happened.

    Each item is answered for itself. Sending the same again is harmless, whatever became of the first time.
    """
    results = dict(_unreadable(body))
    results |= await _apply_moves(services, principal, body)
    results |= await _take_pings(
        services, principal, body
    )  # after the moves: what the phone says goes before what we infer
    return UploadResult(items=[results[index] for index in range(len(body.items))])


async def _ordered(
    services: Services, principal: Principal, driver: str, lat: float | None, lon: float | None
) -> tuple[Route | None, list[StopAhead]]:
    if (lat is None) != (lon is None):
        raise InvalidInput("lat and lon come together", [("lat" if lat is None else "lon", "missing")])
    settings = (await AccountRepository(services.database).tenant(principal.scope)).settings
    found = await DeliveryRepository(services.database).open_of(principal.scope, driver)
    if lat is not None and lon is not None:
        here: Position | None = Position(latitude=lat, longitude=lon)
    else:
        here = await _last_seen(services, principal.tenant, driver) if len(found) > 1 else None
    route = await RouteRepository(services.database).current(principal.scope, driver)
    return route, round_of(found, here, end_of_day(now(), settings.time_zone), route.stops if route else ())


async def _last_seen(services: Services, tenant: str, driver: str) -> Position | None:
    try:
        live = await services.engine.driver(tenant, driver).live()
    except NotFound:
        return None
    return Position(latitude=live.latitude, longitude=live.longitude)


def _driver(principal: Principal) -> str:
    if principal.driver is None:
        raise NotAllowed("this user is linked to no driver")
    return principal.driver


def _stop(ahead: StopAhead) -> StopView:
    delivery = ahead.delivery
    return StopView(
        delivery_id=delivery.id,
        version=delivery.version,
        status=delivery.status,
        next=_next(delivery),
        kind=ahead.kind,
        address=ahead.place.address,
        latitude=ahead.place.latitude,
        longitude=ahead.place.longitude,
        customer=delivery.customer.name,
        phone=delivery.customer.phone,
        reference=delivery.reference,
        priority=delivery.priority,
        time_window=delivery.time_window,
        service_time_s=delivery.service_time_s,
        weight_kg=delivery.weight_kg,
        notes=delivery.notes,
    )


def _next(delivery: Delivery) -> list[str]:
    return [status for status in ALLOWED[delivery.status] if status not in PLANNERS_ONLY and status != "assigned"]


def _unreadable(body: Upload) -> dict[int, ItemResult]:
    """Return the refusals of items that are of no known form."""
    return {
        index: _refused(index, item.get("id"), _fault_of(item))
        for index, item in enumerate(body.items)
        if isinstance(item, dict)
    }


def _fault_of(item: dict[str, Any]) -> OutriderError:
    try:
        (LatePing if item.get("type") == "ping" else LateStatus).model_validate(item)
    except ValidationError as fault:
        first = fault.errors()[0]
        path, said = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        return InvalidInput(f"{path}: {said}", [(path, said)])
    raise AssertionError("what can be read is not asked about")


async def _apply_moves(services: Services, principal: Principal, body: Upload) -> dict[int, ItemResult]:
    results: dict[int, ItemResult] = {}
    moves: dict[int, LateMove] = {}
    for index, item in enumerate(body.items):
        if isinstance(item, LateStatus):
            if item.status in PLANNERS_ONLY:
                fault = NotAllowed(f"a {principal.role} may not make a delivery {item.status}")
                results[index] = _refused(index, item.id, fault)
            else:
                moves[index] = _late(item, principal)
    uploads = Uploads(services.database, services.settings.log.partitions, principal.scope, _driver(principal))
    outcomes = await uploads.apply(list(moves.values()))
    for (index, move), outcome in zip(moves.items(), outcomes, strict=True):
        results[index] = _moved(index, move.id, outcome)
    return results


def _late(item: LateStatus, principal: Principal) -> LateMove:
    proof = item.proof.to_proof() if item.proof is not None else None
    move = Move(item.status, item.time, principal.subject, item.notes, item.location, proof)
    return LateMove(item.id, item.delivery_id, move, item.version)


async def _take_pings(services: Services, principal: Principal, body: Upload) -> dict[int, ItemResult]:
    pings = {index: item for index, item in enumerate(body.items) if isinstance(item, LatePing)}
    if not pings:
        return {}
    places = list(pings)
    try:
        services.appender.check()
        message = Message(rows=[_row(ping) for ping in pings.values()])
        _, admitted = await accept(services, principal, message, Source.HTTP)
    except TryLater as fault:  # the statuses are safe, and the phone keeps what is refused
        return {index: _refused(index, ping.id, fault) for index, ping in pings.items()}
    results = {index: ItemResult(index=index, id=ping.id, outcome="done") for index, ping in pings.items()}
    for refusal in admitted.refused:
        index = places[refusal.index]
        results[index] = ItemResult(
            index=index, id=pings[index].id, outcome="refused", reason=refusal.reason, field=refusal.field
        )
    return results


def _row(ping: LatePing) -> PingRow:
    return PingRow(
        time=int(ping.time.timestamp() * 1000),
        latitude=ping.latitude,
        longitude=ping.longitude,
        speed=ping.speed,
        heading=ping.heading,
        accuracy=ping.accuracy,
        altitude=ping.altitude,
        battery=ping.battery,
        sequence=ping.sequence,
    )


def _moved(index: int, identifier: str, outcome: MoveOutcome) -> ItemResult:
    delivery = outcome.delivery
    current = CurrentState(status=delivery.status, version=delivery.version) if delivery is not None else None
    if outcome.fault is not None:
        return _refused(index, identifier, outcome.fault).model_copy(update={"current": current})
    return ItemResult(index=index, id=identifier, outcome=outcome.outcome, at=outcome.at, current=current)


def _refused(index: int, identifier: object, fault: OutriderError) -> ItemResult:
    fields = fault.fields if isinstance(fault, InvalidInput) else ()
    return ItemResult(
        index=index,
        id=identifier if isinstance(identifier, str) else None,
        outcome="refused",
        reason=fault.code,
        detail=str(fault),
        field=fields[0][0] if fields else None,
        allowed=fault.allowed if isinstance(fault, ForbiddenTransition) else None,
    )
