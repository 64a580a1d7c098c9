"""Changes of tenants: stored with their event in one transaction; all shards read the tenant's settings again."""

from collections.abc import Mapping
from typing import Any

from models.documents.document import now
from models.documents.event import Event
from models.documents.tenant import Tenant
from models.errors import check_version
from models.ids import new_id
from models.messages.commands import TenantChanged
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.outbox import EVERYWHERE, Announcement, Routed
from models.store.scope import Scope

__all__ = ["TenantCommands"]


class TenantCommands:
    """What can be done to a tenant that exists."""

    def __init__(self, database: Database) -> None:
        self._accounts = AccountRepository(database)

    async def change(
        self, scope: Scope, changes: Mapping[str, Any], settings: Mapping[str, Any], version: int | None
    ) -> Tenant:
        """Change fields and settings of the scope's tenant.

        Parameters
        ----------
        changes, settings
            New values by field name; those left out stay.
        version
            The version that the caller has seen, if it matters.

        Raises
        ------
        NotFound
            If the tenant is gone.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._accounts.tenant(scope)
        check_version(before.id, version, before.version)
        after = before.model_copy(
            update={
                **changes,
                "settings": before.settings.model_copy(update=dict(settings)),
                "version": before.version + 1,
            }
        )
        await self._accounts.replace_tenant(after, before.version, _announced(scope, before, after))
        return after


def _announced(scope: Scope, before: Tenant, tenant: Tenant) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=tenant.id,
        time=now(),
        type="tenant.changed",
        aggregate=tenant.id,
        sequence=tenant.version,
        actor=scope.actor,
        data={"name": tenant.name, "settings": tenant.settings.model_dump(by_alias=True), "version": tenant.version},
    )
    message = TenantChanged(event=event.id, tenant=tenant.id)
    return Announcement(event, (Routed(EVERYWHERE, message),), before, tenant)
