"""Push messages over a JSON gateway."""

from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from engine.providers.gateway import JsonGateway
from engine.providers.outgoing import Outgoing
from engine.settings import PushSettings
from models.errors import MessageRefused

__all__ = ["PushSender"]


class PushSender:
    """Sends push messages to the app of whoever runs the gateway."""

    def __init__(self, url: str, settings: PushSettings, circuits: SharedCircuits | None = None) -> None:
        self.idempotent = settings.idempotent
        token = None if settings.token is None else settings.token.get_secret_value()
        breaker = Breaker(
            "push", settings.failures, settings.recovery_s, settings.timeout_s, (MessageRefused,), circuits
        )
        self._gateway = JsonGateway(url, token, settings.timeout_s, breaker)

    async def send(self, message: Outgoing) -> None:
        """Send a push message; raises as `Sender.send` does."""
        body = {"id": message.id, "to": message.to, "subject": message.subject, "text": message.text}
        await self._gateway.post(message.id, body)

    async def close(self) -> None:
        """Close connections."""
        await self._gateway.close()
