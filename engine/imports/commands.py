"""Imports of deliveries: check all rows, put them away part by part, and finish what a crash left undone.

A transaction of MongoDB has to fit into its cache: about 27,000 documents in the embedded server, and a delivery comes
with its event, its errand and its audit entry. So a file is put away in parts of a hundred rows, each in one
transaction. All rows are checked before the first part, and the parts wait in MongoDB, so that a crash between two of
them delays the rest and loses nothing.
"""

import asyncio
import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Edit
from engine.deliveries.orders import Order, Revision
from engine.imports.plan import Candidate, OnDuplicate, Plan, plan_import
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.imports import FieldFault, Import, ImportRow
from models.documents.task import Task
from models.errors import Conflict, ImportRefused, OutriderError
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.imports import ImportPart, ImportRepository
from models.store.leases import Lease
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["IMPORT_TASK", "DeliveryImports", "ImportOptions"]

IMPORT_TASK = "import"
"""Kind of the task that finishes an import whose process died."""

_PART = 100  # rows in one transaction: 400 documents, and some 30 ms in which this process does nothing else
_LOOKED_UP_AT_ONCE = 1000
_LEASE_S = 120.0  # longer than the largest file takes
_FINISH_AFTER_S = 60.0
_MOST_FIELDS = 50


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is taken."""

    mode: Literal["all", "valid"] = "all"
    """`all`: none if one row fails; `valid`: those that don't."""
    on_duplicate: OnDuplicate = "error"


class DeliveryImports:
    """The imports of deliveries."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._database = database
        self._imports = ImportRepository(database)
        self._deliveries = DeliveryRepository(database)
        self._commands = DeliveryCommands(database, partitions)

    async def plan(self, scope: Scope, candidates: Sequence[Candidate], options: ImportOptions) -> Plan:
        """Return what would become of each row."""
        references = list({one.says["reference"] for one in candidates if one.says.get("reference") is not None})
        existing: dict[str, Delivery] = {}
        for start in range(0, len(references), _LOOKED_UP_AT_ONCE):
            some = references[start : start + _LOOKED_UP_AT_ONCE]
            existing |= await self._deliveries.by_reference(scope, some)
        moment = now()
        make = functools.partial(_made, scope, moment)
        return await asyncio.to_thread(
            plan_import, candidates, existing, options.on_duplicate, make, lambda says: Edit(says, moment)
        )

    async def run(
        self, scope: Scope, candidates: Sequence[Candidate], options: ImportOptions, key: str | None = None
    ) -> Import:
        """Put a file away and return what became of it. An import of the same key that has begun is finished instead.

        Raises
        ------
        ImportRefused
            If a row fails and all or none were wanted; nothing is stored then.
        Conflict
            If another import of the tenant is running: each must see the references of the other.
        """
        if key is not None and (begun := await self._imports.by_key(scope, key)) is not None:
            return await self.finish(scope, begun.id)
        identifier = new_id("imp")
        lease = Lease(self._database, f"import:{scope.tenant}", identifier, _LEASE_S)
        if not await lease.acquire():
            raise Conflict("another import of this company is running; try again when it is done")
        try:
            plan = await self.plan(scope, candidates, options)
            if options.mode == "all" and plan.failed:
                raise _refused(plan)
            await self._begin(scope, identifier, plan, key)
            return await self.finish(scope, identifier)
        finally:
            await lease.release()

    async def finish(self, scope: Scope, identifier: str) -> Import:
        """Put away what is left of an import that has begun, and return it."""
        record = await self._imports.get(scope, identifier)
        as_asked = Scope(scope.tenant, record.actor)
        while (part := await self._imports.next_part(scope, identifier)) is not None:
            await self._put_away(as_asked, record, part)
        return record if record.state == "done" else await self._imports.end(scope, identifier, _task_id(identifier))

    async def resume(self, task: Task) -> None:
        """Finish the import of a task."""
        await self.finish(Scope(task.tenant, "engine"), task.payload["import"])

    async def _begin(self, scope: Scope, identifier: str, plan: Plan, key: str | None) -> None:
        record = Import(id=identifier, tenant=scope.tenant, actor=scope.actor, key=key, rows=tuple(plan.rows))
        entries = list(plan.entries.values())
        parts = [entries[start : start + _PART] for start in range(0, len(entries), _PART)]
        due = now() + datetime.timedelta(seconds=_FINISH_AFTER_S)
        task = Task(
            id=_task_id(identifier), tenant=scope.tenant, kind=IMPORT_TASK, payload={"import": identifier}, due=due
        )
        await self._imports.begin(record, parts, task)

    async def _put_away(self, scope: Scope, record: Import, part: ImportPart) -> None:
        moment = now()
        orders = [Order(one.delivery, one.driver) for one in part.entries if one.changes is None]
        revisions = [
            Revision(
                one.delivery.id, Edit({name: getattr(one.delivery, name) for name in one.changes}, moment), one.driver
            )
            for one in part.entries
            if one.changes is not None
        ]
        places = {one.delivery.id: one.place for one in part.entries}

        async def note(session: Session, refused: Mapping[str, OutriderError]) -> None:
            failed = {places[one]: _failed(record.rows[places[one]], fault) for one, fault in refused.items()}
            await self._imports.put_away(scope, record.id, part.id, failed, session)

        try:
            await self._commands.carry_out(scope, orders, revisions, note)
        except Conflict:
            if (left := await self._imports.next_part(scope, record.id)) is not None and left.id == part.id:
                raise  # it was not somebody else who put it away


def _made(scope: Scope, moment: datetime.datetime, says: Mapping[str, Any]) -> Delivery:
    return Delivery(id=new_id("dlv"), tenant=scope.tenant, created_at=moment, updated_at=moment, **says)


def _failed(row: ImportRow, fault: OutriderError) -> ImportRow:
    said = FieldFault(field="", detail=str(fault))
    return row.model_copy(update={"outcome": "failed", "located": None, "errors": (said,)})


def _refused(plan: Plan) -> ImportRefused:
    failed = plan.failed
    fields = [(f"rows.{row.row}.{fault.field}".rstrip("."), fault.detail) for row in failed for fault in row.errors]
    detail = f"{len(failed)} of {len(plan.rows)} rows can't be taken, so none was"
    rows = [row.model_dump(mode="json", by_alias=True) for row in plan.rows]
    return ImportRefused(detail, fields[:_MOST_FIELDS], rows)


def _task_id(identifier: str) -> str:
    return f"tsk_{identifier.removeprefix('imp_')}"
