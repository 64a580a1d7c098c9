"""The API of one process: routers, WebSockets, the page, and what all of them share."""

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

import api.devices
import api.ingest
from api.fast_path import FastPathMiddleware
from api.gateway import endpoint as gateway
from api.guard import GuardMiddleware
from api.ingest.stream import IngestStream
from api.lifespan import lifespan_of
from api.openapi import DescribedApi
from api.outages import OutageMiddleware
from api.problems import install_problems
from api.requests import RequestMiddleware
from api.routers import (
    analytics,
    audit,
    auth,
    closures,
    dead_letters,
    deliveries,
    delivery_files,
    depots,
    driver_app,
    drivers,
    eta_models,
    etas,
    events,
    geocode,
    geofences,
    health,
    history,
    invitations,
    jobs,
    keys,
    notifications,
    offers,
    passwords,
    privacy,
    proofs,
    proposals,
    public_tracking,
    routes,
    tenant,
    tracking,
    trips,
    users,
    vehicles,
    webhooks,
)
from api.routers.page import mount_page
from api.services import Services
from engine.settings import Settings

__all__ = ["create_app"]

PREFIX = "/api/v1"
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would record messages of exceptions, in which somebody's address may stand."""


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings
        All settings.
    services
        Parts that run already, for tests that need only some; none starts them with the application.
    """
    app = DescribedApi(
        title="Outrider",
        version=version("outrider"),
        summary="Actor-based real-time tracking for delivery fleets",
        lifespan=lifespan_of(settings) if services is None else _nothing,
        generate_unique_id_function=lambda route: route.name,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # `api.routers.page` serves one that needs no content network
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    if services is not None:
        app.state.services = services
    install_problems(app)
    _add_middleware(app, settings)
    _add_routes(app)
    return app


@contextlib.asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    # the last one added stands first: answers of the guard carry CORS headers, and all answers the common ones
    app.add_middleware(FastPathMiddleware)
    app.add_middleware(OutageMiddleware)
    app.add_middleware(
        GuardMiddleware,
        max_body_bytes=settings.ingest.max_body_bytes,
        max_upload_bytes=settings.proofs.max_bytes,
    )
    if settings.api.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.api.cors_origins), allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(RequestMiddleware)


def _add_routes(app: FastAPI) -> None:
    # a raw ASGI endpoint, first in line: without FastAPI's work per connection
    app.router.routes.append(WebSocketRoute(f"{PREFIX}/ws/ingest", IngestStream()))
    app.include_router(gateway.router)
    # FastAPI tries one route after the other, so those asked most often come first, and no router lies in another
    modules = (
        delivery_files,  # before deliveries, whose paths would take `export` for an id
        deliveries,
        etas,  # before tracking, whose paths would take `eta` for an id
        tracking,
        drivers,
        trips,
        auth,
        passwords,
        tenant,
        invitations,  # before the users, whose paths theirs look like
        users,
        vehicles,
        closures,
        depots,
        history,
        proofs,
        driver_app,
        offers,
        jobs,
        proposals,  # before the routes, whose paths would take `proposals` for an id
        routes,
        public_tracking,
        geocode,
        geofences,
        keys,
        events,
        analytics,
        eta_models,
        audit,
        privacy,
        dead_letters,
        webhooks,
        notifications,
        health,
    )
    for module in modules:
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(invitations.accepting, prefix=PREFIX)
    app.include_router(api.ingest.router)
    app.include_router(api.devices.router)
    app.include_router(health.metrics_router)
    mount_page(app)
