"""What is told of a change of a delivery: its event, and the messages that its drivers' shards follow. Pure."""

import datetime
import hashlib
from collections.abc import Mapping

from engine.deliveries.lifecycle import FINAL, Decision
from models.documents.delivery import CLOSED, Delivery, Status, Stop
from models.documents.driver import Driver, DriverPost
from models.documents.event import Event
from models.ids import new_id
from models.messages.commands import DeliveryAssigned, DeliveryChanged, StopPlan
from models.store.outbox import Announcement, Routed
from models.store.scope import Scope

__all__ = ["announced", "created", "event_id_of"]

_EDITED = "delivery.changed"
_STATUS_STAYS = (_EDITED, "delivery.proven")


def event_id_of(cause: str, kind: str) -> str:
    """Return the id of the event of a kind that something caused: the same whenever it is caused again."""
    return f"evt_{hashlib.blake2b(f'{cause}/{kind}'.encode(), digest_size=13).hexdigest()}"


def created(scope: Scope, delivery: Delivery) -> Announcement:
    """Return what is told of a new delivery."""
    data = {
        "deliveryId": delivery.id,
        "status": delivery.status.value,
        "driverId": None,
        "version": delivery.version,
        "located": delivery.is_located,
    }
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=delivery.created_at,
        type="delivery.created",
        aggregate=delivery.id,
        sequence=delivery.version,
        actor=scope.actor,
        data=data,
    )
    return Announcement(event, after=delivery)


def announced(
    before: Delivery, decision: Decision, scope: Scope, drivers: Mapping[str, Driver | DriverPost], event_id: str
) -> Announcement:
    """Return what is told of a decided change; `drivers` has those who have the delivery now or had it before."""
    delivery = decision.delivery
    event = Event(
        id=event_id,
        tenant=scope.tenant,
        time=delivery.updated_at if decision.kind in _STATUS_STAYS else delivery.history[-1].at,
        type=decision.kind,
        aggregate=delivery.id,
        sequence=delivery.version,
        actor=scope.actor,
        data=decision.data,
    )
    messages: list[Routed] = []
    if (left := drivers.get(decision.left_driver or "")) is not None:
        messages.append(Routed(left.partition, _changed(event, delivery, left, assigned=False)))
    if (driver := drivers.get(delivery.driver or "")) is not None:
        has_moved = decision.kind == _EDITED and delivery.status not in CLOSED  # its stops may lie elsewhere now
        is_new = delivery.status is Status.ASSIGNED or has_moved
        message = _assigned(event, delivery, driver) if is_new else _changed(event, delivery, driver, assigned=True)
        messages.append(Routed(driver.partition, message))
    return Announcement(event, tuple(messages), before, delivery)


def _assigned(event: Event, delivery: Delivery, driver: Driver | DriverPost) -> DeliveryAssigned:
    return DeliveryAssigned(
        event=event.id,
        tenant=event.tenant,
        driver=driver.number,
        delivery=delivery.id,
        version=delivery.version,
        status=delivery.status.value,
        stops=tuple(_planned(delivery, stop) for stop in delivery.stops),
        weight_kg=delivery.weight_kg or 0.0,
        priority=delivery.priority,
    )


def _planned(delivery: Delivery, stop: Stop) -> StopPlan:
    """Return a stop for the shard; window and service time are those of the drop-off."""
    place = (stop.kind, stop.latitude, stop.longitude, stop.radius_m)
    if stop.kind == "pickup":
        return StopPlan(*place)
    window = delivery.time_window
    opens_ms, closes_ms = (_ms(window.start), _ms(window.end)) if window is not None else (0, 0)
    return StopPlan(*place, opens_ms, closes_ms, float(delivery.service_time_s))


def _ms(at: datetime.datetime) -> int:
    return round(at.timestamp() * 1000)


def _changed(event: Event, delivery: Delivery, driver: Driver | DriverPost, *, assigned: bool) -> DeliveryChanged:
    return DeliveryChanged(
        event=event.id,
        tenant=event.tenant,
        driver=driver.number,
        delivery=delivery.id,
        version=delivery.version,
        status=delivery.status.value,
        assigned=assigned and delivery.status not in FINAL,
    )
