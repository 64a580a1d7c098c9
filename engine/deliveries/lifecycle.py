"""Which status of a delivery may follow which, and what a change does to it.

Pure: the clock comes with the command. `engine.deliveries.commands` loads, asks here, and stores.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from models.documents.delivery import MAX_HISTORY, Delivery, Position, Proof, Status, StatusChange
from models.errors import Conflict, ForbiddenTransition

__all__ = [
    "ALLOWED",
    "FINAL",
    "Assign",
    "Command",
    "Decision",
    "Edit",
    "Move",
    "Prove",
    "Wanted",
    "steps_after",
    "transition",
]

Wanted = Literal[
    "pending",
    "accepted",
    "declined",
    "picked_up",
    "in_transit",
    "arrived",
    "delivered",
    "failed",
    "returned",
    "cancelled",
]
"""What a `Move` may ask for; `declined` leads back to pending. Only `Assign` leads to assigned."""

ALLOWED: Mapping[Status, tuple[str, ...]] = {
    Status.PENDING: ("assigned", "cancelled"),
    Status.ASSIGNED: ("accepted", "declined", "pending", "assigned", "cancelled"),
    Status.ACCEPTED: ("picked_up", "pending", "assigned", "failed", "cancelled"),
    Status.PICKED_UP: ("in_transit", "failed"),
    Status.IN_TRANSIT: ("arrived", "failed"),
    Status.ARRIVED: ("delivered", "failed"),
    Status.DELIVERED: (),
    Status.FAILED: ("returned", "assigned"),
    Status.RETURNED: (),
    Status.CANCELLED: (),
}
"""What may follow each status."""

FINAL = frozenset(status for status, following in ALLOWED.items() if not following)
"""Statuses that nothing follows."""

_HOLDING = frozenset({Status.PICKED_UP, Status.IN_TRANSIT, Status.ARRIVED})
_PROVABLE = _HOLDING | {Status.DELIVERED, Status.FAILED, Status.RETURNED}
_HELD = frozenset({Status.ASSIGNED, Status.ACCEPTED})  # giving it to the same driver again would mean nothing


@dataclass(frozen=True, slots=True)
class Assign:
    """Give a delivery to a driver, also one that another driver had."""

    driver: str
    at: datetime.datetime
    by: str


@dataclass(frozen=True, slots=True)
class Move:
    """Bring a delivery to another status."""

    status: Wanted
    at: datetime.datetime
    by: str
    notes: str | None = None
    location: Position | None = None
    proof: Proof | None = None
    """What shows it; takes the place of an earlier one."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Give a delivery a proof, or a better one; status and driver stay."""

    proof: Proof
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace what a delivery says; status and driver stay."""

    fields: Mapping[str, Any]
    """New values by field name."""
    at: datetime.datetime


Command = Assign | Edit | Move | Prove


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the delivery, and what is told about it."""

    delivery: Delivery
    """The delivery after the change, one version on."""
    kind: str
    """Type of the event, such as `delivery.assigned`."""
    data: dict[str, Any]
    """What the event says."""
    left_driver: str | None
    """The driver who no longer has it, if that changed."""


def transition(delivery: Delivery, command: Command) -> Decision:
    """Return what `command` makes of `delivery`.

    Raises
    ------
    ForbiddenTransition
        If it can't follow the present status, or the driver has it already.
    Conflict
        If an edit comes too late: the delivery is final, or its pickup changes after the parcel was picked up; or a
        proof too early: nobody has the parcel.
    """
    if isinstance(command, Edit):
        return _edited(delivery, command)
    if isinstance(command, Prove):
        return _proven(delivery, command)
    wanted = "assigned" if isinstance(command, Assign) else command.status
    same_driver = isinstance(command, Assign) and delivery.status in _HELD and command.driver == delivery.driver
    if wanted not in ALLOWED[delivery.status] or same_driver:
        allowed = [status for status in ALLOWED[delivery.status] if not (same_driver and status == "assigned")]
        raise ForbiddenTransition(f"delivery {delivery.id}", delivery.status.value, wanted, allowed)
    status = Status.PENDING if wanted == "declined" else Status(wanted)
    driver = command.driver if isinstance(command, Assign) else _driver_after(delivery, status)
    changed = delivery.model_copy(
        update={
            "status": status,
            "driver": driver,
            "version": delivery.version + 1,
            "updated_at": max(delivery.updated_at, command.at),  # fix time may lie behind the last change
            "history": (*delivery.history, _entry(status, driver, command))[-MAX_HISTORY:],
            "proof": _proof_after(delivery, command),
        }
    )
    left = delivery.driver if delivery.driver != driver else None
    kind = "delivery.unassigned" if wanted == "pending" else f"delivery.{wanted}"
    return Decision(changed, kind, _told(changed, delivery, command), left)


