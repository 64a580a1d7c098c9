"""Documents that are not sealed under a tenant's newest data key, and their sealing anew.

Only sealed fields are written, and only while they and the document's version are what was read: a change that comes
between wins. It may leave what is sealed as it is: whoever wants all sealed anew asks again until nothing is `stale`.
"""

from collections.abc import Mapping
from typing import Any

from models.store.connections import Database
from models.store.contacts import CONTACT_TOKENS, Contacts
from models.store.personal import KEY_NUMBER, PERSONAL, opened, sealed
from models.store.vault import INSTALLATION

__all__ = ["ResealRepository"]


class ResealRepository:
    """What the rotation of keys asks and writes."""

    def __init__(self, database: Database) -> None:
        self._database, self._contacts = database, Contacts(database)
        self._keys: Any = database["data_keys"]

    async def tenants(self) -> list[str]:
        """Return all that have or need a data key, the installation among them."""
        known = await self._database.tenants.distinct("_id")
        return sorted({*known, *await self._keys.distinct("tenant"), INSTALLATION})

    async def is_settled(self, tenant: str) -> bool:
        """Tell whether the rotation that made the tenant's newest data key has been finished."""
        newest = await self._keys.find_one({"tenant": tenant}, sort=[("number", -1)])
        return newest is None or newest.get("settled", True)

    async def settle(self, tenant: str, number: int, *, settled: bool) -> None:
        """Note whether everything of a tenant is sealed under a data key."""
        await self._keys.update_one({"tenant": tenant, "number": number}, {"$set": {"settled": settled}})

    async def stale(self, tenant: str, number: int) -> int:
        """Return how many documents of a tenant are not sealed under a data key."""
        counts = [await self._database[collection].count_documents(_stale(tenant, number)) for collection in PERSONAL]
        return sum(counts)

    async def reseal(self, collection: str, tenant: str, number: int, after: str, limit: int) -> tuple[str, int]:
        """Seal some documents anew, in the order of their ids.

        Returns
        -------
        tuple
            The last id seen, empty at the end, and how many were sealed.
        """
        query = {**_stale(tenant, number), "_id": {"$gt": after}}
        found = await self._database[collection].find(query).sort("_id", 1).limit(limit).to_list(limit)
        count = 0
        for fields in found:
            count += await self._reseal(collection, tenant, fields)
        return (found[-1]["_id"] if len(found) == limit else ""), count

    async def _reseal(self, collection: str, tenant: str, fields: Mapping[str, Any]) -> int:
        in_clear = await opened(self._database.vault, collection, tenant, fields)
        if collection == "deliveries":
            made = await self._contacts.sealed(in_clear)
        else:
            made = await sealed(self._database.vault, collection, tenant, in_clear)
        places = {path.partition(".")[0] for path in PERSONAL[collection]} & fields.keys()
        seen = {name: fields[name] for name in places} | {"version": fields.get("version")}
        changes = {name: made[name] for name in {*places, KEY_NUMBER, *CONTACT_TOKENS} & made.keys()}
        query = {"_id": fields["_id"], "tenant": tenant, **seen}
        changed = await self._database[collection].update_one(query, {"$set": changes})
        return int(changed.modified_count)


def _stale(tenant: str, number: int) -> dict[str, Any]:
    return {"tenant": tenant, KEY_NUMBER: {"$ne": number}}
