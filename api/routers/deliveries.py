"""Deliveries: creating, assigning, moving on."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.delivery_answer import answer_of
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.live_view import JsonResponse
from api.paging import PageOf, Paging, cursor_of_raw
from api.services import Services
from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Edit, Move, Wanted
from engine.deliveries.orders import Order
from models.documents.delivery import (
    MAX_PHOTOS,
    Customer,
    Delivery,
    GeocodeFault,
    Place,
    Position,
    Priority,
    Proof,
    Status,
    StatusChange,
    Stop,
    TimeWindow,
)
from models.documents.document import Instant, Line, Shape, now
from models.documents.vehicle import Skills
from models.errors import NotAllowed, NotFound
from models.ids import new_id
from models.store.deliveries import DeliveryFilter, DeliveryRepository

__all__ = [
    "PLANNERS_ONLY",
    "DeliveryFields",
    "DeliveryView",
    "NewDelivery",
    "ProofBody",
    "StatusMove",
    "WantedDeliveries",
    "require_visible",
    "router",
    "view_of",
    "visible_delivery",
]

router = APIRouter(prefix="/deliveries", tags=["deliveries"])
Planner = Annotated[Principal, Depends(allowed("deliveries.manage"))]
Carrier = Annotated[Principal, Depends(allowed("deliveries.move"))]
Watcher = Annotated[Principal, Depends(allowed("deliveries.view"))]
Deleter = Annotated[Principal, Depends(allowed("deliveries.delete"))]
_MAX_BULK = 1000
ProofId = Annotated[str, StringConstraints(pattern=r"^prf_[0-9a-z]{1,64}$")]
PROVEN_BY = frozenset({"delivered", "failed", "returned"})
"""Statuses that may come with a proof."""
PLANNERS_ONLY = frozenset({"pending", "cancelled"})
"""What a driver can't do to its own delivery; it declines instead."""


class DeliveryFields(Shape):
    """What planners say of a delivery."""

    dropoff: Place
    pickup: Place | None = None
    reference: Line | None = None
    customer: Customer = Customer()
    weight_kg: float | None = Field(None, ge=0, le=100_000)
    volume_m3: float | None = Field(None, ge=0, le=1_000)
    pieces: int | None = Field(None, ge=0, le=100_000)
    """How many parcels it is."""
    skills: Skills = ()
    """What the vehicle has to be able to do, such as `cold`."""
    priority: Priority = "normal"
    time_window: TimeWindow | None = None
    service_time_s: int = Field(0, ge=0, le=86_400)
    notes: str | None = Field(None, max_length=2000)


class NewDelivery(DeliveryFields):
    """A delivery to be created."""

    driver_id: str | None = None
    """Assigned to this driver at once."""


class DeliveryBody(DeliveryFields):
    """A delivery's new fields; what is left out is emptied."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class DeliveryView(Shape):
    """A delivery."""

    id: str
    version: int
    status: Status
    driver_id: str | None
    route_id: str | None
    reference: str | None
    pickup: Place | None
    dropoff: Place
    stops: tuple[Stop, ...]
    located: bool
    """Whether all places are known as points."""
    unlocated: GeocodeFault | Literal["waiting"] | None
    """Why not: the address is still to be looked for, was not found, or not for sure."""
    customer: Customer
    weight_kg: float | None
    volume_m3: float | None
    pieces: int | None
    skills: tuple[str, ...]
    priority: Priority
    time_window: TimeWindow | None
    service_time_s: int
    notes: str | None
    proof: Proof | None
    history: tuple[StatusChange, ...]
    created_at: Instant
    updated_at: Instant


_SAME = tuple(name for name in DeliveryView.model_fields if name in Delivery.model_fields)
_UNCHECKED: DeliveryView = DeliveryView.model_construct()  # type: ignore[call-arg]  # only ever copied
"""Copied for every view: a delivery's fields are checked, and checking them again is a fifth of the cost of a list."""


