"""How a customer's deliveries are found by phone number or mail address, though both are sealed.

A document keeps a token for each (`Vault`): the same for the same number, however it was written, and nothing to
anybody without the tenant's key.
"""

from collections.abc import Mapping
from typing import Any

from models.phones import has_country, normal_phone
from models.store.connections import Database
from models.store.personal import sealed

__all__ = ["CONTACT_TOKENS", "Contacts"]

_PHONE, _EMAIL = "phoneToken", "emailToken"
CONTACT_TOKENS = (_PHONE, _EMAIL)
"""Fields of a stored delivery that hold tokens."""


class Contacts:
    """Tokens of customers' phone numbers and mail addresses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sealed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a delivery for MongoDB: its personal fields sealed, and what it is found by."""
        tenant, customer = fields["tenant"], fields.get("customer", {})
        keys = await self._database.vault.keys(tenant)
        made = await sealed(self._database.vault, "deliveries", tenant, fields)
        if (phone := customer.get("phone")) is not None:
            made[_PHONE] = keys.token(await self._normal(tenant, phone))
        if (email := customer.get("email")) is not None:
            made[_EMAIL] = keys.token(email.lower())
        return made

    async def query(self, tenant: str, *, phone: str | None = None, email: str | None = None) -> dict[str, Any]:
        """Return what finds a tenant's deliveries to whoever has this number or address; None does not matter."""
        # read anew, because another process may have made a data key just now
        keys = await self._database.vault.reread(tenant)
        query: dict[str, Any] = {}
        if phone is not None:
            query[_PHONE] = {"$in": keys.all_tokens(await self._normal(tenant, phone))}
        if email is not None:
            query[_EMAIL] = {"$in": keys.all_tokens(email.lower())}
        return query

    async def _normal(self, tenant: str, phone: str) -> str:
        if has_country(phone):
            return normal_phone(phone, None)
        found = await self._database.tenants.find_one({"_id": tenant}, {"settings.country": 1})
        return normal_phone(phone, found.get("settings", {}).get("country") if found else None)
