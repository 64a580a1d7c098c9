"""A password reset: the right to choose a new password, by a link in a mail."""

from pydantic import Field

from models.documents.document import Document, Instant, now
from models.documents.user import Email

__all__ = ["PasswordReset"]


class PasswordReset(Document):
    """Good once, until it expires."""

    user: str
    email: Email
    """Where the link went: void once the user has another address."""
    digest: str
    """SHA-256 of the token in the link."""
    expires_at: Instant
    created_at: Instant = Field(default_factory=now)
