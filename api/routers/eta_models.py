"""Models of travel times, what-if questions to them, and how well they do."""

import asyncio
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.eta_accuracy import EtaAccuracy, LegAccuracy, accuracy_of, leg_accuracy
from engine.eta.bases import PROFILES
from engine.eta.plan import PRIORITIES
from models.documents.delivery import Position
from models.documents.delivery import Priority as PriorityName
from models.documents.document import Departure, Instant, Shape, now
from models.errors import StoreUnavailable
from models.eta.registry import EVERYBODY, Registry, Standing
from models.store.etas import EtaRepository

__all__ = ["router"]

router = APIRouter(tags=["tracking"])
Watcher = Annotated[Principal, Depends(allowed("positions.view"))]
Viewer = Annotated[Principal, Depends(allowed("models.view"))]
Manager = Annotated[Principal, Depends(allowed("models.manage"))]
Days = Annotated[int, Query(ge=1, le=180, description="How many days back, today included")]

_MOST_LEGS = 500
_SHOWN = ("base", "rows", "metrics", "created", "code", "data")


class WhatIfLeg(Shape):
    """A way that nobody drives yet."""

    origin: Position = Field(alias="from")
    destination: Position = Field(alias="to")
    departure: Departure | None = None
    """When it begins; now unless given."""
    vehicle: Literal["car", "van", "truck", "bike"] = "van"
    weight_kg: float = Field(0.0, ge=0, le=100_000)
    priority: PriorityName = "normal"
    stops_left: int = Field(1, ge=1, le=1000)


class WhatIf(Shape):
    """Ways to be estimated."""

    legs: Sequence[WhatIfLeg] = Field(min_length=1, max_length=_MOST_LEGS)


class WhatIfTime(Shape):
    """How long a way takes, seconds: in one of ten cases less than `p10S`, in one of ten more than `p90S`."""

    p10_s: float
    p50_s: float
    p90_s: float
    distance_m: float
    """By the road network, else the great circle with a detour."""
    base: Literal["roads", "great_circle"]
    """Which of both."""
    arrival: Instant
    """After `p50S`."""


class WhatIfAnswer(Shape):
    """The times of the ways, in their order."""

    legs: Sequence[WhatIfTime]
    model: str
    confidence: Literal["low", "medium", "high"]


class ModelView(Shape):
    """A bundle of the registry."""

    name: str
    serves: Literal["you", "everybody", "beside", "nobody"]
    """`you`: chosen by your company; `everybody`: who has not chosen; `beside`: predicts and is compared."""
    about: Mapping[str, Any]
    """What its training says of it."""


class ModelDecision(Shape):
    """What was decided when."""

    at: Instant
    reason: str
    action: Literal["promote", "roll_back"]
    model: str | None
    before: str | None


class ModelsView(Shape):
    """The registry as a company sees it."""

    serving: str
    """Who answers your company; `cold-start` is base times alone."""
    items: Sequence[ModelView]
    log: Sequence[ModelDecision]
    """Decisions about your company's model and everybody's, newest first."""


class ModelAccuracy(LegAccuracy):
    """How well a model does on your company's legs, whether it serves or predicts beside."""

    days: int


@router.post("/eta/predict")
async def predict_eta(services: ServicesOf, principal: Watcher, body: WhatIf) -> WhatIfAnswer:
    """Return how long ways would take, as live estimates and plans see them."""
    departures = [leg.departure or now() for leg in body.legs]
    found = None
    for shard in range(services.settings.shards.count):
        found = await services.engine.shards.ask(shard, "what_if", principal.tenant, _columns(body.legs, departures))
        if found is not None:
            break
    if found is None:
        raise StoreUnavailable("no shard answers at the moment", 1.0)
    times = [
        WhatIfTime(
            p10_s=round(p10, 1),
            p50_s=round(p50, 1),
            p90_s=round(p90, 1),
            distance_m=round(metres),
            base=base,
            arrival=departure + datetime.timedelta(seconds=p50),
        )
        for (p10, p50, p90), metres, base, departure in zip(
            found["seconds"], found["metres"], found["bases"], departures, strict=True
        )
    ]
    return WhatIfAnswer(legs=times, model=found["model"], confidence=found["confidence"])


