"""Which fields hold personal data, and documents with these sealed.

The one list: a field that says who somebody is, where they live or how they are reached belongs here. MongoDB never
sees it in clear; what older releases stored in clear is read as it is, until `outrider keys rotate-data` seals it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.store.vault import TenantKeys, Vault

__all__ = ["KEY_NUMBER", "PERSONAL", "open_changes", "open_read", "opened", "sealed"]

KEY_NUMBER = "dataKey"
"""Field of a document that says under which data key its personal fields are sealed."""

PERSONAL: Mapping[str, tuple[str, ...]] = {
    "deliveries": (
        "customer.name",
        "customer.phone",
        "customer.email",
        "pickup.address",
        "dropoff.address",
        "notes",
        "history.notes",
        "proof.recipient",
        "proof.note",
    ),
    "import_parts": ("entries.delivery",),
    "audit": ("changes",),
    "idempotency": ("body",),
    "tasks": ("payload",),
    "webhooks": ("secrets.value",),
}
"""Collection → paths of its personal fields; a path goes through all items of a list on its way."""


async def sealed(vault: Vault, collection: str, tenant: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document for MongoDB, its personal fields sealed; the one given stays as it is."""
    keys = await vault.keys(tenant)
    made = _changed(fields, collection, keys.seal)
    made[KEY_NUMBER] = keys.number
    return made


async def opened(vault: Vault, collection: str, tenant: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of MongoDB with its personal fields in clear.

    Raises
    ------
    Unreadable
        If a key is missing, or a value was tampered with.
    """
    if KEY_NUMBER not in fields:
        return dict(fields)  # stored in clear by an older release
    keys = await _keys_for(vault, tenant, fields[KEY_NUMBER])

    def in_clear(field: str, value: Any) -> Any:
        return keys.open(field, value) if isinstance(value, bytes) else value

    return _changed(fields, collection, in_clear)


async def open_read(vault: Vault, collection: str, tenant: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Open a document that was just read and that nobody else has in place, at a third of the cost of a copy.

    Raises as `opened`.
    """
    if KEY_NUMBER in fields:
        _open_at_ends(fields, _PLANS[collection], await _keys_for(vault, tenant, fields[KEY_NUMBER]))
    return fields


def open_changes(collection: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the update that makes one form of a document of another, both in clear, if nothing personal changes.

    None if something does: then the whole document is sealed anew, so that one data key is behind all of it.
    """
    plan = _PLANS[collection]
    update: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}, "$push": {}}
    for name in before.keys() | after.keys():
        was, becomes = before.get(name), after.get(name)
        if was == becomes:
            continue
        inner = plan.get(name)
        if inner is None:
            update["$unset" if becomes is None else "$set"][name] = becomes
        elif (added := _added(was, becomes)) is not None and not any(_is_personal(item, inner) for item in added):
            update["$push"][name] = {"$each": added}
        else:
            return None
    return {operator: fields for operator, fields in update.items() if fields}


def _added(was: Any, becomes: Any) -> list[Any] | None:
    """Return what a list has more than before at its end; None if that is not all that differs."""
    if not (isinstance(was, list | tuple) and isinstance(becomes, list | tuple)):
        return None
    return list(becomes[len(was) :]) if becomes[: len(was)] == was else None


def _is_personal(item: Mapping[str, Any], plan: "_Plan") -> bool:
    return any(item.get(name) is not None for name in plan)


def _open_at_ends(fields: dict[str, Any], plan: "_Plan", keys: TenantKeys) -> None:
    for name, inner in plan.items():
        value = fields.get(name)
        if value is None:
            continue
        kind = type(value)
        if type(inner) is str:
            if kind is bytes:
                fields[name] = keys.open(inner, value)
        elif kind is dict:
            _open_at_ends(value, inner, keys)
        elif kind is list:
            for item in value:
                if type(item) is dict:
                    _open_at_ends(item, inner, keys)


async def _keys_for(vault: Vault, tenant: str, number: int) -> TenantKeys:
    keys = await vault.keys(tenant)
    # made by another process since we looked
    return keys if number <= keys.number else await vault.reread(tenant)


def _plan(collection: str, paths: Sequence[str]) -> "_Plan":
    """Return paths as a tree, at whose ends stands what a value is sealed for."""
    plan: _Plan = {}
    for path in paths:
        *way, last = path.split(".")
        branch = plan
        for step in way:
            branch = branch.setdefault(step, {})
        branch[last] = f"{collection}.{path}"
    return plan


_Plan = dict[str, Any]  # of plans, and of texts at the ends
_PLANS: Mapping[str, _Plan] = {collection: _plan(collection, paths) for collection, paths in PERSONAL.items()}
"""Collection → where its personal fields are and what they are sealed for, so that each branch is walked once."""


def _changed(fields: Mapping[str, Any], collection: str, change: Callable[[str, Any], Any]) -> dict[str, Any]:
    return {**fields, **_touched(fields, _PLANS[collection], change)}


def _touched(fields: Mapping[str, Any], plan: _Plan, change: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Return those of `fields` that a plan leads to, with `change` applied to what lies at its ends."""
    touched = {}
    for name, inner in plan.items():
        value = fields.get(name)
        if value is not None:
            touched[name] = change(inner, value) if isinstance(inner, str) else _within(value, inner, change)
    return touched


def _within(value: Any, plan: _Plan, change: Callable[[str, Any], Any]) -> Any:
    """Return a copy of `value` with what a plan leads to changed; what it does not lead to is the same object."""
    if isinstance(value, dict):
        touched = _touched(value, plan, change)
        return {**value, **touched} if touched else value
    return [_within(item, plan, change) for item in value] if isinstance(value, (list, tuple)) else value
