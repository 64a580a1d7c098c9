"""New passwords: by the user, or by a link in a mail. Both end all sign-ins and all access tokens of before."""

from engine.users.commands import user_event
from engine.users.mails import reset_mail
from models.documents.document import now
from models.documents.password_reset import PasswordReset
from models.documents.user import User
from models.errors import NotAuthenticated, NotFound
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.outbox import Announcement
from models.store.passwords import PasswordRepository
from models.store.scope import Scope

__all__ = ["PasswordCommands"]


class PasswordCommands:
    """What can be done about passwords, which come in hashed."""

    def __init__(self, database: Database) -> None:
        self._accounts = AccountRepository(database)
        self._passwords = PasswordRepository(database)

    async def change(self, scope: Scope, user: User, password_hash: str) -> None:
        """Give the user the password that it has chosen; raises VersionConflict."""
        after = _with(user, password_hash)
        announcement = Announcement(user_event(scope, after, "user.password_changed"), (), user, after)
        await self._passwords.replace(after, user.version, announcement)

    async def offer(self, user: User, reset: PasswordReset, link: str) -> None:
        """Store a reset and have the mail with `link` sent."""
        tenant = await self._accounts.tenant(Scope(user.tenant, user.id))
        await self._passwords.offer(reset, reset_mail(reset, tenant, user, link))

    async def open(self, reset: str, digest: str) -> PasswordReset:
        """Return the reset that a token stands for.

        Raises
        ------
        NotAuthenticated
            If there is none, or it is no longer good.
        """
        found = await self._passwords.open(reset, digest, now())
        if found is None:
            raise NotAuthenticated("the link is not valid any more")
        return found

    async def reset(self, reset: PasswordReset, password_hash: str) -> None:
        """Give the user of a reset the password that it has chosen.

        Raises
        ------
        NotAuthenticated
            If the reset was used meanwhile, or the user is gone or has another address now.
        VersionConflict
            If the user was changed meanwhile.
        """
        scope = Scope(reset.tenant, reset.user)
        try:
            user = await self._accounts.user(scope)
        except NotFound as fault:
            raise NotAuthenticated("the link is not valid any more") from fault
        if user.email != reset.email:
            raise NotAuthenticated("the link is not valid any more")
        after = _with(user, password_hash)
        announcement = Announcement(user_event(scope, after, "user.password_reset"), (), user, after)
        await self._passwords.replace(after, user.version, announcement, reset)


def _with(user: User, password_hash: str) -> User:
    return user.model_copy(update={"password_hash": password_hash, "tokens_since": now(), "version": user.version + 1})
