"""Time zones of tenants, by which the hours of their legs are read."""

from collections.abc import Sequence

import structlog
from pymongo.errors import PyMongoError

from models.store.connections import Database

__all__ = ["TenantZones"]

log = structlog.get_logger(__name__)

_USUAL = "UTC"


class TenantZones:
    """Remembers the zone of each tenant that a shard has met."""

    def __init__(self, database: Database) -> None:
        self._tenants = database["tenants"]
        self._zones: dict[str, str] = {}

    def of(self, tenant: str) -> str:
        """Return a tenant's IANA time zone; UTC before it is learnt."""
        return self._zones.get(tenant, _USUAL)

    def forget(self, tenant: str) -> None:
        """Ask again: the tenant's settings have changed."""
        self._zones.pop(tenant, None)

    async def learn(self, tenants: Sequence[str]) -> None:
        """Ask for the zones of tenants that are not known; while MongoDB is away they stay at UTC."""
        if len(self._zones) >= len(tenants):
            return
        unknown = [tenant for tenant in tenants if tenant not in self._zones]
        try:
            found = await self._tenants.find({"_id": {"$in": unknown}}, {"settings.timeZone": 1}).to_list(None)
        except PyMongoError as error:
            log.warning("zones.unknown", error=str(error))
            return
        told = {fields["_id"]: fields.get("settings", {}).get("timeZone") or _USUAL for fields in found}
        self._zones |= {tenant: told.get(tenant, _USUAL) for tenant in unknown}
