"""A file that proves a delivery: a photo or a signature, uploaded before the status that it proves."""

from typing import Literal

from pydantic import Field

from models.documents.document import Document, Instant, now

__all__ = ["PictureType", "ProofFile", "ProofKind"]

ProofKind = Literal["photo", "signature"]

PictureType = Literal["image/jpeg", "image/png", "image/webp"]


class ProofFile(Document):
    """What is known of an uploaded file; its content lies elsewhere, under `key`."""

    delivery: str
    kind: ProofKind
    content_type: PictureType
    size: int
    """Bytes."""
    digest: str
    """SHA-256 of the content, hexadecimal."""
    by: str
    """User or key that uploaded it."""
    whole: bool = False
    """Whether the content is stored; until then nobody sees the file."""
    attached: bool = False
    """Whether the delivery's proof names it; what nobody names is dropped after a while."""
    created_at: Instant = Field(default_factory=now)

    @property
    def key(self) -> str:
        """Return the name of its content."""
        return f"{self.tenant}/{self.delivery}/{self.id}"