class Assignment(Shape):
    """Who gets a delivery."""

    driver_id: str
    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class ProofBody(Shape):
    """What shows that a delivery was handed over, or why it could not be."""

    photos: Annotated[tuple[ProofId, ...], Field(max_length=MAX_PHOTOS)] = ()
    """Photos that were uploaded for this delivery."""
    signature: ProofId | None = None
    """The picture of a signature that was uploaded for this delivery."""
    recipient: Line | None = None
    """Who took it."""
    note: str | None = Field(None, max_length=2000)
    location: Position | None = None

    def to_proof(self) -> Proof:
        """Return it as a delivery keeps it."""
        return Proof(**{name: getattr(self, name) for name in ProofBody.model_fields})


class StatusMove(Shape):
    """The next status of a delivery."""

    status: Wanted
    location: Position | None = None
    notes: str | None = Field(None, max_length=2000)
    proof: ProofBody | None = None
    """Comes with `delivered`, `failed` or `returned`."""
    version: int | None = Field(None, ge=1)

    @field_validator("proof")
    @classmethod
    def _ends_it(cls, proof: ProofBody | None, info: ValidationInfo) -> ProofBody | None:
        if proof is not None and info.data.get("status") not in PROVEN_BY:
            raise ValueError("a proof comes with delivered, failed or returned")
        return proof


async def _wanted(
    status: Annotated[Sequence[Status], Query(description="One or several")] = (),
    driver_id: Annotated[str | None, Query(alias="driverId")] = None,
    priority: Priority | None = None,
    reference: Annotated[str | None, Query(max_length=200)] = None,
    phone: Annotated[
        str | None, Query(pattern=r"^[+ ]?[0-9 ()./-]{3,40}$", description="The customer's, however it is written")
    ] = None,
    located: Annotated[bool | None, Query(description="Whether all its places are known as points")] = None,
    created_from: Annotated[Instant | None, Query(alias="createdFrom")] = None,
    created_to: Annotated[Instant | None, Query(alias="createdTo", description="Not included")] = None,
) -> DeliveryFilter:
    if phone is not None and phone.startswith(" "):
        phone = f"+{phone[1:]}"  # a plus that was not percent-encoded
    return DeliveryFilter(status, driver_id, priority, reference, created_from, created_to, phone, located)


WantedDeliveries = Annotated[DeliveryFilter, Depends(_wanted)]
"""The deliveries that the query asks for."""


@router.post("", status_code=201, response_model=DeliveryView)
async def create_delivery(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    body: NewDelivery,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a delivery, and assign it at once if `driverId` is given."""

    async def create() -> dict[str, Any]:
        return (await _create(services, principal, [body]))[0]

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.post("/bulk", status_code=201, response_model=Sequence[DeliveryView])
async def create_deliveries(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    body: Annotated[list[NewDelivery], Body(min_length=1, max_length=_MAX_BULK)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create up to a thousand deliveries, all or none."""

    async def create() -> list[dict[str, Any]]:
        return await _create(services, principal, body)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[DeliveryView])
async def list_deliveries(
    services: ServicesOf,
    principal: Watcher,
    page: Paging,
    wanted: WantedDeliveries,
    sort: Annotated[Literal["createdAt", "-createdAt"], Query(description="Oldest or newest first")] = "-createdAt",
) -> Response:
    """Return deliveries, newest first unless asked otherwise; a driver sees its own."""
    if principal.role in ("driver", "device"):
        # one who drives and is linked to no driver has no deliveries
        wanted = dataclasses.replace(wanted, driver=principal.driver or "")
    repository = DeliveryRepository(services.database)
    found = await repository.raw_page(principal.scope, page, wanted, newest_first=sort == "-createdAt")
    items = [await services.shown.of(stored, repository.read_raw) for stored in found.items]
    return JsonResponse({"items": items, "next": cursor_of_raw(found)})


@router.get("/{delivery_id}", response_model=DeliveryView)
async def get_delivery(services: ServicesOf, principal: Watcher, delivery_id: str) -> Response:
    """Return one delivery, with its version as `ETag`."""
    fields = await DeliveryRepository(services.database).fields_of(principal.scope, delivery_id)
    require_visible(principal, delivery_id, fields.get("driver"))
    response = JsonResponse(answer := answer_of(fields))
    tag(response, answer["version"])
    return response


