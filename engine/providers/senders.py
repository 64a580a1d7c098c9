"""Which channels can be used: a sender for each that the settings name a provider for."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from engine.providers.email import EmailSender
from engine.providers.outgoing import Sender
from engine.providers.push import PushSender
from engine.providers.sms import SmsSender
from engine.settings import EmailSettings, NotificationSettings, PushSettings, SmsSettings
from models.documents.notification import Channel
from models.errors import MessageRefused

__all__ = ["senders_of"]


def senders_of(settings: NotificationSettings, circuits: SharedCircuits | None = None) -> Mapping[Channel, Sender]:
    """Return a sender for each channel that has a provider; processes with the same `circuits` share what is down.

    Raises
    ------
    BadSettings
        If a provider's URL is of no kind that we know.
    """
    senders: dict[Channel, Sender] = {}
    sms, email, push = settings.sms, settings.email, settings.push
    if sms.url is not None:
        url = sms.url.get_secret_value()
        is_gateway = _is(url, "http", "https")
        senders["sms"] = SmsSender(url, sms, circuits) if is_gateway else _other("sms", url, sms, circuits)
    if email.url is not None:
        url = email.url.get_secret_value()
        is_smtp = _is(url, "smtp", "smtps")
        senders["email"] = EmailSender(url, email, circuits) if is_smtp else _other("email", url, email, circuits)
    if push.url is not None:
        url = push.url.get_secret_value()
        is_gateway = _is(url, "http", "https")
        senders["push"] = PushSender(url, push, circuits) if is_gateway else _other("push", url, push, circuits)
    return senders


def _is(url: str, *schemes: str) -> bool:
    return urlsplit(url).scheme in schemes


def _other(
    channel: Channel, url: str, settings: SmsSettings | EmailSettings | PushSettings, circuits: SharedCircuits | None
) -> Sender:
    from engine.providers.apprise_url import AppriseSender  # here, because few installations need it, and it is large

    limits = settings.failures, settings.recovery_s, settings.timeout_s
    breaker = Breaker(channel, *limits, (MessageRefused,), circuits)
    return AppriseSender(channel, url, settings.timeout_s, settings.idempotent, breaker)
