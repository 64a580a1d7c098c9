"""Which kinds of tasks there are, and who does them."""

from typing import Protocol

from redis.asyncio import Redis

from engine.analytics.follower import REBUILD_KIND, rebuild_kind
from engine.deliveries.proofs import CLEARING, proof_clearing
from engine.dispatch.candidates import LiveDrivers
from engine.dispatch.tasks import offer_kinds
from engine.geocoding.places import GEOCODE_TASK, geocode_kind
from engine.imports.tasks import IMPORT_TASK, import_kind
from engine.notifications.follower import MESSAGE
from engine.notifications.messenger import message_kind
from engine.privacy.erasure import ERASURE, erasure_kind
from engine.providers.circuits import SharedCircuits
from engine.routing.automatic import REPLAN, AutomaticReplanning
from engine.routing.optimize import MAX_SECONDS, OPTIMIZE, RouteOptimizer
from engine.routing.progress import bell_of
from engine.routing.proposals import ProposalCommands, Whereabouts
from engine.routing.solving import RaySolver
from engine.settings import Settings
from engine.tasks.worker import TaskKind
from engine.travel.chain import travel_of
from engine.webhooks.follower import WEBHOOK
from engine.webhooks.tasks import webhook_kind
from models.store.connections import Database

__all__ = ["Live", "task_kinds_of"]


class Live(LiveDrivers, Whereabouts, Protocol):
    """Knows where drivers are, asked either way."""


def task_kinds_of(database: Database, redis: "Redis", settings: Settings, live: Live) -> dict[str, TaskKind]:
    """Return how tasks are done, by kind; `live` knows where drivers are."""
    circuits = SharedCircuits(redis, settings.prefix)
    travel = travel_of(settings.travel, settings.traffic_file)
    optimizer = RouteOptimizer(
        database,
        settings.log.partitions,
        RaySolver(settings, redis),
        bell_of(redis, settings.prefix),
        travel,
    )
    proposals = ProposalCommands(database, settings.log.partitions, live, travel)
    return {
        GEOCODE_TASK: geocode_kind(database, settings, circuits),
        MESSAGE: message_kind(database, settings, circuits=circuits),
        IMPORT_TASK: import_kind(database, settings.log.partitions),
        ERASURE: erasure_kind(database, redis, settings),
        WEBHOOK: webhook_kind(database, settings.webhooks),
        REBUILD_KIND: rebuild_kind(database),
        CLEARING: proof_clearing(database, settings.proofs),
        OPTIMIZE: TaskKind(optimizer.handle, at_once=2, timeout_s=MAX_SECONDS + 120, on_death=optimizer.give_up),
        REPLAN: TaskKind(AutomaticReplanning(database, proposals).handle, at_once=2),
        **offer_kinds(database, settings.log.partitions, live),
    }
