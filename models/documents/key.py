"""An API key: what devices, gateways and a company's own systems call with."""

from typing import Literal

from pydantic import Field

from models.documents.document import Document, Instant, Line, now

__all__ = ["ApiKey", "KeyKind", "KeyScope"]

KeyKind = Literal["device", "gateway", "integration"]

KeyScope = Literal[
    "deliveries:read",
    "deliveries:write",
    "routes:read",
    "routes:write",
    "drivers:read",
    "drivers:write",
    "positions:read",
    "positions:write",
    "fleet:read",
    "fleet:write",
    "geofences:write",
    "events:read",
    "webhooks:write",
    "analytics:read",
]
"""What a key may be narrowed to; `api.auth.rights` says which rights each of them is."""


class ApiKey(Document):
    """A key without its secret, of which only the SHA-256 is kept."""

    kind: KeyKind
    """`device` speaks for one driver, `gateway` for every driver, `integration` for a system of the company."""
    name: Line
    digest: str
    """SHA-256 of the whole token, hexadecimal. The secret has 256 random bits, so it needs no slow hash."""
    driver: str | None = None
    """The driver of a `device` key, `drv_…`."""
    scopes: tuple[KeyScope, ...] = ()
    """Of a `device` or `gateway` key, none is everything that its kind may do."""
    expires_at: Instant | None = None
    created_at: Instant = Field(default_factory=now)
    last_used_at: Instant | None = None
    """To the minute."""
