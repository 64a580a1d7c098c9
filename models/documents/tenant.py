"""A tenant: one company, with its settings."""

import zoneinfo
from functools import cache
from typing import Annotated, Literal, Self

import phonenumbers
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from models.documents.document import Document, Instant, Line, Shape, now
from models.documents.driver import MotionProfileName
from models.documents.language import Language

__all__ = ["Country", "DispatchMode", "LocalTime", "QuietHours", "Replanning", "Tenant", "TenantSettings", "TimeZone"]

_zone_names = cache(zoneinfo.available_timezones)  # it walks the folders of the zone database at every call


def _known_zone(name: str) -> str:
    if name not in _zone_names():
        raise ValueError("no time zone of the IANA database, such as Europe/Lisbon")
    return name


def _known_country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("no country of ISO 3166, such as PT")
    return code


DispatchMode = Literal["manual", "offer"]
"""How deliveries come to drivers by themselves."""

TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
"""A name of the IANA time zone database."""

Country = Annotated[str, StringConstraints(min_length=2, max_length=2, to_upper=True), AfterValidator(_known_country)]
"""Two letters of ISO 3166."""

LocalTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Hours and minutes by the clock on the wall, `21:00`."""


class QuietHours(Shape):
    """When customers are left in peace, by the tenant's time zone; may pass midnight."""

    start: LocalTime
    end: LocalTime
    """Not included."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.start == self.end:
            raise ValueError("quiet hours start and end at the same time")
        return self


class Replanning(Shape):
    """What re-optimisation may do by itself when a delivery is at risk of being late."""

    mode: Literal["off", "propose", "accept"] = "off"
    """`propose`: people decide. `accept`: what keeps the limits below is carried out, the rest is left to people."""
    changes_per_hour: int = Field(6, ge=1, le=1000)
    """Proposals that may be carried out within an hour."""
    max_detour_s: float = Field(900.0, ge=0, le=86_400)
    """Longest driving that one may add, seconds."""
    max_shift_s: float = Field(1800.0, ge=0, le=86_400)
    """Most that any stop may come earlier or later, seconds."""
    quiet_stops: int = Field(2, ge=0, le=400)
    """Routes with so few stops ahead are near their end and left alone."""


class TenantSettings(Shape):
    """What a tenant may choose."""

    auto_status: bool = True
    """Whether arrivals and departures at planned stops move a delivery's status by themselves."""
    motion_profile: MotionProfileName = "default"
    """Motion profile of drivers that name none."""
    proof_required: bool = False
    """Whether a delivery needs a photo or a signature to be delivered."""
    dispatch: DispatchMode = "manual"
    """Whether drivers nearby are asked about every new delivery (`offer`), or the office decides (`manual`)."""
    language: Language = "en"
    """Language of messages to people who have chosen none."""
    time_zone: TimeZone = "UTC"
    """Where the company's days begin and its clocks are read."""
    country: Country | None = None
    """Country of phone numbers that are written without one."""
    quiet_hours: QuietHours | None = None
    """When messages that can wait are held back; none holds back nothing."""
    requests_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests a second of all its users and keys; none is the installation's own number."""
    replanning: Replanning = Replanning()
    """What re-optimisation may do by itself."""


class Tenant(Document):
    """A company that uses Outrider. Its `tenant` is its own id."""

    version: int = 1
    """Rises with every change."""
    name: Line
    settings: TenantSettings = TenantSettings()
    created_at: Instant = Field(default_factory=now)
