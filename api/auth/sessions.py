"""What somebody gets who has signed in: an access token and a refresh token."""

import datetime

from api.auth.principal import Role
from api.auth.tokens import new_token
from api.services import Services
from engine.users.sign_ins import SignInCommands
from models.documents.document import Shape, now
from models.documents.sign_in import SignIn
from models.documents.user import User
from models.ids import new_id

__all__ = ["Session", "open_session", "session_of"]


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


async def open_session(services: Services, user: User, address: str | None = None) -> Session:
    """Open a sign-in and return its first tokens; it is told as one if the network address is given."""
    identifier = new_id("sgn")
    token, digest = new_token(identifier)
    expires_at = now() + datetime.timedelta(seconds=services.settings.api.refresh_ttl_s)
    sign_in = SignIn(
        id=identifier,
        tenant=user.tenant,
        user=user.id,
        digest=digest,
        expires_at=expires_at,
        password_ms=user.password_ms,
    )
    await SignInCommands(services.database).open(user, sign_in, address)
    return session_of(services, user, token, sign_in)


def session_of(services: Services, user: User, refresh_token: str, sign_in: SignIn) -> Session:
    """Return a new access token beside the newest refresh token of a sign-in."""
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
