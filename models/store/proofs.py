"""Proofs of delivery: what is known of each file in `proofs`, and its content in GridFS or an object store.

The record comes first and the content second, so content without a record, which nobody would find again, never is.
"""

import datetime
from collections.abc import Sequence
from typing import Any, Protocol

from gridfs.errors import NoFile
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo.errors import DuplicateKeyError

from models.documents.document import now
from models.documents.proof import ProofFile
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["Content", "GridContent", "ProofRepository", "ProofStore"]

_UPLOADING = datetime.timedelta(seconds=60)  # an upload that is older has died with its process


class Content(Protocol):
    """Where the bytes of files lie, by key; the first part of a key is the tenant."""

    async def put(self, key: str, data: bytes) -> None:
        """Store `data`, in place of what was there."""

    async def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes in `[start, end)`."""

    async def delete(self, key: str) -> None:
        """Drop what is there, if anything."""


class GridContent:
    """Content in MongoDB's GridFS, backed up and replicated with all else, in the database of its tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, key: str, data: bytes) -> None:
        """Store `data`, in place of what was there."""
        await self.delete(key)
        await self._bucket(key).upload_from_stream_with_id(key, key, data)

    async def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes in `[start, end)`."""
        stream = await self._bucket(key).open_download_stream(key)
        stream.seek(start)
        data: bytes = await stream.read(end - start)
        return data

    async def delete(self, key: str) -> None:
        """Drop what is there, if anything."""
        try:
            await self._bucket(key).delete(key)
        except NoFile:
            return

    def _bucket(self, key: str) -> Any:
        tenant = key.partition("/")[0]
        return AsyncIOMotorGridFSBucket(self._database.of(tenant), bucket_name="proof_content")


class ProofRepository:
    """What is known of the proof files of a tenant."""

    def __init__(self, database: Database) -> None:
        self._proofs: Any = database["proofs"]

    async def get(self, scope: Scope, proof: str) -> ProofFile:
        """Return one file.

        Raises
        ------
        NotFound
            If the tenant has no such file.
        """
        found = await self._proofs.find_one({"_id": proof, "tenant": scope.tenant, "whole": True})
        if found is None:
            raise NotFound("proof", proof)
        return ProofFile.restored(found)

    async def of(self, scope: Scope, delivery: str) -> dict[str, ProofFile]:
        """Return a delivery's files by id, oldest first."""
        return {file.id: file for file in await self.all_of(scope, delivery) if file.whole}

    async def all_of(self, scope: Scope, delivery: str) -> list[ProofFile]:
        """Return a delivery's files, oldest first, those that are being uploaded included."""
        query = {"tenant": scope.tenant, "delivery": delivery}
        return [ProofFile.restored(fields) for fields in await self._proofs.find(query).sort("_id", 1).to_list(None)]

    async def claim(self, file: ProofFile) -> ProofFile:
        """Return the record of a file that is to be uploaded, or of the one that holds the same for its delivery.

        Raises
        ------
        Conflict
            If the same is being uploaded at this moment.
        """
        same = {"tenant": file.tenant, "delivery": file.delivery, "kind": file.kind, "digest": file.digest}
        try:
            await self._proofs.insert_one(file.stored())
        except DuplicateKeyError:
            begun = now()
            dead = {**same, "whole": False, "createdAt": {"$lt": begun - _UPLOADING}}
            if (found := await self._proofs.find_one_and_update(dead, {"$set": {"createdAt": begun}})) is None:
                found = await self._proofs.find_one({**same, "whole": True})
            if found is None:
                raise Conflict("the same file is being uploaded at this moment") from None
            return ProofFile.restored(found)
        return file

    async def finish(self, file: ProofFile) -> ProofFile:
        """Note that the content of a file is stored."""
        await self._proofs.update_one({"_id": file.id, "tenant": file.tenant}, {"$set": {"whole": True}})
        return file.model_copy(update={"whole": True})

    async def attach(self, session: Session, scope: Scope, delivery: str, proofs: Sequence[str]) -> None:
        """Note in the transaction of a change that a delivery's proof names these files from now on.

        Raises
        ------
        Conflict
            If one was dropped meanwhile.
        """
        query = {"_id": {"$in": list(proofs)}, "tenant": scope.tenant, "delivery": delivery, "whole": True}
        named = await self._proofs.update_many(query, {"$set": {"attached": True}}, session=session)
        if named.matched_count < len(set(proofs)):
            raise Conflict("a file of the proof was dropped meanwhile; upload it again")

    async def forget(self, file: ProofFile) -> None:
        """Drop the record of a file."""
        await self._proofs.delete_one({"_id": file.id, "tenant": file.tenant})

    async def forget_unattached(self, scope: Scope, proof: str) -> bool:
        """Drop the record of a file that no proof names, and tell whether there is none any more."""
        query = {"_id": proof, "tenant": scope.tenant}
        await self._proofs.delete_one({**query, "attached": {"$ne": True}})
        return await self._proofs.find_one(query, {"_id": 1}) is None


class ProofStore:
    """The proof files of a tenant with their content.

    Attributes
    ----------
    records
        What is known of them.
    """

    def __init__(self, database: Database, content: Content) -> None:
        self.records = ProofRepository(database)
        self._content = content

    async def store(self, file: ProofFile, data: bytes) -> ProofFile:
        """Store a file and return it, or the one that holds the same for the delivery; raises as `claim` does."""
        claimed = await self.records.claim(file)
        if claimed.whole:
            return claimed
        await self._content.put(claimed.key, data)
        return await self.records.finish(claimed)

    async def read(self, file: ProofFile, start: int, end: int) -> bytes:
        """Return the bytes in `[start, end)` of a file."""
        return await self._content.read(file.key, start, end)

    async def drop_unattached(self, scope: Scope, proof: str, key: str) -> None:
        """Drop a file that no proof names, content and all. May be called again after a crash."""
        if await self.records.forget_unattached(scope, proof):
            await self._content.delete(key)

    async def delete_of(self, scope: Scope, delivery: str) -> int:
        """Delete all files of a delivery for good, and return how many there were."""
        files = await self.records.all_of(scope, delivery)
        for file in files:
            await self._content.delete(file.key)
            await self.records.forget(file)
        return len(files)