@router.get("/eta/accuracy")
async def get_eta_accuracy(services: ServicesOf, principal: Viewer, days: Days = 7) -> EtaAccuracy:
    """Return how well promises, ranges and warnings have held, by day, by time ahead and by model."""
    until = now()
    since = until - datetime.timedelta(days=days)
    found = await EtaRepository(services.database).accuracy(principal.scope, since, until)
    return accuracy_of(found)


@router.get("/eta/models")
async def list_eta_models(services: ServicesOf, principal: Viewer) -> ModelsView:
    """Return the models that there are, who serves, and what was decided."""
    return await asyncio.to_thread(_models, Registry(services.settings.models), principal.tenant)


@router.get("/eta/models/{model_name}/metrics")
async def get_eta_model_metrics(
    services: ServicesOf, principal: Viewer, model_name: str, days: Days = 7
) -> ModelAccuracy:
    """Return how well a model has done on your company's legs."""
    await asyncio.to_thread(Registry(services.settings.models).folder_of, model_name)
    until = now()
    found = await EtaRepository(services.database).accuracy(
        principal.scope, until - datetime.timedelta(days=days), until
    )
    [mine] = [one for one in found["models"] if one["_id"] == model_name] or [{"_id": model_name}]
    return ModelAccuracy(**dict(leg_accuracy(mine)), days=days)


@router.post("/eta/models/{model_name}/promote")
async def promote_eta_model(services: ServicesOf, principal: Manager, model_name: str) -> ModelsView:
    """Let a model answer your company from now on; all shards follow within a second, and no ping waits."""
    registry = Registry(services.settings.models)
    await asyncio.to_thread(registry.promote, model_name, f"asked for by {principal.subject}", principal.tenant)
    return await asyncio.to_thread(_models, registry, principal.tenant)


@router.post("/eta/models/rollback")
async def roll_back_eta_model(services: ServicesOf, principal: Manager) -> ModelsView:
    """Take your company's last promotion back; before the first, the model of everybody answers again."""
    registry = Registry(services.settings.models)
    await asyncio.to_thread(registry.roll_back, f"asked for by {principal.subject}", principal.tenant)
    return await asyncio.to_thread(_models, registry, principal.tenant)


def _columns(legs: Sequence[WhatIfLeg], departures: Sequence[datetime.datetime]) -> dict[str, list[float] | list[int]]:
    return {
        "moment_ms": [round(departure.timestamp() * 1000) for departure in departures],
        "from_lat": [leg.origin.latitude for leg in legs],
        "from_lon": [leg.origin.longitude for leg in legs],
        "to_lat": [leg.destination.latitude for leg in legs],
        "to_lon": [leg.destination.longitude for leg in legs],
        "profile": [PROFILES.index(leg.vehicle) for leg in legs],
        "weight_kg": [leg.weight_kg for leg in legs],
        "priority": [float(max(0, PRIORITIES.index(leg.priority) - 1)) for leg in legs],
        "stops_left": [float(leg.stops_left) for leg in legs],
        "elapsed_s": [0.0] * len(legs),
    }


def _models(registry: Registry, tenant: str) -> ModelsView:
    standing = registry.standing()
    decisions = [one for one in reversed(standing.history) if one.tenant in (EVERYBODY, tenant)]
    return ModelsView(
        serving=standing.tenants.get(tenant) or standing.champion or "cold-start",
        items=[
            ModelView(name=name, serves=_serves(standing, name, tenant), about=_about(registry, name))
            for name in registry.names()
        ],
        log=[
            ModelDecision(
                at=one.at,
                reason=one.reason,
                action=one.action,
                model=one.version,
                before=one.replaced,
            )
            for one in decisions
        ],
    )


def _serves(standing: Standing, name: str, tenant: str) -> Literal["you", "everybody", "beside", "nobody"]:
    if standing.tenants.get(tenant) == name:
        return "you"
    if standing.champion == name:
        return "everybody"
    return "beside" if standing.candidate == name else "nobody"


def _about(registry: Registry, name: str) -> dict[str, Any]:
    """Return what a bundle's manifest says of its training; nothing where it is damaged."""
    try:
        metadata = json.loads((registry.folder_of(name) / "manifest.json").read_text())["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {key: metadata[key] for key in _SHOWN if key in metadata}