@router.put("/{delivery_id}", response_model=DeliveryView)
async def replace_delivery(
    services: ServicesOf,
    principal: Planner,
    delivery_id: str,
    body: DeliveryBody,
    if_match: IfMatch = None,
) -> Response:
    """Replace what a delivery says; its driver's stops follow. Status and driver have ways of their own."""
    edit = Edit({name: getattr(body, name) for name in DeliveryFields.model_fields}, now())
    version = seen_version(if_match, body.version)
    return _tagged(await _commands(services).edit(principal.scope, delivery_id, edit, version))


@router.put("/{delivery_id}/assignment", response_model=DeliveryView)
async def assign_delivery(
    services: ServicesOf,
    principal: Planner,
    delivery_id: str,
    body: Assignment,
    if_match: IfMatch = None,
) -> Response:
    """Give a delivery to a driver, also one that another driver had."""
    version = seen_version(if_match, body.version)
    return _tagged(await _commands(services).assign(principal.scope, delivery_id, body.driver_id, version))


@router.patch("/{delivery_id}/status", response_model=DeliveryView)
async def move_delivery(
    services: ServicesOf,
    principal: Carrier,
    delivery_id: str,
    body: StatusMove,
    if_match: IfMatch = None,
) -> Response:
    """Bring a delivery to another status; the answer to a forbidden one names the allowed ones."""
    if principal.role in ("driver", "device"):
        await visible_delivery(services, principal, delivery_id)
        if body.status in PLANNERS_ONLY:
            raise NotAllowed(f"a {principal.role} may not make a delivery {body.status}")
    proof = body.proof.to_proof() if body.proof is not None else None
    move = Move(body.status, now(), principal.subject, body.notes, body.location, proof)
    version = seen_version(if_match, body.version)
    return _tagged(await _commands(services).move(principal.scope, delivery_id, move, version))


@router.delete("/{delivery_id}", response_model=DeliveryView)
async def cancel_delivery(
    services: ServicesOf,
    principal: Deleter,
    delivery_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
    if_match: IfMatch = None,
) -> Response:
    """Cancel a delivery that has not been picked up."""
    move = Move("cancelled", now(), principal.subject)
    seen = seen_version(if_match, version)
    return _tagged(await _commands(services).move(principal.scope, delivery_id, move, seen))


async def visible_delivery(services: Services, principal: Principal, delivery_id: str) -> Delivery:
    """Return a delivery that the caller may see.

    Raises
    ------
    NotFound
        If there is none, or it is another tenant's or, for drivers and devices, another driver's.
    """
    delivery = await DeliveryRepository(services.database).get(principal.scope, delivery_id)
    require_visible(principal, delivery.id, delivery.driver)
    return delivery


def require_visible(principal: Principal, delivery_id: str, driver: str | None) -> None:
    """Refuse a delivery that the caller may not see, given who has it.

    Raises
    ------
    NotFound
        If the caller is a driver or a device, and the delivery another driver's.
    """
    if principal.role in ("driver", "device") and driver != principal.driver:
        raise NotFound("delivery", delivery_id)


def view_of(delivery: Delivery) -> DeliveryView:
    """Return a delivery as it is answered."""
    own = vars(delivery)
    fields = {name: own[name] for name in _SAME}
    named = {"driver_id": delivery.driver, "route_id": delivery.route}
    located = {"located": delivery.is_located, "unlocated": delivery.unlocated}
    return _UNCHECKED.model_copy(update=fields | named | located | {"stops": delivery.stops})


def _tagged(delivery: Delivery) -> Response:
    response = JsonResponse(answer_of(delivery.stored()))
    tag(response, delivery.version)
    return response


async def _create(services: Services, principal: Principal, bodies: Sequence[NewDelivery]) -> list[dict[str, Any]]:
    orders = [_order(principal, body) for body in bodies]
    return [answer_of(delivery.stored()) for delivery in await _commands(services).create(principal.scope, orders)]


def _order(principal: Principal, body: NewDelivery) -> Order:
    fields = dict(body)
    driver = fields.pop("driver_id")
    moment = now()
    delivery = Delivery(id=new_id("dlv"), tenant=principal.tenant, created_at=moment, updated_at=moment, **fields)
    return Order(delivery, driver)


def _commands(services: Services) -> DeliveryCommands:
    return DeliveryCommands(services.database, services.settings.log.partitions)
