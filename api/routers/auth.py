"""Signing up, signing in, and who one is."""

from collections.abc import Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field
from pymongo.errors import PyMongoError
from starlette.background import BackgroundTask

from api.auth.dependencies import ServicesOf, anyone
from api.auth.principal import Principal, Role
from api.auth.sessions import Session, open_session, session_of
from api.auth.tokens import new_token, read_token
from api.limits import network_of
from api.problems import problem_response
from api.services import Services
from engine.users.sign_ins import SignInCommands
from models.documents.document import Line, Shape, now
from models.documents.key import KeyScope
from models.documents.tenant import Tenant
from models.documents.user import Email, NewPassword, User
from models.errors import NotAuthenticated, NotFound
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.scope import Scope
from models.store.sign_ins import SignInRepository

__all__ = ["router"]

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/auth", tags=["auth"])


class Registration(Shape):
    """A new tenant with its first admin."""

    tenant: Line
    """Name of the company."""
    email: Email
    password: NewPassword
    name: Line | None = None


class Credentials(Shape):
    """E-mail and password."""

    email: Email
    password: str = Field(max_length=256)


class Renewal(Shape):
    """A refresh token."""

    refresh_token: str = Field(max_length=256)


class Profile(Shape):
    """Who is signed in."""

    id: str
    tenant_id: str
    role: Role
    tenant_name: str
    email: str | None = None
    name: str | None = None
    driver_id: str | None = None
    scopes: Sequence[KeyScope] = ()
    """What a key is narrowed to."""


@router.post("/register", status_code=201)
async def register(request: Request, services: ServicesOf, body: Registration) -> Session:
    """Create a tenant and its admin, who is signed in at once."""
    await services.throttle.take(network_of(request.scope))
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
    return await open_session(services, user)


@router.post("/login", response_model=Session)
async def login(request: Request, services: ServicesOf, body: Credentials) -> Session | Response:
    """Sign in. A wrong password and an unknown e-mail address look and take the same."""
    address = network_of(request.scope)
    await services.throttle.take_sign_in(address, body.email)
    user = await AccountRepository(services.database).user_by_email(body.email)
    is_right = await services.passwords.is_right(body.password, user.password_hash if user else None)
    if user is not None and is_right:
        await services.throttle.clear_sign_ins(body.email)
        return await open_session(services, user, address)
    refusal = problem_response(NotAuthenticated("e-mail or password is wrong"), request.scope.get("request_id"))
    if user is not None:
        refusal.background = BackgroundTask(_note_failure, services, user, address)
    return refusal


@router.post("/refresh")
async def refresh(services: ServicesOf, body: Renewal) -> Session:
    """Exchange a refresh token for a new pair. One that was used before is in two hands: the sign-in ends for both."""
    identifier, digest = read_token("sgn", body.refresh_token)
    token, new_digest = new_token(identifier)
    sign_ins = SignInRepository(services.database)
    sign_in = await sign_ins.renew(identifier, digest, new_digest, now())
    if sign_in is None:
        raise NotAuthenticated("the refresh token is not valid; sign in again")
    try:
        user = await AccountRepository(services.database).user(Scope(sign_in.tenant, sign_in.user))
    except NotFound as fault:
        raise NotAuthenticated("the user is gone") from fault
    if sign_in.password_ms not in (None, user.password_ms):
        await sign_ins.end(identifier, new_digest)
        raise NotAuthenticated("the password was changed since; sign in again")
    return session_of(services, user, token, sign_in)


@router.post("/logout", status_code=204)
async def logout(services: ServicesOf, body: Renewal) -> None:
    """End the sign-in that a refresh token belongs to. A token that is not valid ends nothing, and that is fine."""
    identifier, digest = read_token("sgn", body.refresh_token)
    await SignInRepository(services.database).end(identifier, digest)


@router.get("/profile")
async def profile(services: ServicesOf, principal: Annotated[Principal, Depends(anyone)]) -> Profile:
    """Tell who the token or key speaks for."""
    accounts = AccountRepository(services.database)
    tenant = await accounts.tenant(principal.scope)
    is_key = principal.is_key
    user = None if is_key else await accounts.user(principal.scope)
    return Profile(
        id=principal.subject,
        tenant_id=principal.tenant,
        role=principal.role,
        tenant_name=tenant.name,
        email=user.email if user else None,
        name=user.name if user else None,
        driver_id=principal.driver,
        scopes=sorted(principal.scopes),
    )


async def _note_failure(services: Services, user: User, address: str) -> None:
    """Note a wrong password after the answer has gone: the time that it takes must not tell that there is a user."""
    try:
        await SignInCommands(services.database).note_failure(user, address)
    except PyMongoError as fault:
        log.warning("sign_in.unnoted", tenant=user.tenant, error=str(fault))
