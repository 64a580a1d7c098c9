"""A sign-in: one device of a user, with a refresh token that changes at each use."""

from pydantic import Field

from models.documents.document import Document, Instant, now

__all__ = ["SignIn", "SignInTry"]


class SignIn(Document):
    """A family of refresh tokens, of which the newest alone is good."""

    user: str
    digest: str
    """SHA-256 of the newest token."""
    expires_at: Instant
    password_ms: int | None = None
    """Which password it was opened with (`User.password_ms`); None in those that an older release has stored."""
    created_at: Instant = Field(default_factory=now)


class SignInTry(Document):
    """A try to sign in as a user that exists, for the audit log."""

    user: str
    address: str
    """The network address that it came from."""
    succeeded: bool
