"""Proposals in MongoDB: each change with its event, and an accepted one with the routes that it changes."""

import datetime
from typing import Any

from models.documents.proposal import Proposal
from models.errors import NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction
from models.store.versions import replace_at

__all__ = ["ProposalRepository"]


class ProposalRepository:
    """The proposals of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._proposals: Any = database["proposals"]
        self._outbox = OutboxRepository(database)

    async def create(self, proposal: Proposal, announcement: Announcement) -> None:
        """Store a new proposal and its event."""

        async def store(session: Session) -> None:
            await self._proposals.insert_one(proposal.stored(), session=session)
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, store)

    async def get(self, scope: Scope, proposal: str) -> Proposal:
        """Return one proposal.

        Raises
        ------
        NotFound
            If the tenant has no such proposal.
        """
        found = await self._proposals.find_one({"_id": proposal, "tenant": scope.tenant})
        if found is None:
            raise NotFound("proposal", proposal)
        return Proposal.restored(found)

    async def page(self, scope: Scope, page: PageRequest, state: str | None) -> Page[Proposal]:
        """Return one page of proposals, newest first."""
        query = {"tenant": scope.tenant} | ({} if state is None else {"state": state})
        return await read_page(self._proposals, Proposal, query, page, newest_first=True)

    async def made_since(self, scope: Scope, by: str, since: datetime.datetime) -> list[Proposal]:
        """Return what somebody has asked for since a moment, newest first."""
        query = {"tenant": scope.tenant, "by": by, "createdAt": {"$gte": since}}
        found = self._proposals.find(query).sort("_id", -1)
        return [Proposal.restored(fields) async for fields in found]

    async def replace(self, session: Session, proposal: Proposal, announcement: Announcement) -> None:
        """Store a proposal one version on and its event, in a transaction.

        Raises
        ------
        VersionConflict
            If somebody was faster.
        """
        await replace_at(self._proposals, proposal, proposal.version - 1, session)
        await self._outbox.put(session, [announcement])

    async def end(self, proposal: Proposal, announcement: Announcement) -> None:
        """Store a proposal that has come to nothing; raises as `replace`."""

        async def store(session: Session) -> None:
            await self.replace(session, proposal, announcement)

        await in_transaction(self._database, store)