def _edited(delivery: Delivery, command: Edit) -> Decision:
    if delivery.status in FINAL:
        raise Conflict(f"delivery {delivery.id} is {delivery.status}, and what is final stays as it is")
    said = {"geocode_fault": None} if {"dropoff", "pickup"} & command.fields.keys() else {}  # of the address before
    changed = delivery.model_copy(
        update={
            **said,
            **command.fields,
            "version": delivery.version + 1,
            "updated_at": max(delivery.updated_at, command.at),
        }
    )
    if delivery.status in _HOLDING and changed.pickup != delivery.pickup:
        raise Conflict(f"delivery {delivery.id} has been picked up, so its pickup can't change")
    fields = sorted(name for name in command.fields if getattr(changed, name) != getattr(delivery, name))
    data = {
        "deliveryId": delivery.id,
        "status": delivery.status.value,
        "driverId": delivery.driver,
        "version": changed.version,
        "located": changed.is_located,
        "fields": fields,
    }
    return Decision(changed, "delivery.changed", data, None)


def _proven(delivery: Delivery, command: Prove) -> Decision:
    if delivery.status not in _PROVABLE:
        raise Conflict(f"delivery {delivery.id} is {delivery.status}, so there is nothing to prove")
    changed = delivery.model_copy(
        update={
            "proof": command.proof,
            "version": delivery.version + 1,
            "updated_at": max(delivery.updated_at, command.at),
        }
    )
    data = {
        "deliveryId": delivery.id,
        "status": delivery.status.value,
        "driverId": delivery.driver,
        "version": changed.version,
        "proof": _summary(command.proof),
    }
    return Decision(changed, "delivery.proven", data, None)


def steps_after(
    delivery: Delivery, stop: Literal["pickup", "dropoff"], moment: Literal["arrived", "left"]
) -> tuple[Wanted, ...]:
    """Return the statuses that a driver's coming to or going from a stop makes a delivery run through.

    Leaving the pickup means the parcel is on its way; coming to the drop-off, with the parcel, means arrived. A
    driver who comes by the drop-off before the pickup changes nothing.
    """
    return _STEPS.get((stop, moment, delivery.status), ())


_STEPS: Mapping[tuple[str, str, Status], tuple[Wanted, ...]] = {
    ("pickup", "left", Status.ACCEPTED): ("picked_up", "in_transit"),
    ("pickup", "left", Status.PICKED_UP): ("in_transit",),
    ("dropoff", "arrived", Status.PICKED_UP): ("in_transit", "arrived"),
    ("dropoff", "arrived", Status.IN_TRANSIT): ("arrived",),
}


def _driver_after(delivery: Delivery, status: Status) -> str | None:
    return None if status is Status.PENDING else delivery.driver


def _proof_after(delivery: Delivery, command: Assign | Move) -> Proof | None:
    """Return the proof after a change; who gets a failed delivery anew begins without one."""
    if isinstance(command, Assign):
        return None
    return command.proof or delivery.proof


def _summary(proof: Proof) -> dict[str, Any]:
    """Return what an event says of a proof: no names, no words."""
    return {"photos": len(proof.photos), "signature": proof.signature is not None}


def _entry(status: Status, driver: str | None, command: Assign | Move) -> StatusChange:
    said = {} if isinstance(command, Assign) else {"notes": command.notes, "location": command.location}
    return StatusChange.model_validate({"status": status, "at": command.at, "by": command.by, "driver": driver, **said})


def _told(changed: Delivery, before: Delivery, command: Assign | Move) -> dict[str, Any]:
    told: dict[str, Any] = {
        "deliveryId": changed.id,
        "status": changed.status.value,
        "previousStatus": before.status.value,
        "driverId": changed.driver,
        "version": changed.version,
    }
    if before.driver not in (None, changed.driver):
        told["previousDriverId"] = before.driver
    if isinstance(command, Move) and command.location:  # notes may name people, and events go far: they stay at home
        told["location"] = command.location.model_dump()
    if isinstance(command, Move) and command.proof:
        told["proof"] = _summary(command.proof)
    return told
