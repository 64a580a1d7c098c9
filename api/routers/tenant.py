"""The caller's own company and its settings."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field, field_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from engine.tenants.commands import TenantCommands
from models.documents.document import Flag, Instant, Line, Shape
from models.documents.driver import MotionProfileName
from models.documents.language import Language
from models.documents.tenant import Country, DispatchMode, QuietHours, Replanning, Tenant, TenantSettings, TimeZone
from models.store.accounts import AccountRepository

__all__ = ["router"]

router = APIRouter(prefix="/tenant", tags=["tenant"])
Admin = Annotated[Principal, Depends(allowed("tenant.change"))]
Office = Annotated[Principal, Depends(allowed("tenant.view"))]


class TenantView(Shape):
    """A company."""

    id: str
    version: int
    name: str
    settings: TenantSettings
    created_at: Instant


class SettingsChanges(Shape):
    """Settings to be changed; those left out stay."""

    auto_status: Flag | None = None
    """Whether arrivals and departures at planned stops move a delivery's status by themselves."""
    motion_profile: MotionProfileName | None = None
    """Motion profile of drivers that name none."""
    proof_required: Flag | None = None
    """Whether a delivery needs a photo or a signature to be delivered."""
    dispatch: DispatchMode | None = None
    """Whether drivers nearby are asked about every new delivery (`offer`), or the office decides (`manual`)."""
    language: Language | None = None
    """Language of messages to people who have chosen none."""
    time_zone: TimeZone | None = None
    """Where the company's days begin and its clocks are read, by its name in the IANA database."""
    country: Country | None = None
    """Country of phone numbers that are written without one; null empties it."""
    quiet_hours: QuietHours | None = None
    """When messages that can wait are held back; null holds back nothing."""
    requests_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests a second of all users and keys, up to what the installation allows; null for its own number."""

    replanning: Replanning | None = None
    """What re-optimisation may do by itself when a delivery is at risk of being late."""

    @field_validator(
        "auto_status", "motion_profile", "proof_required", "dispatch", "language", "time_zone", "replanning"
    )
    @classmethod
    def _has_value(cls, value: object) -> object:
        if value is None:
            raise ValueError("a setting has a value")
        return value


class TenantChanges(Shape):
    """Fields of a company to be changed; those left out stay."""

    name: Line | None = None
    settings: SettingsChanges = SettingsChanges()
    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""

    @field_validator("name")
    @classmethod
    def _has_name(cls, name: str | None) -> str:
        if name is None:
            raise ValueError("a company has a name")
        return name


@router.get("")
async def get_tenant(services: ServicesOf, principal: Office) -> TenantView:
    """Return the caller's company."""
    return _view(await AccountRepository(services.database).tenant(principal.scope))


@router.patch("")
async def change_tenant(services: ServicesOf, principal: Admin, body: TenantChanges) -> TenantView:
    """Change the company's name or settings; the shards follow within moments."""
    changes = body.model_dump(exclude_unset=True, exclude={"version", "settings"})
    settings = {name: getattr(body.settings, name) for name in body.settings.model_fields_set}
    commands = TenantCommands(services.database)
    return _view(await commands.change(principal.scope, changes, settings, body.version))


def _view(tenant: Tenant) -> TenantView:
    return TenantView(**{name: getattr(tenant, name) for name in TenantView.model_fields})
