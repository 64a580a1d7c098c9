"""A tenant: one company, with its settings."""

from pydantic import Field

from models.documents.document import Document, Instant, Line, Shape, now
from models.documents.driver import MotionProfileName

__all__ = ["Tenant", "TenantSettings"]


class TenantSettings(Shape):
    """What a tenant may choose."""

    auto_status: bool = True
    """Whether arrivals and departures at planned stops move a delivery's status by themselves."""
    motion_profile: MotionProfileName = "default"
    """Motion profile of drivers that name none."""


class Tenant(Document):
    """A company that uses Outrider. Its `tenant` is its own id."""

    version: int = 1
    """Rises with every change."""
    name: Line
    settings: TenantSettings = TenantSettings()
    created_at: Instant = Field(default_factory=now)
