"""The whole tree of settings, and the stores that it names."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.settings.branch import Branch
from engine.settings.door import ApiSettings, LimitSettings, ProofSettings
from engine.settings.messages import NotificationSettings, WebhookSettings
from engine.settings.tracking import (
    ArchiveSettings,
    FanoutSettings,
    HistorySettings,
    IngestSettings,
    LogSettings,
    MotionSettings,
    ShardSettings,
)
from engine.settings.travel import EtaSettings, GeocodingSettings, TravelSettings

__all__ = ["EmbeddedSettings", "Settings"]

_MOST_NAME_BYTES = 63  # of a database, in MongoDB
_TENANT_BYTES = 31  # `-ten_` and 26 letters


class EmbeddedSettings(Branch):
    """The stores that Outrider starts itself."""

    mongo_cache_gib: float = Field(0.25, ge=0.25, le=1024)
    """WiredTiger's cache, GiB; left to itself, mongod would take half of the memory."""


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

    @model_validator(mode="after")
    def _archives_what_history_still_holds(self) -> Self:
        least_h = 24 + self.archive.settle_h + self.archive.interval_s / 3600
        if self.archive.enabled and self.history.keep_days * 24 <= least_h:
            raise ValueError(
                f"OUTRIDER_HISTORY__KEEP_DAYS has to be more than {least_h:g} hours, because the archive writes a day "
                "that late; or set OUTRIDER_ARCHIVE__ENABLED=false"
            )
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
