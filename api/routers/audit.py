"""The audit log: who changed what, when, and how it was before."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.paging import PageOf, Paging, page_of
from models.documents.audit import AuditEntry, FieldChange
from models.documents.document import Instant, Shape
from models.store.audit import AuditFilter, AuditRepository

__all__ = ["router"]

router = APIRouter(prefix="/audit", tags=["audit"])
Text = Annotated[str | None, Query(max_length=80)]


class AuditView(Shape):
    """One change of one thing."""

    id: str
    at: Instant
    actor: str
    """User, key or `engine`."""
    action: str
    """Such as `delivery.assigned`."""
    entity: str
    """Id of what changed."""
    event: str
    """Id of the event that tells of it."""
    changes: Sequence[FieldChange]


@router.get("", response_model=PageOf[AuditView])
async def list_audit(
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("audit.view"))],
    page: Paging,
    entity: Text = None,
    actor: Text = None,
    action: Text = None,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not included")] = None,
) -> dict[str, Any]:
    """Return changes, newest first."""
    wanted = AuditFilter(entity, actor, action, since, until)
    return page_of(await AuditRepository(services.database).page(principal.scope, page, wanted), _view)


def _view(entry: AuditEntry) -> AuditView:
    return AuditView(**{name: getattr(entry, name) for name in AuditView.model_fields})
