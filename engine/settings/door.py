"""Settings of the front door and of what lies behind it."""

from pydantic import Field

from engine.settings.branch import Branch

__all__ = ["ApiSettings", "LimitSettings", "ProofSettings"]


class ApiSettings(Branch):
    """The HTTP and WebSocket front door."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    workers: int = Field(1, ge=1, le=256)
    """API processes; they share the port."""
    token_ttl_s: int = Field(12 * 3600, ge=60)
    """Life of an access token, seconds."""
    refresh_ttl_s: int = Field(30 * 86_400, ge=300)
    """Life of a sign-in, seconds: refresh tokens work until then, each of them once."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browsers may call from; none by default."""
    recheck_s: float = Field(60.0, gt=0)
    """How often open WebSockets are asked whether their user or key is still what it was, seconds."""
    public_url: str = Field("http://127.0.0.1:8000", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    """Where people reach the page: links in invitations and mails about passwords lead there."""

    def link(self, purpose: str, token: str) -> str:
        """Return a link that hands a token to the page. What follows `#` is sent to no server and stands in no log."""
        return f"{self.public_url.rstrip('/')}/#{purpose}={token}"


class LimitSettings(Branch):
    """How often somebody may ask before the answer is 429. What sends positions is not counted here."""

    caller_per_s: int = Field(2500, ge=1)
    """Requests a second of one user or key, in the mean of ten seconds; more than two API processes serve."""
    company_per_s: int = Field(5000, ge=1)
    """Requests a second of all users and keys of a company that has not chosen another number."""
    company_most_per_s: int = Field(10_000, ge=1)
    """The largest number that a company may choose."""
    address_per_s: int = Field(5000, ge=1)
    """Requests a second from one network address; a whole office or a gateway may stand behind it."""
    sign_ins_per_email: int = Field(20, ge=1)
    """Tries to sign in with one e-mail address, without success, in a quarter of an hour."""
    sign_ins_per_address: int = Field(300, ge=1)
    """Tries to sign in, sign up or have a mail sent from one network address in a quarter of an hour."""
    mails_per_email: int = Field(5, ge=1)
    """Mails about a forgotten password that one e-mail address may be sent in a quarter of an hour."""


class ProofSettings(Branch):
    """Photos and signatures that prove deliveries."""

    store: str | None = None
    """Where they lie: `s3://…`, `gs://…`, `az://…` or `file:///…`; none keeps them in MongoDB (GridFS)."""
    max_bytes: int = Field(10 * 2**20, ge=1024)
    """Largest file, bytes."""
    unattached_h: float = Field(24.0, gt=0)
    """Hours after which a file that no delivery's proof names is dropped."""
