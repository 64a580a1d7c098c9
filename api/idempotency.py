"""`Idempotency-Key`: a repeated POST that creates gets the first answer instead of creating twice.

Same key and body: the first answer. Another body: 422. The first still running: 409.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from api.auth.principal import Principal
from models.store.answers import AnswerRepository
from models.store.connections import Database

__all__ = ["IdempotencyKey", "create_once"]

IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, description="Repeat with the same key to retry safely")
]

_json: TypeAdapter[Any] = TypeAdapter(Any)


async def create_once(
    request: Request,
    database: Database,
    principal: Principal,
    key: str | None,
    create: Callable[[], Awaitable[Any]],
    status: int = 201,
) -> Response:
    """Return the answer of `create`, run at most once for this caller, path and key.

    Raises
    ------
    IdempotencyMismatch
        If the key was used with another body.
    Conflict
        If the first request with this key is still running.
    """
    if key is None:
        return _created(_json.dump_json(await create(), by_alias=True), status)
    answers = AnswerRepository(database)
    identifier = _digest(principal.tenant, principal.subject, request.url.path, key)
    # keyed, because a body may hold a password that could be guessed
    fingerprints = request.app.state.services.authenticator.fingerprints(await request.body())
    first = await answers.claim(principal.scope, identifier, fingerprints)
    if first is not None:
        return _created(first, status)
    try:
        body = _json.dump_json(await create(), by_alias=True)
    except BaseException:
        await answers.release(identifier)
        raise
    await answers.keep(principal.scope, identifier, body)
    return _created(body, status)


def _created(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
