"""What is held about a person: handing it out, and erasing it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import TypeAdapter

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.idempotency import IdempotencyKey, create_once
from engine.privacy.erasure import PrivacyCommands
from engine.privacy.export import PersonExport
from models.documents.document import Flag, Instant, Shape
from models.documents.privacy import Person, PersonKind, PrivacyRequest
from models.errors import NotFound
from models.store.privacy import PrivacyRepository

__all__ = ["router"]

router = APIRouter(prefix="/privacy", tags=["privacy"])
Admin = Annotated[Principal, Depends(allowed("privacy.manage"))]

_json: TypeAdapter[Any] = TypeAdapter(Any)


class ErasureOrder(Person):
    """Whose data is to be erased; exactly one of `phone`, `email`, `driverId` and `userId`."""

    force: Flag = False
    """Also where a delivery that is open still needs it."""
    positions: Flag = False
    """Of a driver: delete also where it was."""


class ErasureView(Shape):
    """How far an erasure has come. It does not say whose data it is."""

    id: str
    state: Literal["running", "done", "failed"]
    """`failed`: given up after several attempts; a replay of its dead letter goes on."""
    person: PersonKind
    """How the person was named."""
    forced: bool
    positions: bool
    deliveries: int
    """Deliveries that were erased."""
    created_at: Instant
    ended_at: Instant | None


@router.post(
    "/exports",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def export_person(services: ServicesOf, principal: Admin, body: Person) -> StreamingResponse:
    """Return everything that is held about a person; that it was asked for is in the audit log."""
    await PrivacyCommands(services.database).note_export(principal.scope, body)
    export = PersonExport(services.database, principal.scope, body)
    return StreamingResponse(_written(export), media_type="application/json")


@router.post("/erasures", status_code=201, response_model=ErasureView)
async def erase_person(
    request: Request,
    services: ServicesOf,
    principal: Admin,
    body: ErasureOrder,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Begin to erase what is held about a person.

    Names, numbers, addresses, notes and proofs go from deliveries, the audit log and events; figures stay. A delivery
    that is open needs its data: then the answer is 409, unless `force` is set. Asking again does no harm.
    """
    person = Person.model_validate(body.model_dump(include=set(Person.model_fields)))

    async def create() -> ErasureView:
        commands = PrivacyCommands(services.database)
        return _view(await commands.erase(principal.scope, person, force=body.force, positions=body.positions))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("/erasures/{erasure_id}")
async def get_erasure(services: ServicesOf, principal: Admin, erasure_id: str) -> ErasureView:
    """Return how far an erasure has come."""
    found = await PrivacyRepository(services.database).request(principal.scope, erasure_id)
    if found.kind != "erasure":
        raise NotFound("erasure", erasure_id)
    return _view(found)


async def _written(export: PersonExport) -> AsyncIterator[bytes]:
    """Yield one JSON object with a list a section, as the pieces come in."""
    open_section = None
    yield b"{"
    async for section, piece in export.pieces():
        if section == open_section:
            yield b","
        else:
            yield b"%s%s:[" % (b"" if open_section is None else b"],", _json.dump_json(section))
            open_section = section
        yield _json.dump_json(piece, by_alias=True)
    yield b"}" if open_section is None else b"]}"


def _view(request: PrivacyRequest) -> ErasureView:
    return ErasureView(**{name: getattr(request, name) for name in ErasureView.model_fields})
