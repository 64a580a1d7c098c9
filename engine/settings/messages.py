"""Settings of what is told to people and to their servers."""

from pydantic import Field, SecretStr

from engine.settings.branch import Branch

__all__ = ["EmailSettings", "NotificationSettings", "PushSettings", "SmsSettings", "WebhookSettings"]


class WebhookSettings(Branch):
    """Events posted to tenants' own servers."""

    allow_private: bool = False
    """Whether webhooks may lead to private, loopback and link-local addresses, for servers of your own network."""
    allow_http: bool = False
    """Whether webhooks may lead to plain `http` addresses; loopback ones may, where private ones are allowed."""
    timeout_s: float = Field(15.0, gt=0, le=60)
    """How long one try may take, from the name to the answer, seconds."""
    connect_timeout_s: float = Field(5.0, gt=0, le=60)
    """How long the connection alone may take, seconds."""
    at_once: int = Field(256, ge=1, le=10_000)
    """Tries under way at once, of all tenants."""
    at_once_each: int = Field(16, ge=1, le=1000)
    """Tries under way at once to one webhook, so that a slow one does not hold up others."""
    disable_after_h: float = Field(120.0, gt=0)
    """A webhook at which nothing but failures came in for this long is disabled, hours."""


class SmsSettings(Branch):
    """Who sends SMS."""

    url: SecretStr | None = None
    """JSON gateway to post to (`https://…`), or an Apprise URL with `{to}`; none leaves messages unsent."""
    token: SecretStr | None = None
    """Bearer token of the gateway."""
    sender: str | None = Field(None, max_length=40)
    """Number or name that messages come from."""
    idempotent: bool = True
    """Whether the gateway sends once what comes twice under one `Idempotency-Key`; if not, what may be sent stays."""
    failures: int = Field(10, ge=1)
    """Failures in a row after which the gateway is left alone."""
    recovery_s: float = Field(120.0, gt=0)
    """For how long, seconds; then one message tries it out."""
    timeout_s: float = Field(2.0, gt=0, le=20)
    """Time limit of one call, seconds."""


class EmailSettings(Branch):
    """Who sends e-mail."""

    url: SecretStr | None = None
    """`smtp://user:password@host:587`, `smtps://…`, or an Apprise URL with `{to}`; none leaves messages unsent."""
    sender: str = Field("outrider@localhost", pattern=r"^[^@\s]+@[^@\s]+$")
    """Address that mails come from."""
    idempotent: bool = False
    """Whether to send a mail again, under the same Message-ID, that may be sent already."""
    failures: int = Field(5, ge=1)
    """Failures in a row after which the server is left alone."""
    recovery_s: float = Field(60.0, gt=0)
    """For how long, seconds; then one message tries it out."""
    timeout_s: float = Field(10.0, gt=0, le=20)
    """Time limit of one mail, seconds."""


class PushSettings(Branch):
    """Who sends push messages."""

    url: SecretStr | None = None
    """JSON gateway to post to (`https://…`), or an Apprise URL with `{to}`; none leaves messages unsent."""
    token: SecretStr | None = None
    """Bearer token of the gateway."""
    idempotent: bool = True
    """Whether the gateway sends once what comes twice under one `Idempotency-Key`; if not, what may be sent stays."""
    failures: int = Field(5, ge=1)
    """Failures in a row after which the gateway is left alone."""
    recovery_s: float = Field(60.0, gt=0)
    """For how long, seconds; then one message tries it out."""
    timeout_s: float = Field(5.0, gt=0, le=20)
    """Time limit of one call, seconds."""


class NotificationSettings(Branch):
    """Messages to customers, drivers and users."""

    sms: SmsSettings = SmsSettings()
    email: EmailSettings = EmailSettings()
    push: PushSettings = PushSettings()
    tracking_url: str | None = Field(None, pattern=r"^https?://\S*\{token\}\S*$")
    """Page that shows a customer the way of a delivery, with `{token}` for its tracking link; none means ours."""
    keep_days: int = Field(90, ge=1)
    """Days after which MongoDB drops what it keeps of a message."""

    @property
    def has_provider(self) -> bool:
        """Tell whether anybody is set up to send anything."""
        return any(one.url is not None for one in (self.sms, self.email, self.push))
