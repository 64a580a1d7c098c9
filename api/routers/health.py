"""Whether this process and what it needs are well."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.live_view import JsonResponse
from api.vitals import Status, examine
from engine.telemetry import metrics
from models.documents.document import Shape

__all__ = ["metrics_router", "router"]

router = APIRouter(prefix="/health", tags=["health"])
metrics_router = APIRouter(include_in_schema=False)


class HealthReport(Shape):
    """Whether the parts are well."""

    status: Status
    parts: dict[str, dict[str, Any]]
    """Each part with its own `status`, and what it says of itself."""


@router.get("")
async def health() -> dict[str, str]:
    """Tell that this process answers."""
    return {"status": "ok"}


@router.get("/detailed", responses={status: {"model": HealthReport} for status in (200, 503)})
async def detailed_health(services: ServicesOf, _: Annotated[Principal, Depends(allowed("health.view"))]) -> Response:
    """Ask each part; 503 if one is down without which nothing can be served."""
    status, parts = await examine(services)
    return JsonResponse({"status": status, "parts": parts}, 503 if status == "down" else 200)


@metrics_router.get("/metrics")
async def prometheus_metrics() -> Response:
    """Return all metrics as Prometheus text."""
    text = await asyncio.to_thread(metrics.render)
    return Response(text, media_type="text/plain; version=0.0.4")
