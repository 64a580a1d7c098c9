"""Signing in, told as events and in the audit log: who, when, from where, and whether the password was right."""

from typing import Literal

from models.documents.document import now
from models.documents.event import Event
from models.documents.sign_in import SignIn, SignInTry
from models.documents.user import User
from models.ids import new_id
from models.store.connections import Database
from models.store.outbox import Announcement
from models.store.sign_ins import SignInRepository

__all__ = ["SignInCommands"]


class SignInCommands:
    """What can be done with sign-ins."""

    def __init__(self, database: Database) -> None:
        self._sign_ins = SignInRepository(database)

    async def open(self, user: User, sign_in: SignIn, address: str | None) -> None:
        """Store a sign-in of a user from a network address; without one it is not told, because another event tells."""
        told = [] if address is None else [_told(user, sign_in.id, address, "user.signed_in")]
        await self._sign_ins.create(sign_in, told)

    async def note_failure(self, user: User, address: str) -> None:
        """Say that somebody has tried to sign in as a user with a wrong password."""
        await self._sign_ins.note(_told(user, new_id("sgn"), address, "user.sign_in_failed"))


def _told(
    user: User, sign_in: str, address: str, kind: Literal["user.signed_in", "user.sign_in_failed"]
) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=user.tenant,
        time=now(),
        type=kind,
        aggregate=sign_in,
        sequence=1,
        actor=user.id,
        data={"userId": user.id, "role": user.role},
    )
    succeeded = kind == "user.signed_in"
    noted = SignInTry(id=sign_in, tenant=user.tenant, user=user.id, address=address, succeeded=succeeded)
    return Announcement(event, after=noted)
