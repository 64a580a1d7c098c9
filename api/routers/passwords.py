"""Passwords: changed by who knows the present one, or by a link in a mail."""

import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from pydantic import Field
from pymongo.errors import PyMongoError

from api.auth.dependencies import ServicesOf, anyone
from api.auth.principal import Principal
from api.auth.tokens import new_token, read_token
from api.limits import network_of
from api.services import Services
from engine.users.passwords import PasswordCommands
from models.documents.document import Shape, now
from models.documents.password_reset import PasswordReset
from models.documents.user import Email, NewPassword, User
from models.errors import InvalidInput, NotAllowed, NotFound
from models.ids import new_id
from models.store.accounts import AccountRepository

__all__ = ["router"]

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/auth", tags=["auth"])
_RESET_LIFE = datetime.timedelta(hours=1)


class PasswordChange(Shape):
    """The present password and the new one."""

    current: str = Field(max_length=256)
    new: NewPassword


class Forgotten(Shape):
    """Whose password is forgotten."""

    email: Email


class NewStart(Shape):
    """A new password, and the token from the mail's link."""

    token: str = Field(max_length=256)
    password: NewPassword


@router.post("/password", status_code=204)
async def change_password(
    request: Request, services: ServicesOf, principal: Annotated[Principal, Depends(anyone)], body: PasswordChange
) -> None:
    """Change one's own password. All sign-ins and tokens of before end, this one's too."""
    try:
        user = await AccountRepository(services.database).user(principal.scope)
    except NotFound as fault:
        raise NotAllowed("a key has no password") from fault
    await services.throttle.take_sign_in(network_of(request.scope), user.email)
    if not await services.passwords.is_right(body.current, user.password_hash):
        raise InvalidInput("current: this is not the present password", [("current", "wrong")])
    hashed = await services.passwords.hashed(body.new)
    await PasswordCommands(services.database).change(principal.scope, user, hashed)
    await services.throttle.clear_sign_ins(user.email)
    await services.authenticator.forget(user.id)


@router.post("/forgot-password", status_code=202, response_class=Response)
async def forgot_password(request: Request, services: ServicesOf, body: Forgotten, background: BackgroundTasks) -> None:
    """Have a link to a new password mailed. The answer looks and takes the same whether there is such a user or not."""
    await services.throttle.take_mail(network_of(request.scope), body.email)
    user = await AccountRepository(services.database).user_by_email(body.email)
    if user is not None:
        background.add_task(_offer, services, user)


@router.post("/reset-password", status_code=204)
async def reset_password(request: Request, services: ServicesOf, body: NewStart) -> None:
    """Choose a new password with the token of a mail, good once and for an hour. All sign-ins of before end."""
    await services.throttle.take(network_of(request.scope))
    commands = PasswordCommands(services.database)
    reset = await commands.open(*read_token("pwr", body.token))
    await commands.reset(reset, await services.passwords.hashed(body.password))
    await services.authenticator.forget(reset.user)


async def _offer(services: Services, user: User) -> None:
    """Store a reset with its mail, after the answer has gone: the time that it takes must tell nobody anything."""
    identifier = new_id("pwr")
    token, digest = new_token(identifier)
    made = now()
    reset = PasswordReset(
        id=identifier,
        tenant=user.tenant,
        user=user.id,
        email=user.email,
        digest=digest,
        expires_at=made + _RESET_LIFE,
        created_at=made,
    )
    try:
        await PasswordCommands(services.database).offer(user, reset, services.settings.api.link("reset", token))
    except PyMongoError as fault:
        log.warning("password_reset.lost", tenant=user.tenant, error=str(fault))
