"""A webhook: an address of the tenant's own that is told of events as they happen (Standard Webhooks)."""

import fnmatch
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter

from models.documents.document import Document, Flag, Instant, Line, Shape, now

__all__ = [
    "LOOPBACK_NAMES",
    "EventPattern",
    "Webhook",
    "WebhookAddress",
    "WebhookAttempt",
    "WebhookSecret",
    "WebhookShape",
    "WhyDisabled",
]

WhyDisabled = Literal["asked", "gone", "failing"]
"""`asked`: by a person. `gone`: it answered 410. `failing`: nothing was taken for days."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LONGEST_ADDRESS = 2000
_web_address: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


def _address(text: str) -> str:
    """Return an address in its normal form, so that what was checked is what is asked later."""
    parsed = _web_address.validate_python(text)
    if parsed.username or parsed.password:
        raise ValueError("an address holds no name and no password")
    if parsed.fragment is not None:
        raise ValueError("an address to post to has no fragment")
    if not parsed.port:
        raise ValueError("port 0 can't be reached")
    normal = str(parsed)
    if len(normal) > _LONGEST_ADDRESS:  # it ends with a slash, and is spelled in ASCII
        raise ValueError(f"an address has at most {_LONGEST_ADDRESS} characters in its normal form")
    return normal


WebhookAddress = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_LONGEST_ADDRESS,
        json_schema_extra={"format": "uri"},
        examples=["https://example.com/hooks"],
    ),
    AfterValidator(_address),
]
"""An `https` address, or an `http` one where the settings let it."""

EventPattern = Annotated[str, Field(max_length=80, pattern=r"^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?)$")]
"""A type of events such as `delivery.assigned`, a family such as `delivery.*`, or `*` for all."""


class WebhookShape(Shape):
    """What a person says of a webhook."""

    url: WebhookAddress
    """Where events are posted to."""
    events: tuple[EventPattern, ...] = Field(("*",), min_length=1, max_length=50)
    """Which events it is told of."""
    description: Line | None = None
    enabled: Flag = True
    """Whether it is told of events. One that is enabled again is told of what happens from then on; `replay` brings
    what it missed."""


class WebhookSecret(Shape):
    """A key that signs; after a rotation two of them do for a while."""

    value: str
    """`whsec_…`."""
    until: Instant | None = None
    """When it signs no longer; the newest has no end."""


class Webhook(WebhookShape, Document):
    """A webhook of a tenant."""

    version: int = 1
    """Rises with every change."""
    secrets: tuple[WebhookSecret, ...] = ()
    """Newest first."""
    why_disabled: WhyDisabled | None = None
    enabled_at: Instant = Field(default_factory=now)
    """Since when it is enabled, or was; failures of before do not count against it."""
    created_at: Instant = Field(default_factory=now)

    def wants(self, kind: str) -> bool:
        """Tell whether it is told of events of this type."""
        return any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.events)


class WebhookAttempt(Document):
    """One try to tell a webhook of one event."""

    webhook: str
    event: str
    type: str
    """Type of the event."""
    time: Instant = Field(default_factory=now)
    attempt: int = 1
    """Its number among the tries for this event."""
    ok: bool
    """Whether the answer was one of 2xx."""
    status: int | None = None
    """Status of the answer, if there was one."""
    duration_ms: float
    error: str | None = None
    """What went wrong, in a few words."""
    next_attempt: Instant | None = None
    """When it is tried again; none after a success and after the last try."""
