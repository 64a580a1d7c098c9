"""How an import is finished whose process died: by a task that was stored with it."""

from engine.imports.commands import IMPORT_TASK, DeliveryImports
from engine.tasks.worker import TaskKind
from models.store.connections import Database

__all__ = ["IMPORT_TASK", "import_kind"]

_DELAYS_S = (10.0, 60.0, 600.0)
_TIMEOUT_S = 120.0  # twice what the largest file takes


def import_kind(database: Database, partitions: int) -> TaskKind:
    """Return how imports are finished."""
    return TaskKind(DeliveryImports(database, partitions).resume, delays_s=_DELAYS_S, timeout_s=_TIMEOUT_S)
