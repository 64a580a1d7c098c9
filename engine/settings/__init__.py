"""Every setting of Outrider: a frozen tree, prefix `OUTRIDER_`, read once at start and handed on by part.

`OUTRIDER_LOG_LEVEL=debug`, `OUTRIDER_SHARDS__COUNT=4`: two underscores step into a branch. A `.env` file in the working
folder counts as well. A wrong value fails at start and names the variable.
"""

from engine.settings.door import ApiSettings, LimitSettings, ProofSettings
from engine.settings.messages import EmailSettings, NotificationSettings, PushSettings, SmsSettings, WebhookSettings
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
from engine.settings.tree import EmbeddedSettings, Settings

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
