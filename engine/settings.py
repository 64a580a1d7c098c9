"""Every setting of Outrider: a frozen tree, prefix `OUTRIDER_`, read once at start and handed on by part.

`OUTRIDER_PORT=8080`, `OUTRIDER_SHARDS__COUNT=4`: two underscores step into a branch. A `.env` file in the working
folder counts as well. A wrong value fails at start and names the variable.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = [
    "ApiSettings",
    "ArchiveSettings",
    "EmailSettings",
    "EmbeddedSettings",
    "EtaSettings",
    "FanoutSettings",
    "GeocodingSettings",
    "HistorySettings",
    "IngestSettings",
    "LimitSettings",
    "LogSettings",
    "MotionSettings",
    "NotificationSettings",
    "ProofSettings",
    "PushSettings",
    "Settings",
    "ShardSettings",
    "SmsSettings",
    "TravelSettings",
    "WebhookSettings",
]


_MOST_NAME_BYTES = 63  # of a database, in MongoDB
_TENANT_BYTES = 31  # `-ten_` and 26 letters


class _Branch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EmbeddedSettings(_Branch):
    """The stores that Outrider starts itself."""

    mongo_cache_gib: float = Field(0.25, ge=0.25, le=1024)
    """WiredTiger's cache, GiB; left to itself, mongod would take half of the memory."""


class LogSettings(_Branch):
    """The ingest log on Redis Streams."""

    partitions: int = Field(64, ge=1, le=4096)
    """Fixed number of partitions; about ten times the shards that will ever run. Changing it needs an empty log."""
    appendfsync: Literal["always", "everysec"] = "always"
    """When the embedded server puts the log on disk. `always`: before `accepted` is said; `everysec`: within 1 s."""
    commit_interval_ms: float = Field(5.0, ge=0, le=1000)
    """Shortest time between two group commits, milliseconds: waiting pings of all connections go together."""
    commit_max_fixes: int = Field(20_000, ge=100)
    """Most fixes in one group commit; bounds the pause of the event loop."""
    waiting_max_fixes: int = Field(200_000, ge=1000)
    """Fixes waiting for a commit in one API process before new ones are refused with 503."""
    lag_limit_s: float = Field(15.0, gt=0)
    """How far the shards may fall behind the log before the door answers 503 with `Retry-After`, seconds."""
    bytes_limit_mib: int = Field(2048, ge=64)
    """Memory of the Redis server above which the door answers 503: the log is bounded even if history stands still."""


class IngestSettings(_Branch):
    """What the door takes."""

    max_body_bytes: int = Field(8 * 2**20, ge=1024)
    """Largest body or frame, after decompression, bytes."""
    max_pings_per_batch: int = Field(5000, ge=1)
    """Most pings in one batch or frame."""
    max_future_s: float = Field(300.0, ge=0)
    """How far ahead of the server's clock a fix may be, seconds."""


class ShardSettings(_Branch):
    """Ray actors that own partitions."""

    count: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2), ge=1, le=1024)
    """Shard actors; each is one process. Default: half of the cores."""
    read_max_entries: int = Field(256, ge=1)
    """Log entries read per partition and turn; bounds the size of a micro-batch."""
    snapshot_interval_s: float = Field(15.0, gt=0)
    """Every partition is snapshotted about this often, seconds; recovery replays at most this much log."""
    heartbeat_s: float = Field(1.0, gt=0)
    """How often the supervisor asks each shard whether it is well, seconds."""
    heartbeat_timeout_s: float = Field(10.0, gt=0)
    """Silence after which a shard is replaced, seconds."""
    passivate_after_s: float = Field(6 * 3600.0, gt=0)
    """Idle time after which a driver's state leaves memory until its next ping, seconds."""
    offline_after_s: float = Field(300.0, gt=0)
    """Silence after which a driver counts as offline, seconds."""
    publish_interval_ms: float = Field(15.0, ge=1)
    """Shortest time between two publications of changed drivers, milliseconds."""


class MotionSettings(_Branch):
    """When a fix is noise, in every motion profile; radius and quiet time of a stop are each profile's own."""

    max_accuracy_m: float = Field(200.0, gt=0)
    """A fix whose accuracy is worse is filtered, metres."""
    max_speed_mps: float = Field(70.0, gt=0)
    """A fix that implies a higher speed, both accuracies taken off, is filtered, metres a second."""


class HistorySettings(_Branch):
    """Chunks of packed fixes in MongoDB."""

    slot_s: float = Field(3.0, gt=0, le=60)
    """Log time that one chunk of a driver covers, seconds. Longer: fewer documents; shorter: durable sooner."""
    keep_days: int = Field(30, ge=1)
    """Days after which MongoDB drops a chunk."""
    pending_max_fixes: int = Field(3_000_000, ge=10_000)
    """Fixes a shard holds back for history while MongoDB is away; above it the shard stops reading the log."""


