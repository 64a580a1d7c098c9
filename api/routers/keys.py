"""API keys of devices and gateways."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.auth.tokens import new_key
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from models.documents.document import Instant, Line, Shape
from models.documents.key import ApiKey, KeyKind
from models.errors import InvalidInput
from models.store.accounts import KeyRepository
from models.store.drivers import DriverRepository

__all__ = ["router"]

router = APIRouter(prefix="/keys", tags=["keys"])
Admin = Annotated[Principal, Depends(allowed("keys.manage"))]


class NewKey(Shape):
    """A key to be made."""

    kind: KeyKind
    name: Line = "key"
    driver_id: str | None = None
    """The driver of a `device` key."""


class KeyView(Shape):
    """A key without its secret."""

    id: str
    kind: KeyKind
    name: str
    driver_id: str | None
    created_at: Instant


class KeyWithSecret(KeyView):
    """A new key; the token can't be seen again."""

    key: str


@router.post("", status_code=201, response_model=KeyWithSecret)
async def create_key(
    request: Request, services: ServicesOf, principal: Admin, body: NewKey, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key. The answer alone holds its secret."""

    async def create() -> KeyWithSecret:
        if (body.kind == "device") != (body.driver_id is not None):
            raise InvalidInput("driverId belongs to a device key, and it needs one", [("driverId", "see kind")])
        if body.driver_id is not None:
            await DriverRepository(services.database, services.settings.log.partitions).get(
                principal.scope, body.driver_id
            )
        key, token = new_key(principal.tenant, body.kind, body.name, body.driver_id)
        await KeyRepository(services.database).create(key)
        return KeyWithSecret(**dict(_view(key)), key=token)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[KeyView])
async def list_keys(services: ServicesOf, principal: Admin, page: Paging) -> dict[str, Any]:
    """Return the tenant's keys, newest first."""
    return page_of(await KeyRepository(services.database).page(principal.scope, page), _view)


@router.delete("/{key_id}", status_code=204)
async def delete_key(services: ServicesOf, principal: Admin, key_id: str) -> None:
    """Delete a key; other processes stop taking it within ten seconds."""
    await KeyRepository(services.database).delete(principal.scope, key_id)
    services.authenticator.forget(key_id)


def _view(key: ApiKey) -> KeyView:
    return KeyView(id=key.id, kind=key.kind, name=key.name, driver_id=key.driver, created_at=key.created_at)
