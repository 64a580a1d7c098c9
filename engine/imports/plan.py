"""What becomes of each row of a file of deliveries: created, updated, skipped or failed.

Pure: what the tenant has already is handed in. `engine.imports.commands` loads, asks here, and stores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.deliveries.lifecycle import Assign, Edit, transition
from models.documents.delivery import Customer, Delivery, Place
from models.documents.imports import FieldFault, ImportEntry, ImportRow
from models.errors import Conflict, ForbiddenTransition

__all__ = ["Candidate", "OnDuplicate", "Plan", "plan_import"]

OnDuplicate = Literal["error", "skip", "update"]
"""What to do with a row whose reference was seen before."""


_WHERE = frozenset({"address", "latitude", "longitude"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row of a file after its fields were checked."""

    row: int
    says: Mapping[str, Any] = field(default_factory=dict)
    """Values by field name, defaults included; nothing where the row has faults."""
    changes: tuple[str, ...] = ()
    """Names of the fields that the file has a column for: the others of a delivery that exists stay."""
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of those that have parts, such as the customer, the names of the parts likewise."""
    driver: str | None = None
    """Who shall have it, `drv_…`."""
    faults: tuple[FieldFault, ...] = ()
    """What is wrong with it."""


@dataclass(slots=True)
class Plan:
    """What becomes of the rows, and what has to be stored for it."""

    rows: list[ImportRow] = field(default_factory=list)
    entries: dict[int, ImportEntry] = field(default_factory=dict)
    """By place."""

    @property
    def failed(self) -> list[ImportRow]:
        """Return the rows that can't be taken."""
        return [row for row in self.rows if row.outcome == "failed"]


def plan_import(
    candidates: Sequence[Candidate],
    existing: Mapping[str, Delivery],
    on_duplicate: OnDuplicate,
    make: Callable[[Mapping[str, Any]], Delivery],
    edit: Callable[[Mapping[str, Any]], Edit],
) -> Plan:
    """Return what becomes of each row.

    Parameters
    ----------
    existing
        Deliveries that the tenant has, by reference.
    make
        Makes a new delivery of what a row says.
    edit
        Makes a change of what a row says.
    """
    plan = Plan()
    seen: dict[str, int] = {}
    for place, candidate in enumerate(candidates):
        reference = candidate.says.get("reference")
        if candidate.faults:
            plan.rows.append(ImportRow(row=candidate.row, outcome="failed", errors=candidate.faults))
            continue
        if reference is not None and reference in seen:
            if on_duplicate != "update":
                plan.rows.append(_repeated(candidate, plan.rows[seen[reference]], on_duplicate))
                continue
            _supersede(plan, seen[reference], candidate.row)
        known = existing.get(reference) if reference is not None else None
        row, entry = _one(place, candidate, known, on_duplicate, make, edit)
        plan.rows.append(row)
        if entry is not None:
            plan.entries[place] = entry
        if reference is not None and row.outcome != "failed":
            seen[reference] = place
    return plan


def _one(
    place: int,
    candidate: Candidate,
    known: Delivery | None,
    on_duplicate: OnDuplicate,
    make: Callable[[Mapping[str, Any]], Delivery],
    edit: Callable[[Mapping[str, Any]], Edit],
) -> tuple[ImportRow, ImportEntry | None]:
    if known is None:
        made = make(candidate.says)
        return _row(candidate, "created", made), ImportEntry(place, made, None, candidate.driver)
    if on_duplicate != "update":
        outcome: Literal["failed", "skipped"] = "failed" if on_duplicate == "error" else "skipped"
        return _row(candidate, outcome, known, "reference", "a delivery has this reference already"), None
    try:
        after = transition(known, edit(_changes(candidate, known))).delivery
        is_given = candidate.driver is not None and candidate.driver != known.driver
        if is_given and candidate.driver is not None:
            transition(after, Assign(candidate.driver, after.updated_at, "engine"))
    except ForbiddenTransition as fault:
        return _row(candidate, "failed", known, "driverId", str(fault)), None
    except Conflict as fault:
        return _row(candidate, "failed", known, "", str(fault)), None
    if not is_given and all(getattr(known, name) == getattr(after, name) for name in candidate.changes):
        return _row(candidate, "skipped", known, "", "the delivery says this already"), None
    return _row(candidate, "updated", after), ImportEntry(place, after, candidate.changes, candidate.driver)


def _changes(candidate: Candidate, known: Delivery) -> dict[str, Any]:
    """Return the new values by field name of what a row says of a delivery that exists."""
    said = {name: candidate.says[name] for name in candidate.changes}
    return {
        name: _joined(getattr(known, name), value, candidate.parts.get(name, frozenset()))
        for name, value in said.items()
    }


def _joined(before: Any, after: Any, parts: frozenset[str]) -> Any:
    """Return a new value with those parts of the old one of which the file says nothing.

    Address and point are one: the point of another address would be wrong, and the other way round.
    """
    if not isinstance(after, Customer | Place) or before is None:
        return after
    if isinstance(after, Place):
        parts |= _WHERE
    return after.model_copy(update={name: getattr(before, name) for name in type(after).model_fields.keys() - parts})


def _repeated(candidate: Candidate, first: ImportRow, on_duplicate: OnDuplicate) -> ImportRow:
    fault = FieldFault(field="reference", detail=f"row {first.row} has this reference already")
    outcome: Literal["failed", "skipped"] = "failed" if on_duplicate == "error" else "skipped"
    reference = candidate.says["reference"]
    return ImportRow(row=candidate.row, outcome=outcome, reference=reference, errors=(fault,))


def _supersede(plan: Plan, place: int, later: int) -> None:
    """Let an earlier row go: a later one of the same reference says it anew."""
    plan.entries.pop(place, None)
    fault = FieldFault(field="reference", detail=f"row {later} says it anew")
    plan.rows[place] = plan.rows[place].model_copy(
        update={"outcome": "skipped", "id": None, "located": None, "errors": (fault,)}
    )


def _row(
    candidate: Candidate,
    outcome: Literal["created", "updated", "skipped", "failed"],
    delivery: Delivery,
    fault_field: str = "",
    detail: str | None = None,
) -> ImportRow:
    return ImportRow(
        row=candidate.row,
        outcome=outcome,
        id=delivery.id,
        reference=delivery.reference,
        located=delivery.is_located if outcome in ("created", "updated") else None,
        errors=() if detail is None else (FieldFault(field=fault_field, detail=detail),),
    )
