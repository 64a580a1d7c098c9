"""Whether this process and what it needs are well."""

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.live_view import JsonResponse
from engine.telemetry import metrics
from models.documents.document import Shape
from models.errors import OutriderError

__all__ = ["metrics_router", "router"]

router = APIRouter(prefix="/health", tags=["health"])
metrics_router = APIRouter(include_in_schema=False)

_PATIENCE_S = 2.0


class HealthReport(Shape):
    """Whether the parts are well."""

    status: Literal["ok", "degraded"]
    parts: dict[str, dict[str, Any]]
    """Each part with its own `status`, and what it says of itself."""


@router.get("")
async def health() -> dict[str, str]:
    """Tell that this process answers."""
    return {"status": "ok"}


@router.get("/detailed", responses={status: {"model": HealthReport} for status in (200, 503)})
async def detailed_health(services: ServicesOf, _: Annotated[Principal, Depends(allowed("health.view"))]) -> Response:
    """Ask each part; 503 if one is not well."""
    parts = {
        "mongo": services.database.command("ping"),
        "redis": services.redis.ping(),
        "shards": services.engine.shard_statuses(),
    }
    answers = await asyncio.gather(*(_ask(part) for part in parts.values()))
    found = dict(zip(parts, answers, strict=True))
    well = all(part["status"] == "ok" for part in found.values())
    found["shards"].setdefault("shards", found["shards"].pop("answer", None))
    for part in ("mongo", "redis"):
        found[part].pop("answer", None)
    return JsonResponse({"status": "ok" if well else "degraded", "parts": found}, 200 if well else 503)


@metrics_router.get("/metrics")
async def prometheus_metrics() -> Response:
    """Return all metrics as Prometheus text."""
    text = await asyncio.to_thread(metrics.render)
    return Response(text, media_type="text/plain; version=0.0.4")


async def _ask(question: Any) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            answer = await question
    except (PyMongoError, RedisError, OutriderError, OSError, TimeoutError) as fault:
        return {"status": "down", "error": type(fault).__name__}
    return {"status": "ok", "ms": round((time.monotonic() - begun) * 1000, 1), "answer": answer}
