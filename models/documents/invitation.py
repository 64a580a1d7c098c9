"""An invitation: somebody who may become a user of a company, by a link in a mail."""

from pydantic import Field

from models.documents.document import Document, Instant, now
from models.documents.user import Email, UserRole

__all__ = ["Invitation"]


class Invitation(Document):
    """Good once, until it expires or is withdrawn."""

    email: Email
    role: UserRole
    driver: str | None = None
    """The driver that a user of role `driver` will be, `drv_…`."""
    digest: str
    """SHA-256 of the token in the link."""
    invited_by: str
    """The admin, `usr_…`."""
    expires_at: Instant
    created_at: Instant = Field(default_factory=now)
