"""Signing up, signing in, and who one is."""

import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from api.auth.dependencies import ServicesOf, anyone
from api.auth.principal import Principal, Role
from api.auth.tokens import new_refresh_token, read_refresh_token
from api.limits import network_of
from api.services import Services
from engine.users.commands import UserCommands
from models.documents.document import Line, Shape, now
from models.documents.sign_in import SignIn
from models.documents.tenant import Tenant
from models.documents.user import Email, User
from models.errors import InvalidInput, NotAllowed, NotAuthenticated, NotFound
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.scope import Scope
from models.store.sign_ins import SignInRepository

__all__ = ["router"]

router = APIRouter(prefix="/auth", tags=["auth"])


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


class Renewal(Shape):
    """A refresh token."""

    refresh_token: str = Field(max_length=256)


class PasswordChange(Shape):
    """The present password and the new one."""

    current: str = Field(max_length=256)
    new: str = Field(min_length=10, max_length=256)


class Session(Shape):
    """An access token and whom it speaks for."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    """Seconds."""
    refresh_token: str
    """Good once, for another access token and another refresh token."""
    refresh_expires_in: int
    """Seconds after which one has to sign in again."""
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
async def register(request: Request, services: ServicesOf, body: Registration) -> Session:
    """Create a tenant and its admin, who is signed in at once."""
    await services.throttle.take("register", network_of(request.scope))
    tenant_id = new_id("ten")
    user = User(
        id=new_id("usr"),
        tenant=tenant_id,
        email=body.email,
        password_hash=await services.passwords.hashed(body.password),
        role="admin",
        name=body.name,
    )
    tenant = Tenant(id=tenant_id, tenant=tenant_id, name=body.tenant)
    await AccountRepository(services.database).register(tenant, user)
    return await _signed_in(services, user)


@router.post("/login")
async def login(request: Request, services: ServicesOf, body: Credentials) -> Session:
    """Sign in. A wrong password and an unknown e-mail address look and take the same."""
    await services.throttle.take("login", network_of(request.scope), body.email)
    user = await AccountRepository(services.database).user_by_email(body.email)
    is_right = await services.passwords.is_right(body.password, user.password_hash if user else None)
    if user is None or not is_right:
        raise NotAuthenticated("e-mail or password is wrong")
    await services.throttle.clear("login", body.email)
    return await _signed_in(services, user)


@router.post("/refresh")
async def refresh(services: ServicesOf, body: Renewal) -> Session:
    """Exchange a refresh token for a new pair. One that was used before is in two hands: the sign-in ends for both."""
    identifier, digest = read_refresh_token(body.refresh_token)
    token, new_digest = new_refresh_token(identifier)
    sign_in = await SignInRepository(services.database).renew(identifier, digest, new_digest, now())
    if sign_in is None:
        raise NotAuthenticated("the refresh token is not valid; sign in again")
    try:
        user = await AccountRepository(services.database).user(Scope(sign_in.tenant, sign_in.user))
    except NotFound as fault:
        raise NotAuthenticated("the user is gone") from fault
    return _session(services, user, token, sign_in)


@router.post("/logout", status_code=204)
async def logout(services: ServicesOf, body: Renewal) -> None:
    """End the sign-in that a refresh token belongs to. A token that is not valid ends nothing, and that is fine."""
    identifier, digest = read_refresh_token(body.refresh_token)
    await SignInRepository(services.database).end(identifier, digest)


@router.post("/password", status_code=204)
async def change_password(
    services: ServicesOf, principal: Annotated[Principal, Depends(anyone)], body: PasswordChange
) -> None:
    """Change one's own password. All sign-ins and tokens of before end, this one's too."""
    users = AccountRepository(services.database)
    try:
        user = await users.user(principal.scope)
    except NotFound as fault:
        raise NotAllowed("a key has no password") from fault
    if not await services.passwords.is_right(body.current, user.password_hash):
        raise InvalidInput("current: this is not the present password", [("current", "wrong")])
    changes = {"password_hash": await services.passwords.hashed(body.new), "tokens_since": now()}
    await UserCommands(services.database, services.settings.log.partitions).change(
        principal.scope, user.id, changes, user.version
    )
    await SignInRepository(services.database).end_all(principal.scope, user.id)
    services.authenticator.forget(user.id)


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


async def _signed_in(services: Services, user: User) -> Session:
    """Open a sign-in and return its first tokens."""
    identifier = new_id("sgn")
    token, digest = new_refresh_token(identifier)
    expires_at = now() + datetime.timedelta(seconds=services.settings.api.refresh_ttl_s)
    sign_in = SignIn(id=identifier, tenant=user.tenant, user=user.id, digest=digest, expires_at=expires_at)
    await SignInRepository(services.database).create(sign_in)
    return _session(services, user, token, sign_in)


def _session(services: Services, user: User, refresh_token: str, sign_in: SignIn) -> Session:
    token, life_s = services.authenticator.issue(user)
    return Session(
        access_token=token,
        expires_in=life_s,
        refresh_token=refresh_token,
        refresh_expires_in=int((sign_in.expires_at - now()).total_seconds()),
        tenant_id=user.tenant,
        user_id=user.id,
        role=user.role,
    )
