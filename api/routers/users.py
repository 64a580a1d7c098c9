"""Users: who may sign in, and with what rights."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.users.commands import UserCommands
from models.documents.document import Instant, Line, Shape
from models.documents.user import Email, NewPassword, User, UserRole
from models.errors import NotAllowed, NotFound
from models.ids import new_id
from models.store.users import UserRepository

__all__ = ["router"]

router = APIRouter(prefix="/users", tags=["users"])
Version = Annotated[int | None, Field(ge=1)]


class NewUser(Shape):
    """A user to be created."""

    email: Email
    password: NewPassword
    role: UserRole
    name: Line | None = None
    driver_id: str | None = None
    """The driver that a user of role `driver` is."""


class UserBody(Shape):
    """What a user's account says; what is left out is emptied."""

    email: Email
    name: Line | None = None
    version: Version = None
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class RoleChange(Shape):
    """A user's new role."""

    role: UserRole
    driver_id: str | None = None
    """The driver that a user of role `driver` is."""
    version: Version = None


class UserView(Shape):
    """A user."""

    id: str
    version: int
    email: str
    role: UserRole
    name: str | None
    driver_id: str | None
    created_at: Instant


@router.get("", response_model=PageOf[UserView])
async def list_users(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("users.view"))],
    page: Paging,
    role: Annotated[UserRole | None, Query()] = None,
) -> dict[str, Any]:
    """Return the company's users, oldest first; a planner sees those who drive."""
    if principal.role == "planner":
        if role not in (None, "driver"):
            raise NotAllowed("a planner sees the users who drive")
        role = "driver"
    return page_of(await UserRepository(services.database).page(principal.scope, page, role), _view)


@router.post("", status_code=201, response_model=UserView)
async def create_user(
    request: Request,
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("users.manage"))],
    body: NewUser,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a user of the company."""

    async def create() -> UserView:
        user = User(
            id=new_id("usr"),
            tenant=principal.tenant,
            email=body.email,
            password_hash=await services.passwords.hashed(body.password),
            role=body.role,
            name=body.name,
            driver=body.driver_id,
        )
        return _view(await _commands(services).create(principal.scope, user))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("/{user_id}")
async def get_user(
    services: ServicesOf, principal: Annotated[Principal, Depends(allowed("users.view"))], user_id: str
) -> UserView:
    """Return one user; a planner sees those who drive."""
    user = await UserRepository(services.database).get(principal.scope, user_id)
    if principal.role == "planner" and user.role != "driver":
        raise NotFound("user", user_id)
    return _view(user)


@router.put("/{user_id}")
async def replace_user(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("users.manage"))],
    user_id: str,
    body: UserBody,
) -> UserView:
    """Replace what a user's account says; role and password have ways of their own."""
    changes = {"email": body.email, "name": body.name}
    return _view(await _commands(services).change(principal.scope, user_id, changes, body.version))


@router.patch("/{user_id}/role")
async def set_role(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("users.manage"))],
    user_id: str,
    body: RoleChange,
) -> UserView:
    """Give a user another role; tokens that are out follow within seconds."""
    commands = _commands(services)
    changed = await commands.set_role(principal.scope, user_id, body.role, body.driver_id, body.version)
    await services.authenticator.forget(user_id)
    return _view(changed)


@router.delete("/{user_id}", status_code=204)
async def delete_user(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("users.manage"))],
    user_id: str,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> None:
    """Delete a user, who is signed out everywhere; the company keeps at least one admin."""
    await _commands(services).delete(principal.scope, user_id, version)
    await services.authenticator.forget(user_id)


def _commands(services: Services) -> UserCommands:
    return UserCommands(services.database, services.settings.log.partitions)


def _view(user: User) -> UserView:
    fields = user.model_dump(include={"id", "version", "email", "role", "name", "created_at"})
    return UserView(**fields, driver_id=user.driver)
