"""Invitations: an admin names an address and a role, the invited choose name and password."""

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.auth.sessions import Session, open_session
from api.auth.tokens import new_token, read_token
from api.idempotency import IdempotencyKey, create_once
from api.limits import network_of
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.users.invitations import InvitationCommands
from models.documents.document import Instant, Line, Shape, now
from models.documents.invitation import Invitation
from models.documents.user import Email, NewPassword, UserRole
from models.ids import new_id
from models.store.invitations import InvitationRepository

__all__ = ["accepting", "router"]

router = APIRouter(prefix="/users/invitations", tags=["users"])
accepting = APIRouter(prefix="/auth", tags=["auth"])
Admin = Annotated[Principal, Depends(allowed("users.manage"))]
_LIFE = datetime.timedelta(days=7)


class NewInvitation(Shape):
    """Who is invited, and as what."""

    email: Email
    role: UserRole
    driver_id: str | None = None
    """The driver that a user of role `driver` will be."""


class InvitationView(Shape):
    """An open invitation."""

    id: str
    email: str
    role: UserRole
    driver_id: str | None
    invited_by: str
    created_at: Instant
    expires_at: Instant


class InvitationWithLink(InvitationView):
    """A new invitation; the link is in the mail too and can't be seen again."""

    link: str
    """For handing over by other means than mail."""


class Acceptance(Shape):
    """What the invited choose, and the token from the invitation's link."""

    token: str = Field(max_length=256)
    password: NewPassword
    name: Line | None = None


@router.post("", status_code=201, response_model=InvitationWithLink)
async def invite(
    request: Request,
    services: ServicesOf,
    principal: Admin,
    body: NewInvitation,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Invite somebody, who gets a mail with a link that is good once and for seven days."""

    async def create() -> InvitationWithLink:
        identifier, made = new_id("inv"), now()
        token, digest = new_token(identifier)
        invitation = Invitation(
            id=identifier,
            tenant=principal.tenant,
            email=body.email,
            role=body.role,
            driver=body.driver_id,
            digest=digest,
            invited_by=principal.subject,
            expires_at=made + _LIFE,
            created_at=made,
        )
        link = services.settings.api.link("invitation", token)
        await _commands(services).invite(principal.scope, invitation, link)
        return InvitationWithLink(**dict(_view(invitation)), link=link)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[InvitationView])
async def list_invitations(services: ServicesOf, principal: Admin, page: Paging) -> dict[str, Any]:
    """Return the invitations that are open, newest first."""
    return page_of(await InvitationRepository(services.database).page(principal.scope, page), _view)


@router.delete("/{invitation_id}", status_code=204)
async def withdraw_invitation(services: ServicesOf, principal: Admin, invitation_id: str) -> None:
    """Withdraw an invitation; its link is void at once."""
    await _commands(services).withdraw(principal.scope, invitation_id)


@accepting.post("/accept-invitation", status_code=201)
async def accept_invitation(request: Request, services: ServicesOf, body: Acceptance) -> Session:
    """Accept an invitation with the token of its link. The new user is signed in at once."""
    await services.throttle.take(network_of(request.scope))
    commands = _commands(services)
    invitation = await commands.open(*read_token("inv", body.token))
    user = await commands.accept(invitation, body.name, await services.passwords.hashed(body.password))
    return await open_session(services, user)


def _commands(services: Services) -> InvitationCommands:
    return InvitationCommands(services.database, services.settings.log.partitions)


def _view(invitation: Invitation) -> InvitationView:
    fields = invitation.model_dump(include={"id", "email", "role", "invited_by", "created_at", "expires_at"})
    return InvitationView(**fields, driver_id=invitation.driver)
