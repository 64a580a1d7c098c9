"""Settings of what takes pings and keeps what they say."""

import os
from typing import Literal

from pydantic import Field

from engine.settings.branch import Branch

__all__ = [
    "ArchiveSettings",
    "FanoutSettings",
    "HistorySettings",
    "IngestSettings",
    "LogSettings",
    "MotionSettings",
    "ShardSettings",
]


class LogSettings(Branch):
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


class IngestSettings(Branch):
    """What the door takes."""

    max_body_bytes: int = Field(8 * 2**20, ge=1024)
    """Largest body or frame, after decompression, bytes."""
    max_pings_per_batch: int = Field(5000, ge=1)
    """Most pings in one batch or frame."""
    max_future_s: float = Field(300.0, ge=0)
    """How far ahead of the server's clock a fix may be, seconds."""


class ShardSettings(Branch):
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


class MotionSettings(Branch):
    """When a fix is noise, in every motion profile; radius and quiet time of a stop are each profile's own."""

    max_accuracy_m: float = Field(200.0, gt=0)
    """A fix whose accuracy is worse is filtered, metres."""
    max_speed_mps: float = Field(70.0, gt=0)
    """A fix that implies a higher speed, both accuracies taken off, is filtered, metres a second."""


class HistorySettings(Branch):
    """Chunks of packed fixes in MongoDB."""

    slot_s: float = Field(3.0, gt=0, le=60)
    """Log time that one chunk of a driver covers, seconds. Longer: fewer documents; shorter: durable sooner."""
    keep_days: int = Field(30, ge=1)
    """Days after which MongoDB drops a chunk."""
    pending_max_fixes: int = Field(3_000_000, ge=10_000)
    """Fixes a shard holds back for history while MongoDB is away; above it the shard stops reading the log."""


class ArchiveSettings(Branch):
    """Parquet files by tenant and day."""

    enabled: bool = True
    """Whether finished days are written out."""
    interval_s: float = Field(900.0, gt=0)
    """How often finished days are looked for, seconds."""
    settle_h: float = Field(6.0, ge=0)
    """Hours after midnight UTC before a day is first archived; later fixes rewrite its file."""


class FanoutSettings(Branch):
    """Live frames for subscribers."""

    min_interval_ms: int = Field(20, ge=5)
    """Shortest frame interval that a subscriber may ask for, milliseconds."""
    max_subscriptions: int = Field(64, ge=1)
    """Most subscriptions of one connection."""
    send_timeout_s: float = Field(10.0, gt=0)
    """A connection that takes no frame for this long is closed, seconds."""
