"""Proof of delivery: photos and signatures, and what names them."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.datastructures import UploadFile

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.problems import MEDIA_TYPE
from api.ranges import wanted_range
from api.routers.deliveries import DeliveryView, ProofBody, view_of, visible_delivery
from api.services import Services
from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.proofs import proofs_of, upload
from models.documents.delivery import Position
from models.documents.document import Instant, Shape
from models.documents.proof import PictureType, ProofFile, ProofKind
from models.errors import InvalidInput, NotFound
from models.store.proofs import ProofRepository

__all__ = ["router"]

router = APIRouter(tags=["proof of delivery"])
Watcher = Annotated[Principal, Depends(allowed("deliveries.view"))]
Carrier = Annotated[Principal, Depends(allowed("deliveries.move"))]
_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture itself, or a form whose `file` it is",
        "content": {
            "image/jpeg": _PICTURE,
            "image/png": _PICTURE,
            "image/webp": _PICTURE,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"content": dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _PICTURE)},
    206: {"description": "The bytes that `Range` wants"},
    304: {"description": "The caller has it"},
    416: {
        "description": "Nothing of that range is there",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}


class ProofFileView(Shape):
    """An uploaded file."""

    id: str
    kind: ProofKind
    content_type: PictureType
    size: int
    """Bytes."""
    sha256: str
    """Of the content, hexadecimal."""
    created_at: Instant


class ProofView(Shape):
    """What shows that a delivery was handed over."""

    delivery_id: str
    photos: Sequence[ProofFileView]
    signature: ProofFileView | None
    recipient: str | None
    note: str | None
    location: Position | None
    at: Instant


class NewProof(ProofBody):
    """A proof, or a better one; it takes the place of the one before."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


@router.post("/deliveries/{delivery_id}/proofs", status_code=201, response_model=ProofFileView, openapi_extra=_BODY)
async def upload_proof(
    request: Request,
    services: ServicesOf,
    principal: Carrier,
    delivery_id: str,
    kind: Annotated[ProofKind, Query()] = "photo",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Upload a JPEG, PNG or WebP of at most 10 MB; the same bytes again give the same file.

    It counts once the delivery's proof names it; what no proof names within a day is dropped.
    """
    await visible_delivery(services, principal, delivery_id)
    data = await _file(request)

    async def create() -> ProofFileView:
        settings = services.settings.proofs
        return _shown(await upload(services.database, settings, principal.scope, delivery_id, kind, data))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("/deliveries/{delivery_id}/proof")
async def get_proof(services: ServicesOf, principal: Watcher, delivery_id: str) -> ProofView:
    """Return a delivery's proof with its files, whose content is at `/proofs/{id}/content`."""
    delivery = await visible_delivery(services, principal, delivery_id)
    if delivery.proof is None:
        raise NotFound("proof of delivery", delivery_id)
    files = await ProofRepository(services.database).of(principal.scope, delivery_id)
    proof, signature = delivery.proof, files.get(delivery.proof.signature or "")
    return ProofView(
        delivery_id=delivery_id,
        photos=[_shown(files[photo]) for photo in proof.photos if photo in files],
        signature=_shown(signature) if signature else None,
        recipient=proof.recipient,
        note=proof.note,
        location=proof.location,
        at=proof.at,
    )


@router.put("/deliveries/{delivery_id}/proof")
async def set_proof(
    response: Response,
    services: ServicesOf,
    principal: Carrier,
    delivery_id: str,
    body: NewProof,
    if_match: IfMatch = None,
) -> DeliveryView:
    """Give a delivery its proof, before or after it is delivered; `PATCH …/status` takes one as well."""
    await visible_delivery(services, principal, delivery_id)
    commands = DeliveryCommands(services.database, services.settings.log.partitions)
    version = seen_version(if_match, body.version)
    delivery = await commands.prove(principal.scope, delivery_id, body.to_proof(), version)
    tag(response, delivery.version)
    return view_of(delivery)


@router.get("/proofs/{proof_id}/content", response_class=Response, responses=_CONTENT)
async def get_proof_content(
    services: ServicesOf,
    principal: Watcher,
    proof_id: str,
    wanted: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """Return a photo or a signature, or a part of it."""
    file = await _visible(services, principal, proof_id)
    entity = f'"{file.digest}"'
    headers = {
        "ETag": entity,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Disposition": f'inline; filename="{file.id}.{file.content_type.removeprefix("image/")}"',
    }
    if if_none_match is not None and (if_none_match.strip() == "*" or entity in if_none_match):
        return Response(None, 304, headers)
    part = None if if_range not in (None, entity) else wanted_range(wanted, file.size)
    start, end = part or (0, file.size)
    data = await proofs_of(services.database, services.settings.proofs).read(file, start, end)
    if part is None:
        return Response(data, 200, headers, file.content_type)
    return Response(data, 206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{file.size}"}, file.content_type)


async def _visible(services: Services, principal: Principal, proof: str) -> ProofFile:
    file = await ProofRepository(services.database).get(principal.scope, proof)
    try:
        await visible_delivery(services, principal, file.delivery)
    except NotFound as fault:
        raise NotFound("proof", proof) from fault  # the delivery is not the caller's business
    return file


async def _file(request: Request) -> bytes:
    body = await request.body()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body
    async with request.form(max_files=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput("the form has no file", [("file", "missing")])
        return await file.read()


def _shown(file: ProofFile) -> ProofFileView:
    return ProofFileView(
        id=file.id,
        kind=file.kind,
        content_type=file.content_type,
        size=file.size,
        sha256=file.digest,
        created_at=file.created_at,
    )
