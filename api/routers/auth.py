"""Signing up, signing in, and who one is."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from api.auth.dependencies import ServicesOf, anyone
from api.auth.passwords import Passwords
from api.auth.principal import Principal, Role
from api.services import Services
from models.documents.document import Line, Shape
from models.documents.tenant import Tenant
from models.documents.user import Email, User
from models.errors import NotAuthenticated
from models.ids import new_id
from models.store.accounts import AccountRepository

__all__ = ["router"]

router = APIRouter(prefix="/auth", tags=["auth"])

_passwords = Passwords()


class Registration(Shape):
    """A new tenant with its first admin."""

    tenant: Line
    """Name of the company."""
    email: Email
    password: str = Field(min_length=10, max_length=256)
    name: Line | None = None


class Credentials(Shape):
    """E-mail and password."""

    email: Email
    password: str = Field(max_length=256)


class Session(Shape):
    """An access token and whom it speaks for."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    """Seconds."""
    tenant_id: str
    user_id: str
    role: Role


class Profile(Shape):
    """Who is signed in."""

    id: str
    tenant_id: str
    role: Role
    tenant_name: str
    email: str | None = None
    name: str | None = None
    driver_id: str | None = None


@router.post("/register", status_code=201)
async def register(services: ServicesOf, body: Registration) -> Session:
    """Create a tenant and its admin, who is signed in at once."""
    tenant_id = new_id("ten")
    user = User(
        id=new_id("usr"),
        tenant=tenant_id,
        email=body.email,
        password_hash=await _passwords.hashed(body.password),
        role="admin",
        name=body.name,
    )
    tenant = Tenant(id=tenant_id, tenant=tenant_id, name=body.tenant)
    await AccountRepository(services.database).register(tenant, user)
    return _session(services, user)


@router.post("/login")
async def login(services: ServicesOf, body: Credentials) -> Session:
    """Sign in. A wrong password and an unknown e-mail address look and take the same."""
    user = await AccountRepository(services.database).user_by_email(body.email)
    is_right = await _passwords.is_right(body.password, user.password_hash if user else None)
    if user is None or not is_right:
        raise NotAuthenticated("e-mail or password is wrong")
    return _session(services, user)


@router.get("/profile")
async def profile(services: ServicesOf, principal: Annotated[Principal, Depends(anyone)]) -> Profile:
    """Tell who the token or key speaks for."""
    accounts = AccountRepository(services.database)
    tenant = await accounts.tenant(principal.scope)
    is_key = principal.role in ("gateway", "device")
    user = None if is_key else await accounts.user(principal.scope)
    return Profile(
        id=principal.subject,
        tenant_id=principal.tenant,
        role=principal.role,
        tenant_name=tenant.name,
        email=user.email if user else None,
        name=user.name if user else None,
        driver_id=principal.driver,
    )


def _session(services: Services, user: User) -> Session:
    token, life_s = services.authenticator.issue(user)
    return Session(access_token=token, expires_in=life_s, tenant_id=user.tenant, user_id=user.id, role=user.role)
