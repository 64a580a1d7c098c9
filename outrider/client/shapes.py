"""What goes in and comes out of the client. Fields that a newer server adds are ignored."""

import time
from typing import Any, Literal

import msgspec

from models.messages.frames import DriverState

__all__ = [
    "Delivery",
    "Driver",
    "FieldFault",
    "Frame",
    "ImportReport",
    "ImportRow",
    "LiveDriver",
    "Ping",
    "Place",
    "Refusal",
    "Session",
]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Ping(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One position. What is None is unknown; `time` is now unless given."""

    driver_id: str | None = None
    """Id or external id; may be left out with a device key."""
    latitude: float
    longitude: float
    time: int = msgspec.field(default_factory=_now_ms)
    """Fix time, epoch milliseconds."""
    speed: float | None = None
    """Metres a second."""
    heading: float | None = None
    accuracy: float | None = None
    altitude: float | None = None
    battery: int | None = None
    sequence: int | None = None
    """The device's own number of this ping."""
    device_time: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A ping that the door did not take."""

    seq: int
    index: int
    reason: str
    field: str | None = None


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """Who is signed in."""

    access_token: str
    refresh_token: str
    """Good once (`OutriderClient.refresh`)."""
    tenant_id: str
    user_id: str
    role: str
    expires_in: int
    """Seconds."""


class Driver(msgspec.Struct, frozen=True, rename="camel"):
    """A driver."""

    id: str
    name: str
    external_id: str | None = None
    phone: str | None = None


class Place(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where a delivery is fetched or brought: an address, a point, or both."""

    latitude: float | None = None
    longitude: float | None = None
    address: str | None = None
    radius_m: float | None = None
    """Radius of the stop's geofence, metres; none takes the usual one."""


class Delivery(msgspec.Struct, frozen=True, rename="camel"):
    """A delivery."""

    id: str
    version: int
    status: str
    dropoff: Place
    pickup: Place | None = None
    driver_id: str | None = None
    reference: str | None = None


class FieldFault(msgspec.Struct, frozen=True):
    """What is wrong with one field of a row."""

    field: str
    detail: str


class ImportRow(msgspec.Struct, frozen=True):
    """What became of one row of a file."""

    row: int
    """As a spreadsheet counts: the heading is row 1. In JSON lines: the line."""
    outcome: Literal["created", "updated", "skipped", "failed"]
    id: str | None = None
    reference: str | None = None
    located: bool | None = None
    """False for a delivery whose address is still to be found on the map."""
    errors: list[FieldFault] = []


class ImportReport(msgspec.Struct, frozen=True):
    """What became of a file of deliveries."""

    id: str | None
    state: Literal["running", "done", "checked"]
    """`checked` is a dry run."""
    created: int
    updated: int
    skipped: int
    failed: int
    unlocated: int
    rows: list[ImportRow]


class LiveDriver(msgspec.Struct, frozen=True, rename="camel"):
    """Where a driver is now."""

    id: str
    latitude: float
    longitude: float
    time: int | str
    motion: str = "unknown"
    online: bool = False
    stale: bool = False
    """The owning shard was away: this is the last that is known."""
    name: str = ""
    speed: float | None = None
    heading: float | None = None
    accuracy: float | None = None
    battery: int | None = None
    open_stops: int = 0


class Frame(msgspec.Struct, frozen=True, rename="camel"):
    """One live frame: the newest state of what changed."""

    n: int
    id: str
    """The subscription."""
    full: bool
    """Forget what you knew of this subscription: all that is in view is here."""
    at: int
    """When the server made it, epoch milliseconds."""
    drivers: list[DriverState] = []
    gone: list[str] = []
    """Drivers that left the view."""
    deliveries: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    jobs: list[dict[str, Any]] = []
    """As `GET /jobs/{id}` shows them."""
    missed: int = 0
    """Events that were dropped because this subscriber was far behind."""