class ArchiveSettings(_Branch):
    """Parquet files by tenant and day."""

    enabled: bool = True
    """Whether finished days are written out."""
    interval_s: float = Field(900.0, gt=0)
    """How often finished days are looked for, seconds."""
    settle_h: float = Field(6.0, ge=0)
    """Hours after midnight UTC before a day is first archived; later fixes rewrite its file."""


class FanoutSettings(_Branch):
    """Live frames for subscribers."""

    min_interval_ms: int = Field(20, ge=5)
    """Shortest frame interval that a subscriber may ask for, milliseconds."""
    max_subscriptions: int = Field(64, ge=1)
    """Most subscriptions of one connection."""
    send_timeout_s: float = Field(10.0, gt=0)
    """A connection that takes no frame for this long is closed, seconds."""


class WebhookSettings(_Branch):
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


class ProofSettings(_Branch):
    """Photos and signatures that prove deliveries."""

    store: str | None = None
    """Where they lie: `s3://…`, `gs://…`, `az://…` or `file:///…`; none keeps them in MongoDB (GridFS)."""
    max_bytes: int = Field(10 * 2**20, ge=1024)
    """Largest file, bytes."""
    unattached_h: float = Field(24.0, gt=0)
    """Hours after which a file that no delivery's proof names is dropped."""


class ApiSettings(_Branch):
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


class SmsSettings(_Branch):
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


class EmailSettings(_Branch):
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


class PushSettings(_Branch):
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


class NotificationSettings(_Branch):
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


class GeocodingSettings(_Branch):
    """How addresses are found on the map."""

    url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Server that speaks as Nominatim does; none asks the offline gazetteer alone."""
    user_agent: str = Field("Outrider/0.1", min_length=3, max_length=200)
    """Who we say we are; public servers want an address to write to in it."""
    rate_per_s: float = Field(1.0, gt=0, le=1000)
    """How often one process asks the server, a second; the public Nominatim allows one in all."""
    failures: int = Field(5, ge=1)
    """Failures in a row after which the server is left alone."""
    recovery_s: float = Field(30.0, gt=0)
    """For how long, seconds; then one question tries it out."""
    timeout_s: float = Field(5.0, gt=0, le=20)
    """Time limit of one question, seconds."""
    gazetteer: Path | None = None
    """File of `outrider gazetteer build`; none takes that of Porto which comes along."""
    least_confidence: float = Field(0.6, ge=0, le=1)
    """How sure an answer has to be for a delivery to take it; what is less sure waits for a person."""


class TravelSettings(_Branch):
    """Who says how long it takes from place to place. The great circle with a usual pace always comes last."""

    order: tuple[Literal["roads", "osrm", "valhalla"], ...] = ("roads", "osrm", "valhalla")
    """Who is asked first, as a JSON list; those without a file or URL are left out."""
    network: Path | None = None
    """Road network of `outrider roads build`; none takes that of Porto, which set-up has made."""
    osrm_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of an OSRM server."""
    valhalla_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of a Valhalla server; its limits on matrices have to be raised for plans."""
    learned_pace: bool = True
    """Whether free-flow times of maps are turned into those that vehicles were seen to take, by hour of the week."""
    time_zone: str = "Europe/Lisbon"
    """Of those hours; the default is that of the map which comes along."""
    traffic: bool = True
    """Whether the fleet's own drives teach what roads take, now and by hour of the week, and plans and estimates follow
    it. All companies of the installation share it; it holds no more than factors by piece of road."""
    traffic_every_s: float = Field(60.0, ge=5, le=3600)
    """How often new fixes are learned from, seconds."""
    traffic_file: Path | None = None
    """Where the state of traffic lies; on several machines a folder that all share. None means `traffic` in `var`."""
    failures: int = Field(3, ge=1)
    """Failures in a row after which a provider is left alone."""
    recovery_s: float = Field(30.0, gt=0)
    """For how long, seconds; then one question tries it out."""
    timeout_s: float = Field(20.0, gt=0, le=120)
    """Time limit of one question, seconds."""
    weather_url: str | None = Field(None, pattern=r"^https?://\S+$")
    """Root of a server that answers as Open-Meteo does; rain, snow and wind then lengthen plans and estimates."""
    weather_fresh_s: float = Field(1800.0, ge=60)
    """How old its word may be before it is asked again, seconds …"""
    weather_kept_s: float = Field(6 * 3600.0, ge=60)
    """… and how old while it is away; it is a forecast of two days."""
    flow_url: SecretStr | None = None
    """URL of a server that answers as TomTom's Flow Segment Data does, with `{latitude}` and `{longitude}`; asked where
    the fleet's own drives teach nothing."""
    flow_fresh_s: float = Field(300.0, ge=30)
    """How old its word may be before it is asked again, seconds …"""
    flow_kept_s: float = Field(1800.0, ge=30)
    """… and how old while it is away."""
    conditions_timeout_s: float = Field(3.0, gt=0, le=20)
    """Time limit of one question about weather or traffic, seconds."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.flow_url is not None:
            url = self.flow_url.get_secret_value()
            if not url.startswith(("http://", "https://")) or "{latitude}" not in url or "{longitude}" not in url:
                raise ValueError("OUTRIDER_TRAVEL__FLOW_URL needs to be a URL with {latitude} and {longitude}")
        return self


class EtaSettings(_Branch):
    """Arrival estimates."""

    models: Path | None = None
    """Folder of the registry of models, shared by all machines that run shards; none means `models` in `var`."""
    roads: bool = True
    """Whether base times come from the road network (`OUTRIDER_TRAVEL__NETWORK`); without, from the great circle."""
    fresh_s: float = Field(10.0, ge=1, le=300)
    """A driver that moves is estimated anew at least this often, seconds."""
    told_s: float = Field(30.0, ge=1, le=3600)
    """Change of what is shown that goes to watchers and into the history, seconds; at least 5 % of the time left."""
    late_risk: float = Field(0.6, gt=0, lt=1)
    """Probability of missing a time window at which `delivery.late_risk` is told."""
    imminent_s: float = Field(600.0, ge=60, le=7200)
    """How long before the arrival `delivery.imminent` is told, seconds."""
    coverage_low: float = Field(0.75, gt=0, lt=1)
    """Share of a day's arrivals in the promised range below which `eta.coverage_off` is told …"""
    coverage_high: float = Field(0.85, gt=0, lt=1)
    """… and above which; 0.8 is what ranges are made for."""


