"""Messages over whatever service an Apprise URL names, with `{to}` where the address belongs.

Apprise does not tell a refusal from a failure and passes no idempotency key, so what it says went wrong is tried again.
"""

from urllib.parse import quote

from apprise import Apprise, AppriseAsset
from apprise.result import AppriseResultStatus

from engine.providers.breaker import Breaker
from engine.providers.outgoing import Outgoing
from models.errors import BadSettings, OutcomeUnknown, ProviderDown

__all__ = ["AppriseSender"]


class AppriseSender:
    """Sends messages through Apprise.

    Parameters
    ----------
    channel
        For errors.
    url
        Such as `twilio://sid:token@+15550100/{to}`.
    timeout_s
        Time limit of one call, seconds.
    idempotent
        Whether a message may be sent again when nobody knows what became of it.
    breaker
        Guards the calls.

    Raises
    ------
    BadSettings
        If Apprise can't make anything of the URL.
    """

    def __init__(self, channel: str, url: str, timeout_s: float, idempotent: bool, breaker: Breaker) -> None:
        self.idempotent = idempotent
        self._url, self._timeout_s, self._breaker = url, timeout_s, breaker
        self._asset = AppriseAsset(app_id="Outrider")
        if self._service("+15550100000") is None:
            raise BadSettings(f"OUTRIDER_NOTIFICATIONS__{channel.upper()}__URL is no URL that Apprise knows")

    async def send(self, message: Outgoing) -> None:
        """Send a message; raises as `Sender.send` does."""
        service = self._service(message.to)
        if service is None:
            raise ProviderDown(f"{self._breaker.name} can't be reached at such an address")
        async with self._breaker:
            result = await service.async_notify(body=message.text, title=message.subject, timeout=self._timeout_s)
            if result.status is AppriseResultStatus.TIMEOUT:
                raise OutcomeUnknown(f"{self._breaker.name} did not answer in time")
            if not result:
                raise ProviderDown(f"{self._breaker.name} did not take the message")

    async def close(self) -> None:
        """Return at once: no connection is kept."""

    def _service(self, to: str) -> Apprise | None:
        service = Apprise(asset=self._asset)
        return service if service.add(self._url.replace("{to}", quote(to, safe="+@"))) else None
