"""What a geocoding provider said, by tenant. Whoever reads the database sees points, and not whose address they are."""

import datetime
from dataclasses import asdict, dataclass
from typing import Literal

from models.store.connections import Database
from models.store.scope import Scope

__all__ = ["Geocode", "GeocodeRepository"]


@dataclass(frozen=True, slots=True)
class Geocode:
    """Where an address is, as it was said at a time."""

    latitude: float
    longitude: float
    kind: Literal["house", "street", "place"]
    confidence: float
    at: datetime.datetime


class GeocodeRepository:
    """A tenant's remembered answers. MongoDB drops them after a year."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, scope: Scope, question: str) -> Geocode | None:
        """Return what was said about an address, folded as it was put in."""
        query = {"tenant": scope.tenant, "question": await self._token(scope, question)}
        found = await self._database.geocodes.find_one(query, {"_id": 0, "tenant": 0, "question": 0})
        return None if found is None else Geocode(**found)

    async def put(self, scope: Scope, question: str, said: Geocode) -> None:
        """Remember what was said about an address."""
        query = {"tenant": scope.tenant, "question": await self._token(scope, question)}
        await self._database.geocodes.update_one(query, {"$set": asdict(said)}, upsert=True)

    async def _token(self, scope: Scope, question: str) -> bytes:
        # once the tenant has a new data key, answers under the old one are forgotten: they can be asked for again
        return (await self._database.vault.keys(scope.tenant)).token(question)
