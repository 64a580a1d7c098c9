"""Where a customer follows a delivery: the installation's page or one of one's own, with the tracking link."""

from engine.settings import Settings
from models.store.connections import Database
from models.store.scope import Scope
from models.store.tracking_links import TrackingLinkRepository

__all__ = ["CustomerLinks"]


class CustomerLinks:
    """Addresses of deliveries for their customers."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._links = TrackingLinkRepository(database)
        self._own = settings.notifications.tracking_url
        self._public = settings.api.public_url.rstrip("/")

    async def to(self, scope: Scope, delivery: str) -> str:
        """Return the address of a delivery, the same each time."""
        token = await self._links.token_of(scope, delivery)
        return f"{self._public}/track/{token}" if self._own is None else self._own.replace("{token}", token)
