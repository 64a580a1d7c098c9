"""Which channels can be used: a sender for each that the settings name a provider for."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from engine.providers.breaker import Breaker
from engine.providers.email import EmailSender
from engine.providers.outgoing import Sender
from engine.providers.push import PushSender
from engine.providers.sms import SmsSender
from engine.settings import EmailSettings, NotificationSettings, PushSettings, SmsSettings
from models.documents.notification import Channel
from models.errors import MessageRefused

__all__ = ["senders_of"]


def senders_of(settings: NotificationSettings) -> Mapping[Channel, Sender]:
    """Return a sender for each channel that has a provider.

    Raises
    ------
    BadSettings
        If a provider's URL is of no kind that we know.
    """
    senders: dict[Channel, Sender] = {}
    if settings.sms.url is not None:
        url = settings.sms.url.get_secret_value()
        senders["sms"] = SmsSender(url, settings.sms) if _is(url, "http", "https") else _other("sms", url, settings.sms)
    if settings.email.url is not None:
        url = settings.email.url.get_secret_value()
        is_smtp = _is(url, "smtp", "smtps")
        senders["email"] = EmailSender(url, settings.email) if is_smtp else _other("email", url, settings.email)
    if settings.push.url is not None:
        url = settings.push.url.get_secret_value()
        is_http = _is(url, "http", "https")
        senders["push"] = PushSender(url, settings.push) if is_http else _other("push", url, settings.push)
    return senders


def _is(url: str, *schemes: str) -> bool:
    return urlsplit(url).scheme in schemes


def _other(channel: Channel, url: str, settings: SmsSettings | EmailSettings | PushSettings) -> Sender:
    from engine.providers.apprise_url import AppriseSender  # here, because few installations need it, and it is large

    breaker = Breaker(channel, settings.failures, settings.recovery_s, settings.timeout_s, (MessageRefused,))
    return AppriseSender(channel, url, settings.timeout_s, settings.idempotent, breaker)
