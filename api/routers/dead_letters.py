"""Dead letters: tasks of the company that failed at every attempt."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.paging import PageOf, Paging, page_of
from models.documents.document import Instant, Shape
from models.documents.task import Task, TaskState
from models.store.tasks import TaskRepository

__all__ = ["router"]

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])
Admin = Annotated[Principal, Depends(allowed("deadletters.manage"))]


class TaskView(Shape):
    """A task without what it is about, which may be personal."""

    id: str
    kind: str
    """Such as `webhook` or `message`."""
    state: TaskState
    attempts: int
    error: str | None
    """Why the last attempt failed."""
    created_at: Instant
    ended_at: Instant | None


@router.get("", response_model=PageOf[TaskView])
async def list_dead_letters(
    services: ServicesOf,
    principal: Admin,
    page: Paging,
    kind: Annotated[str | None, Query(max_length=40)] = None,
) -> dict[str, Any]:
    """Return tasks that failed at every attempt, newest first."""
    return page_of(await TaskRepository(services.database).dead(principal.scope, page, kind), _view)


@router.post("/{task_id}/replay", status_code=202)
async def replay_dead_letter(services: ServicesOf, principal: Admin, task_id: str) -> TaskView:
    """Let a task be tried again, from its first attempt on."""
    return _view(await TaskRepository(services.database).revive(principal.scope, task_id))


def _view(task: Task) -> TaskView:
    return TaskView(**{name: getattr(task, name) for name in TaskView.model_fields})
