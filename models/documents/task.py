"""A task: something to be done once, now or later, that survives every crash."""

from typing import Any, Literal

from pydantic import Field

from models.documents.document import Document, Instant, now

__all__ = ["Task", "TaskState"]

TaskState = Literal["waiting", "done", "dead"]


class Task(Document):
    """A task as MongoDB keeps it. A timer is a task whose `due` lies ahead."""

    kind: str
    """Who does it, such as `webhook`."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """What the one who does it has to know; dropped when it is done."""
    lane: str | None = None
    """What it shares with others of its kind, such as the server that they ask; a slow lane holds up no other."""
    due: Instant = Field(default_factory=now)
    """Not before. While somebody works on it: when it is taken for lost and given to another."""
    state: TaskState = "waiting"
    attempts: int = 0
    """How often it was begun."""
    claim: str | None = None
    """Who works on it, or did last."""
    error: str | None = None
    """Why the last attempt failed."""
    created_at: Instant = Field(default_factory=now)
    ended_at: Instant | None = None
    """When it died; a task that is done carries `doneAt` until MongoDB drops it."""
