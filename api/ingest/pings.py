"""`POST /api/v1/pings`: batches over plain HTTP, and the way in for everything else that is not a stream."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.ingest.admit import Admission, Admitted
from api.ingest.bodies import read_body
from api.ingest.decode import Decoder, Message
from api.ingest.roster import Roster
from api.services import Services
from engine.log.append import PARTITION
from engine.log.watermark import Commit
from engine.telemetry.metrics import PINGS
from models.documents.document import Shape
from models.errors import Malformed, UnsupportedContent
from models.messages.fixes import FIX, Source

__all__ = ["accept", "count_pings", "router"]

router = APIRouter(tags=["ingest"])

_DURABLE_WITHIN_S = 20.0  # longer than a chunk of history is open
_MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")


class RefusedPing(Shape):
    """A ping that was not taken."""

    index: int
    """Its place in the batch."""
    reason: str
    """Such as `wrong-type` or `too-new`."""
    field: str | None = None


class PingsTaken(Shape):
    """What became of a batch."""

    accepted: int
    refused: Sequence[RefusedPing]
    durable: bool
    """Whether history holds all of it, if that was asked for."""


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSON or msgpack; `Content-Encoding` may be gzip or zstd",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["pings"],
                    "properties": {
                        "pings": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["time", "latitude", "longitude"],
                                "properties": {
                                    "driverId": {"type": "string"},
                                    "time": {"description": "epoch milliseconds or RFC 3339"},
                                    **{
                                        name: {"type": "number"}
                                        for name in ("latitude", "longitude", "speed", "heading", "accuracy")
                                    },
                                    "altitude": {"type": "number"},
                                    "battery": {"type": "number", "description": "percent"},
                                    "sequence": {"type": "integer"},
                                    "deviceTime": {"description": "epoch milliseconds or RFC 3339"},
                                },
                            },
                        }
                    },
                },
                "example": {
                    "pings": [
                        {
                            "driverId": "van-7",
                            "time": "2026-03-02T09:14:07Z",
                            "latitude": 41.1496,
                            "longitude": -8.6109,
                            "speed": 8.3,
                            "accuracy": 6,
                            "sequence": 4711,
                        }
                    ]
                },
            },
            "application/msgpack": {},
        },
    }
}


@router.post("/api/v1/pings", openapi_extra=_BODY, response_model=None, responses={200: {"model": PingsTaken}})
async def post_pings(
    request: Request,
    services: ServicesOf,
    principal: Annotated[Principal, Depends(allowed("positions.send"))],
    ack: Annotated[str | None, Query(pattern="^(accepted|durable)$")] = None,
) -> dict[str, Any]:
    """Take a batch of pings; bad ones are refused by index, the rest goes on.

    The answer comes when the ingest log holds them; with `ack=durable` it waits, for some seconds at most, until
    history does, and `durable` says whether that was so.
    """
    services.appender.check()
    settings = services.settings.ingest
    body = await read_body(request, settings.max_body_bytes)
    message = _decode(body, request.headers.get("content-type", ""), settings.max_pings_per_batch)
    commit, admitted = await accept(services, principal, message, Source.HTTP)
    durable = False
    if ack == "durable":
        durable = commit is None or await services.appender.watermark.durable(commit, _DURABLE_WITHIN_S)
    return {
        "accepted": admitted.count,
        "refused": [refusal.to_wire() for refusal in admitted.refused],
        "durable": durable,
    }


async def accept(
    services: Services, principal: Principal, message: Message, source: Source
) -> tuple[Commit | None, Admitted]:
    """Check a message, put what is good on the log and return both when it is accepted.

    Returns
    -------
    tuple
        The commit, or None if nothing was good; what was taken and what refused.

    Raises
    ------
    EngineSaturated, StoreUnavailable
        If nothing was accepted.
    """
    settings = services.settings.ingest
    roster = Roster(services.registry, principal)
    admission = Admission(roster, settings.max_pings_per_batch, int(settings.max_future_s * 1000))
    if unknown := admission.drivers_of(message):
        await roster.learn(unknown)
    admitted = admission.admit(message, source)
    commit = None
    if admitted.count:
        commit = await services.appender.append(
            np.frombuffer(admitted.fixes, FIX), np.frombuffer(admitted.partitions, PARTITION)
        )
    count_pings(principal.tenant, admitted.count, len(admitted.refused))
    return commit, admitted


def count_pings(tenant: str, accepted: int, refused: int) -> None:
    """Count pings at the door."""
    if accepted:
        PINGS.labels(tenant, "accepted").inc(accepted)
    if refused:
        PINGS.labels(tenant, "refused").inc(refused)


def _decode(body: bytes, content_type: str, max_pings: int) -> Message:
    kind = content_type.partition(";")[0].strip().lower()
    decoder = Decoder(max_pings)
    if kind in _MSGPACK:
        message = decoder.msgpack(body)
    elif kind in ("", "application/json") or kind.endswith("+json"):
        message = decoder.json(body)
    else:
        known = "application/json or application/msgpack"
        raise UnsupportedContent(f"a body here is {known}", [("Content-Type", known)])
    if message.rows is None and message.packed is None:
        raise Malformed("the body has no pings", [("pings", "missing")])
    return message
