"""SMS over a JSON gateway."""

from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from engine.providers.gateway import JsonGateway
from engine.providers.outgoing import Outgoing
from engine.settings import SmsSettings
from models.errors import MessageRefused

__all__ = ["SmsSender"]


class SmsSender:
    """Sends SMS; whether a repeat is harmless is the gateway's to promise (`sms.idempotent`)."""

    def __init__(self, url: str, settings: SmsSettings, circuits: SharedCircuits | None = None) -> None:
        self.idempotent = settings.idempotent
        token = None if settings.token is None else settings.token.get_secret_value()
        breaker = Breaker(
            "sms", settings.failures, settings.recovery_s, settings.timeout_s, (MessageRefused,), circuits
        )
        self._gateway = JsonGateway(url, token, settings.timeout_s, breaker)
        self._from = {"from": settings.sender} if settings.sender else {}

    async def send(self, message: Outgoing) -> None:
        """Send an SMS; raises as `Sender.send` does."""
        await self._gateway.post(message.id, {"id": message.id, "to": message.to, "text": message.text} | self._from)

    async def close(self) -> None:
        """Close connections."""
        await self._gateway.close()
