"""The models of a shard follow the registry: a new one is read beside the old, then put in its place at once.

An estimate takes the models once, when it begins, so no ping waits and none is estimated by two.
"""

import asyncio
import contextlib
import time

import structlog

from engine.eta.bundles import load_predictor, load_table
from engine.eta.corrections import Corrections
from engine.eta.estimator import Estimator, Models
from engine.eta.predictor import COLD_START, ColdStart, Predictor
from engine.telemetry.metrics import ETA_MODEL, ETA_SWAPS
from models.errors import OutriderError
from models.eta.registry import Registry, Standing

__all__ = ["ModelWatch"]

log = structlog.get_logger(__name__)

_LOOK_S = 0.25  # a promotion serves within a second


class ModelWatch:
    """Keeps an estimator's models those of a registry."""

    def __init__(self, registry: Registry, estimator: Estimator) -> None:
        self._registry, self._estimator = registry, estimator
        self._loaded: dict[str, Predictor] = {}
        self._tables: dict[str, Predictor] = {}

    async def run(self) -> None:
        """Follow the registry for ever."""
        mark = (-1, -1)
        while True:
            if (now := self._registry.mark()) != mark:
                await self.follow()
                mark = now
            await asyncio.sleep(_LOOK_S)

    async def follow(self) -> None:
        """Take over what the registry says now; what can't be read is left out, and the one before goes on."""
        began = time.monotonic()
        try:
            standing = await asyncio.to_thread(self._registry.standing)
        except (OutriderError, OSError) as fault:
            ETA_SWAPS.labels("refused").inc()
            log.error("models.refused", error=str(fault))  # noqa: TRY400  # the line says it
            return
        for name in standing.named:
            await self._load(name)
        async with self._estimator.busy:
            self._swap(standing)
        names = self._estimator.models.versions
        log.info("models.swapped", models=names, duration_ms=round((time.monotonic() - began) * 1000))

    async def _load(self, name: str) -> None:
        if name in self._loaded:
            return
        try:
            self._loaded[name] = await asyncio.to_thread(lambda: load_predictor(name, self._registry.folder_of(name)))
        except (OutriderError, OSError) as fault:
            ETA_SWAPS.labels("refused").inc()
            log.error("model.refused", model=name, error=str(fault))  # noqa: TRY400  # the line says it
            await self._load_table(name)

    async def _load_table(self, name: str) -> None:
        """Keep the table of a damaged model, in case there is nothing better."""
        with contextlib.suppress(OutriderError, OSError, ValueError, KeyError):
            self._tables[name] = await asyncio.to_thread(lambda: load_table(name, self._registry.folder_of(name)))

    def _swap(self, standing: Standing) -> None:
        before = self._estimator.models
        champion: Predictor | None = ColdStart()
        if standing.champion is not None:
            champion = self._loaded.get(standing.champion) or self._instead(standing.champion, before.champion)
        models = Models(
            champion=champion or before.champion,
            candidate=self._loaded.get(standing.candidate or ""),
            own={tenant: self._loaded[name] for tenant, name in standing.tenants.items() if name in self._loaded},
        )
        for one in (models.champion, models.candidate, *models.own.values()):
            if one is not None:
                begin(self._estimator.corrections, one)
                self._estimator.paces.begin(one)
        self._estimator.models = models
        self._estimator.corrections.keep_only(models.versions)
        self._estimator.paces.keep_only(models.versions)
        self._loaded = {name: one for name, one in self._loaded.items() if name in models.versions}
        ETA_SWAPS.labels("done").inc()
        for name in {*before.versions, *models.versions}:
            ETA_MODEL.labels(name).set(name in models.versions)

    def _instead(self, name: str, before: Predictor) -> Predictor | None:
        """Return the table of a damaged champion where no model served before; what did is better than that."""
        return self._tables.get(name) if before.version == COLD_START else None


def begin(corrections: Corrections, model: Predictor) -> None:
    """Prepare the corrections of a model, with the scores that its training left."""
    bundle = getattr(model, "bundle", None)
    corrections.begin(model.version, None if bundle is None else bundle.scores)
