"""Tracking links in MongoDB. Whoever follows one has no token of a company, so the look-up takes no scope."""

import base64
import datetime
import hashlib
from typing import Any

from models.documents.document import now
from models.documents.tracking_link import TrackingLink
from models.errors import NotFound
from models.store.connections import Database
from models.store.scope import Scope

__all__ = ["TrackingLinkRepository"]

_KEEP = datetime.timedelta(days=60)
_TOKEN_BYTES = 20


class TrackingLinkRepository:
    """Links to deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._links: Any = database["tracking_links"]

    async def token_of(self, scope: Scope, delivery: str) -> str:
        """Return the token of a delivery's link, which is made at the first time and then the same.

        It is derived with the tenant's data key, so that nobody can guess it and nothing has to keep it.
        """
        keys = await self._database.vault.keys(scope.tenant)
        derived = hashlib.blake2b(keys.token(f"tracking-link/{delivery}"), digest_size=_TOKEN_BYTES).digest()
        token = base64.b32encode(derived).decode().lower()
        link = TrackingLink(id=_digest(token), tenant=scope.tenant, delivery=delivery, expires_at=now() + _KEEP)
        fields = link.stored()
        expiry = fields.pop("expiresAt")
        await self._links.update_one(
            {"_id": fields.pop("_id")}, {"$setOnInsert": fields, "$set": {"expiresAt": expiry}}, upsert=True
        )
        return token

    async def find(self, token: str) -> TrackingLink:
        """Return the link of a token.

        Raises
        ------
        NotFound
            If there is none, or it has expired.
        """
        found = await self._links.find_one({"_id": _digest(token), "expiresAt": {"$gt": now()}})
        if found is None:
            raise NotFound("tracking link", "of this address")
        return TrackingLink.restored(found)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