class LimitSettings(_Branch):
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


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="OUTRIDER_",
        env_nested_delimiter="__",
        env_file=".env",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    var: Path = Path("var")
    """Folder for data, logs, sockets and development secrets."""
    mongo_url: SecretStr | None = None
    """MongoDB replica set to use; none starts the embedded one."""
    redis_url: SecretStr | None = None
    """Redis-compatible server to use; none starts the embedded one."""
    ray_address: str | None = None
    """Ray cluster to join; none starts one on this machine."""
    database: str = "outrider"
    """Name of the MongoDB database."""
    tenancy: Literal["shared", "database"] = "shared"
    """Where companies' documents live. `database`: each company's deliveries, fleet and audit log in a database of its
    own. Choose before the first company registers."""
    prefix: str = "outrider"
    """First part of every Redis key and channel."""
    jwt_secret: SecretStr | None = None
    """Key that signs access tokens; none makes one in `var` at first start."""
    jwt_secrets: tuple[SecretStr, ...] = ()
    """Keys of access tokens as a JSON list: the first signs, all verify, as does `OUTRIDER_JWT_SECRET` beside them."""
    jwt_secrets_file: Path | None = None
    """File with keys of access tokens, one a line, in place of the two above. It is looked at every second: who changes
    it changes the keys of what runs."""
    master_keys: tuple[SecretStr, ...] = ()
    """Keys that wrap each tenant's key of personal data, as a JSON list, newest first; none makes one in `var`."""
    master_keys_file: Path | None = None
    """File with those keys, one a line, in place of `OUTRIDER_MASTER_KEYS`. Who changes it changes the keys of what
    runs."""
    migrate_at_start: bool = True
    """Whether `outrider up` migrates MongoDB to this release; else `outrider migrate up` has to come first."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log lines that are written."""
    embedded: EmbeddedSettings = EmbeddedSettings()
    log: LogSettings = LogSettings()
    ingest: IngestSettings = IngestSettings()
    shards: ShardSettings = ShardSettings()
    motion: MotionSettings = MotionSettings()
    history: HistorySettings = HistorySettings()
    archive: ArchiveSettings = ArchiveSettings()
    fanout: FanoutSettings = FanoutSettings()
    webhooks: WebhookSettings = WebhookSettings()
    proofs: ProofSettings = ProofSettings()
    api: ApiSettings = ApiSettings()
    notifications: NotificationSettings = NotificationSettings()
    limits: LimitSettings = LimitSettings()
    geocoding: GeocodingSettings = GeocodingSettings()
    travel: TravelSettings = TravelSettings()
    eta: EtaSettings = EtaSettings()

    @property
    def models(self) -> Path:
        """The folder of the registry of models."""
        return self.eta.models or self.var / "models"

    @property
    def traffic_file(self) -> Path:
        """The file of the state of traffic."""
        return self.travel.traffic_file or self.var / "traffic" / "roads.state"

    @model_validator(mode="after")
    def _has_room_for_tenants(self) -> Self:
        if self.tenants_apart and len(self.database.encode()) > _MOST_NAME_BYTES - _TENANT_BYTES:
            most = _MOST_NAME_BYTES - _TENANT_BYTES
            raise ValueError(f"OUTRIDER_DATABASE has {most} bytes at most where each company has a database of its own")
        return self

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The keys of access tokens that stand in the settings themselves, the one that signs first."""
        single = () if self.jwt_secret is None else (self.jwt_secret,)
        return tuple(secret.get_secret_value() for secret in (*self.jwt_secrets, *single))

    @property
    def tenants_apart(self) -> bool:
        """Whether each company has a database of its own."""
        return self.tenancy == "database"
