"""Changes of API keys: stored with their event in one transaction. Secrets come in as digests."""

from typing import Literal

from models.documents.document import now
from models.documents.event import Event
from models.documents.key import ApiKey
from models.errors import InvalidInput
from models.ids import new_id
from models.store.connections import Database
from models.store.drivers import DriverRepository
from models.store.keys import KeyRepository
from models.store.outbox import Announcement
from models.store.scope import Scope

__all__ = ["KeyCommands"]


class KeyCommands:
    """What can be done to keys."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._keys = KeyRepository(database)
        self._drivers = DriverRepository(database, partitions)

    async def create(self, scope: Scope, key: ApiKey) -> None:
        """Store a new key.

        Raises
        ------
        InvalidInput
            If a device key has no driver or another key has one, an integration has no scopes, or it has expired.
        NotFound
            If the tenant has no such driver.
        """
        if (key.kind == "device") != (key.driver is not None):
            raise InvalidInput("driverId belongs to a device key, and it needs one", [("driverId", "see kind")])
        if key.kind == "integration" and not key.scopes:
            raise InvalidInput("scopes: an integration needs one or more", [("scopes", "empty")])
        if key.expires_at is not None and key.expires_at <= key.created_at:
            raise InvalidInput("expiresAt has passed", [("expiresAt", "has passed")])
        if key.driver is not None:
            await self._drivers.get(scope, key.driver)
        await self._keys.create(key, Announcement(_told(scope, key, "key.created"), after=key))

    async def delete(self, scope: Scope, key: str) -> None:
        """Delete a key; raises NotFound."""
        before = await self._keys.get(scope, key)
        await self._keys.delete(before, Announcement(_told(scope, before, "key.deleted"), before=before))


def _told(scope: Scope, key: ApiKey, kind: Literal["key.created", "key.deleted"]) -> Event:
    return Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=key.id,
        sequence=1 if kind == "key.created" else 2,
        actor=scope.actor,
        data={"keyId": key.id, "kind": key.kind, "name": key.name, "driverId": key.driver},
    )
