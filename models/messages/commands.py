"""Business events that the outbox relay puts on a driver's partition of the log, for its shard to follow.

At-least-once: a shard keeps the version of each delivery that it has seen and ignores what is not newer.
"""

from typing import Literal

import msgspec

__all__ = [
    "ClosuresChanged",
    "DeliveryAssigned",
    "DeliveryChanged",
    "DriverChanged",
    "FencesChanged",
    "LogMessage",
    "PositionsErased",
    "RoutePlanned",
    "StopPlan",
    "TenantChanged",
    "decode",
    "encode",
]


class StopPlan(msgspec.Struct, frozen=True, rename="camel"):
    """One planned stop of a delivery."""

    kind: Literal["pickup", "dropoff"]
    latitude: float
    longitude: float
    radius_m: float
    opens_ms: int = 0
    """Not served before, epoch milliseconds; 0 is at any time."""
    closes_ms: int = 0
    """Too late after that; 0 is never."""
    service_s: float = 0.0
    """How long the stop takes."""


class DeliveryAssigned(msgspec.Struct, frozen=True, tag="delivery_assigned", rename="camel"):
    """A driver got a delivery: its open stops join the driver's live state."""

    event: str
    """Event id (`evt_…`)."""
    tenant: str
    driver: int
    """The driver's number."""
    delivery: str
    """Delivery id (`dlv_…`)."""
    version: int
    status: str
    stops: tuple[StopPlan, ...]
    weight_kg: float = 0.0
    priority: str = "normal"


class RoutePlanned(msgspec.Struct, frozen=True, tag="route_planned", rename="camel"):
    """A driver got a route, or another order of it: in which order its stops are made. Without visits it is over."""

    event: str
    tenant: str
    driver: int
    route: str
    version: int
    departs_ms: int
    """When it leaves, epoch milliseconds."""
    profile: str
    """Of the vehicle: a name in `models.eta.base_time.PACES`."""
    visits: tuple[tuple[str, Literal["pickup", "dropoff"]], ...]
    """Pairs of (delivery id, which of its stops)."""
    breaks: tuple[tuple[str, Literal["pickup", "dropoff"], int, int], ...] = ()
    """Rests on the way: (delivery id and which of its stops follows, begin and end, epoch milliseconds)."""


class DeliveryChanged(msgspec.Struct, frozen=True, tag="delivery_changed", rename="camel"):
    """A delivery took another status, or left its driver (`assigned` false): stops that are done or void close."""

    event: str
    tenant: str
    driver: int
    delivery: str
    version: int
    status: str
    assigned: bool


class DriverChanged(msgspec.Struct, frozen=True, tag="driver_changed", rename="camel"):
    """A driver's document changed or went: the shard reads it again."""

    event: str
    tenant: str
    driver: int


class FencesChanged(msgspec.Struct, frozen=True, tag="fences_changed", rename="camel"):
    """A tenant's geofences changed: every shard compiles them again. Sent to all partitions."""

    event: str
    tenant: str


class ClosuresChanged(msgspec.Struct, frozen=True, tag="closures_changed", rename="camel"):
    """A tenant's closures changed: every shard reads them again. Sent to all partitions."""

    event: str
    tenant: str


class PositionsErased(msgspec.Struct, frozen=True, tag="positions_erased", rename="camel"):
    """Where a driver has been is to be forgotten: its state begins anew, its open stops stay."""

    tenant: str
    driver: int


class TenantChanged(msgspec.Struct, frozen=True, tag="tenant_changed", rename="camel"):
    """A tenant's settings changed: every shard reads them again. Sent to all partitions."""

    event: str
    tenant: str


LogMessage = (
    ClosuresChanged
    | DeliveryAssigned
    | DeliveryChanged
    | DriverChanged
    | FencesChanged
    | PositionsErased
    | RoutePlanned
    | TenantChanged
)

_decoder: msgspec.msgpack.Decoder[LogMessage] = msgspec.msgpack.Decoder(LogMessage)


def encode(message: LogMessage) -> bytes:
    """Return a log message as msgpack."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> LogMessage:
    """Return the log message in `data`.

    Raises
    ------
    msgspec.DecodeError
        If `data` is no such message.
    """
    return _decoder.decode(data)
