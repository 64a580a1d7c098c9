"""A driver: who moves. The engine knows a driver by number; people and devices know it by id."""

from typing import Literal, NamedTuple

from pydantic import Field

from models.documents.document import Document, Instant, Line, now
from models.documents.language import Language
from models.documents.user import Email

__all__ = ["Driver", "DriverPost", "MotionProfileName"]

MotionProfileName = Literal["default", "parcel"]


class DriverPost(NamedTuple):
    """Where the engine has a driver: what never changes of it."""

    number: int
    partition: int


class Driver(Document):
    """A driver, courier or vehicle that sends positions."""

    version: int = 1
    """Rises with every change."""
    number: int
    """Its row key in the engine: unique over all tenants, never given twice."""
    partition: int
    """The partition of the log that it belongs to, for good."""
    name: Line
    external_id: Line | None = None
    """What the customer's own systems or the device call it; unique in the tenant."""
    phone: Line | None = None
    email: Email | None = None
    push_token: Line | None = None
    """What the push service calls the phone with the driver's app."""
    language: Language | None = None
    """Of messages; none takes the company's."""
    profile: MotionProfileName | None = None
    """Motion profile; none takes the tenant's."""
    created_at: Instant = Field(default_factory=now)
