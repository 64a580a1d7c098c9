"""Inviting people: each change is stored with its event, and the mail with the invitation, in one transaction."""

from typing import Literal

from engine.users.commands import check_driver, user_event
from engine.users.mails import invitation_mail
from models.documents.document import now
from models.documents.event import Event
from models.documents.invitation import Invitation
from models.documents.user import User
from models.errors import NotAuthenticated
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.drivers import DriverRepository
from models.store.invitations import InvitationRepository
from models.store.outbox import Announcement
from models.store.scope import Scope

__all__ = ["InvitationCommands"]

_Kind = Literal["invitation.created", "invitation.withdrawn", "invitation.accepted"]


class InvitationCommands:
    """What can be done with invitations."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._invitations = InvitationRepository(database)
        self._accounts = AccountRepository(database)
        self._drivers = DriverRepository(database, partitions)

    async def invite(self, scope: Scope, invitation: Invitation, link: str) -> None:
        """Store an invitation of the scope's user and have the mail with `link` sent.

        Raises
        ------
        InvalidInput
            If it is for the role `driver` without a driver of the tenant, or for another role with one.
        Conflict
            If this address is invited already, or is a user's.
        """
        await check_driver(self._drivers, scope, invitation.role, invitation.driver)
        tenant, inviter = await self._accounts.tenant(scope), await self._accounts.user(scope)
        announcement = Announcement(_told(scope, invitation, "invitation.created"), after=invitation)
        await self._invitations.create(invitation, announcement, invitation_mail(invitation, tenant, inviter, link))

    async def withdraw(self, scope: Scope, invitation: str) -> None:
        """Withdraw an invitation; raises NotFound."""
        before = await self._invitations.get(scope, invitation)
        await self._invitations.delete(
            before, Announcement(_told(scope, before, "invitation.withdrawn"), before=before)
        )

    async def open(self, invitation: str, digest: str) -> Invitation:
        """Return the invitation that a token stands for.

        Raises
        ------
        NotAuthenticated
            If there is none, or it is no longer good.
        """
        found = await self._invitations.open(invitation, digest, now())
        if found is None:
            raise NotAuthenticated("the invitation is not valid any more")
        return found

    async def accept(self, invitation: Invitation, name: str | None, password_hash: str) -> User:
        """Make a user of an invitation, with the name and password that the invited has chosen.

        Raises
        ------
        NotAuthenticated
            If it was accepted or withdrawn meanwhile.
        InvalidInput
            If the driver that it names is gone.
        Conflict
            If the address was registered meanwhile.
        """
        user = User(
            id=new_id("usr"),
            tenant=invitation.tenant,
            email=invitation.email,
            password_hash=password_hash,
            role=invitation.role,
            name=name,
            driver=invitation.driver,
        )
        scope = Scope(invitation.tenant, user.id)
        await check_driver(self._drivers, scope, user.role, user.driver)
        await self._invitations.accept(
            invitation,
            user,
            [
                Announcement(user_event(scope, user, "user.created"), after=user),
                Announcement(_told(scope, invitation, "invitation.accepted"), before=invitation),
            ],
        )
        return user


def _told(scope: Scope, invitation: Invitation, kind: _Kind) -> Event:
    return Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=invitation.id,
        sequence=1 if kind == "invitation.created" else 2,
        actor=scope.actor,
        data={"invitationId": invitation.id, "role": invitation.role, "driverId": invitation.driver},
    )
