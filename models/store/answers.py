"""First answers to requests with an `Idempotency-Key`. MongoDB drops them after a day."""

import datetime
from collections.abc import Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from models.documents.document import now
from models.errors import Conflict, IdempotencyMismatch
from models.store.connections import Database
from models.store.personal import opened, sealed
from models.store.scope import Scope

__all__ = ["AnswerRepository"]

_COLLECTION = "idempotency"
_RUNNING_S = 60.0  # a first try that is older has died with its process


class AnswerRepository:
    """Who asked first, and what was answered. Answers are sealed: they hold whatever a tenant may read."""

    def __init__(self, database: Database) -> None:
        self._answers: Any = database["idempotency"]
        self._vault = database.vault

    async def claim(self, scope: Scope, identifier: str, fingerprints: Sequence[str]) -> bytes | None:
        """Return the first answer to this request, or None if this is the first, which then owes one.

        Parameters
        ----------
        scope
            Whose request it is.
        identifier
            Who asks, for what, with which key.
        fingerprints
            What tells its body from another: the first is kept, and each of them may have been kept before.

        Raises
        ------
        IdempotencyMismatch
            If the first request had another body.
        Conflict
            If it is still running.
        """
        begun = now()
        try:
            await self._answers.insert_one(
                {"_id": identifier, "tenant": scope.tenant, "fingerprint": fingerprints[0], "at": begun}
            )
        except DuplicateKeyError:
            return await self._first(scope, identifier, fingerprints, begun)
        return None

    async def keep(self, scope: Scope, identifier: str, body: bytes) -> None:
        """Keep the answer."""
        fields = await sealed(self._vault, _COLLECTION, scope.tenant, {"body": body})
        await self._answers.update_one({"_id": identifier}, {"$set": fields})

    async def release(self, identifier: str) -> None:
        """Forget a request that failed, so that it may be tried again."""
        await self._answers.delete_one({"_id": identifier})

    async def _first(
        self, scope: Scope, identifier: str, fingerprints: Sequence[str], begun: datetime.datetime
    ) -> bytes | None:
        first = await self._answers.find_one({"_id": identifier})
        if first is not None and first["fingerprint"] not in fingerprints:
            raise IdempotencyMismatch("this Idempotency-Key came with another body before")
        if first is not None and first.get("erased"):
            raise Conflict("the answer to this Idempotency-Key was erased with the data of a person in it")
        if first is not None and "body" in first:
            return bytes((await opened(self._vault, _COLLECTION, scope.tenant, first))["body"])
        long_ago = begun - datetime.timedelta(seconds=_RUNNING_S)
        dead = {"_id": identifier, "body": {"$exists": False}, "erased": None, "at": {"$lt": long_ago}}
        taken_over = await self._answers.update_one(dead, {"$set": {"at": begun}})
        if taken_over.matched_count == 0:
            raise Conflict("the first request with this Idempotency-Key is still running")
        return None
