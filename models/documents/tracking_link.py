"""A tracking link: lets whoever has it follow one delivery without signing in."""

from pydantic import Field

from models.documents.document import Document, Instant, now

__all__ = ["TrackingLink"]


class TrackingLink(Document):
    """A link; its id is the SHA-256 of its token, which is kept nowhere."""

    delivery: str
    expires_at: Instant
    created_at: Instant = Field(default_factory=now)
