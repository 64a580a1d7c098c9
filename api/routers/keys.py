"""API keys of devices, gateways and a company's own systems."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field, model_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.auth.rights import RIGHTS, SCOPES
from api.auth.tokens import new_key
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.keys.commands import KeyCommands
from models.documents.document import Instant, Line, Shape
from models.documents.key import ApiKey, KeyKind, KeyScope
from models.store.keys import KeyRepository

__all__ = ["router"]

router = APIRouter(prefix="/keys", tags=["keys"])
Admin = Annotated[Principal, Depends(allowed("keys.manage"))]


class NewKey(Shape):
    """A key to be made."""

    kind: KeyKind
    name: Line = "key"
    driver_id: str | None = None
    """The driver of a `device` key."""
    scopes: list[KeyScope] = Field([], max_length=len(SCOPES))
    """What the key may do; an integration needs some, of the other kinds none is everything that the kind may do."""
    expires_at: Instant | None = None
    """When the key stops working; none never."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for scope in self.scopes:
            if not any(self.kind in RIGHTS[right] for right in SCOPES[scope]):
                raise ValueError(f"a {self.kind} key can't have the scope {scope}")
        return self


class KeyView(Shape):
    """A key without its secret."""

    id: str
    kind: KeyKind
    name: str
    driver_id: str | None
    scopes: tuple[KeyScope, ...]
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    """To the minute."""


class KeyWithSecret(KeyView):
    """A new key; the token can't be seen again."""

    key: str


@router.post("", status_code=201, response_model=KeyWithSecret)
async def create_key(
    request: Request, services: ServicesOf, principal: Admin, body: NewKey, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key. The answer alone holds its secret."""

    async def create() -> KeyWithSecret:
        key, token = new_key(principal.tenant, body.kind, body.name, body.driver_id, body.scopes, body.expires_at)
        await _commands(services).create(principal.scope, key)
        return KeyWithSecret(**dict(_view(key)), key=token)

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[KeyView])
async def list_keys(services: ServicesOf, principal: Admin, page: Paging) -> dict[str, Any]:
    """Return the tenant's keys, newest first."""
    return page_of(await KeyRepository(services.database).page(principal.scope, page), _view)


@router.delete("/{key_id}", status_code=204)
async def delete_key(services: ServicesOf, principal: Admin, key_id: str) -> None:
    """Delete a key; the next request with it is refused, whichever process takes it."""
    await _commands(services).delete(principal.scope, key_id)
    await services.authenticator.forget(key_id)


def _commands(services: Services) -> KeyCommands:
    return KeyCommands(services.database, services.settings.log.partitions)


def _view(key: ApiKey) -> KeyView:
    shown = {"id", "kind", "name", "scopes", "created_at", "expires_at", "last_used_at"}
    return KeyView(**key.model_dump(include=shown), driver_id=key.driver)
