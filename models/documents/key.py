"""An API key: what devices and gateways send with their positions."""

from typing import Literal

from pydantic import Field

from models.documents.document import Document, Instant, Line, now

__all__ = ["ApiKey", "KeyKind"]

KeyKind = Literal["device", "gateway"]


class ApiKey(Document):
    """A key without its secret, of which only the SHA-256 is kept."""

    kind: KeyKind
    """`device` speaks for one driver, `gateway` for every driver of its tenant."""
    name: Line
    digest: str
    """SHA-256 of the whole token, hexadecimal. The secret has 256 random bits, so it needs no slow hash."""
    driver: str | None = None
    """The driver of a `device` key, `drv_…`."""
    created_at: Instant = Field(default_factory=now)
