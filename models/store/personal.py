"""Which fields hold personal data, and documents with these sealed.

The one list: a field that says who somebody is, where they live or how they are reached belongs here. MongoDB never
sees it in clear; what older releases stored in clear is read as it is, until `outrider keys rotate-data` seals it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.store.vault import TenantKeys, Vault

__all__ = ["KEY_NUMBER", "PERSONAL", "opened", "sealed"]

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


async def _keys_for(vault: Vault, tenant: str, number: int) -> TenantKeys:
    keys = await vault.keys(tenant)
    # made by another process since we looked
    return keys if number <= keys.number else await vault.reread(tenant)


_PATHS: Mapping[str, Sequence[tuple[str, str, tuple[str, ...]]]] = {
    collection: [(f"{collection}.{path}", first, tuple(steps)) for path in paths for first, *steps in [path.split(".")]]
    for collection, paths in PERSONAL.items()
}
"""Collection → what a value is sealed for, where it begins, and the steps from there: taken apart once."""


def _changed(fields: Mapping[str, Any], collection: str, change: Callable[[str, Any], Any]) -> dict[str, Any]:
    made = dict(fields)
    for field, first, steps in _PATHS[collection]:
        if (value := made.get(first)) is not None:
            made[first] = _with(value, steps, field, change)
    return made


def _with(value: Any, steps: tuple[str, ...], field: str, change: Callable[[str, Any], Any]) -> Any:
    """Return a copy of `value` in which `change` was applied to what lies at the end of `steps`."""
    if value is None:
        return None
    if not steps:
        return change(field, value)
    if isinstance(value, (list, tuple)):
        return [_with(item, steps, field, change) for item in value]
    if isinstance(value, dict) and steps[0] in value:
        return {**value, steps[0]: _with(value[steps[0]], steps[1:], field, change)}
    return value
