"""Who may do what: the one table of rights. Routers name a right, `tests/contract/test_roles.py` walks the table.

The roles are those of a company's people (`admin`, `planner`, `driver`) and of its keys (`gateway`, `device`,
`integration`). A right says that a role may come in; what it sees there is narrowed further on: drivers and devices see
what is theirs, and a key with scopes may do what its scopes say.
"""

from collections.abc import Mapping
from functools import cache
from typing import Literal

from api.auth.principal import Principal, Role
from models.documents.key import KeyScope

__all__ = ["RIGHTS", "SCOPES", "Right", "may"]

Right = Literal[
    "profile.view",
    "tenant.view",
    "tenant.change",
    "users.view",
    "users.manage",
    "drivers.view",
    "drivers.list",
    "drivers.manage",
    "deliveries.view",
    "deliveries.manage",
    "deliveries.move",
    "deliveries.delete",
    "driver-app.use",
    "routes.view",
    "routes.manage",
    "positions.view",
    "positions.send",
    "vehicles.view",
    "vehicles.manage",
    "depots.view",
    "depots.manage",
    "closures.view",
    "closures.manage",
    "geofences.manage",
    "analytics.view",
    "analytics.routes",
    "analytics.personal",
    "events.view",
    "audit.view",
    "privacy.manage",
    "deadletters.manage",
    "webhooks.manage",
    "notifications.view",
    "notifications.manage",
    "keys.manage",
    "quarantine.manage",
    "models.view",
    "models.manage",
    "health.view",
]

_EVERYBODY: frozenset[Role] = frozenset({"admin", "planner", "driver", "gateway", "device", "integration"})
_ADMIN: frozenset[Role] = frozenset({"admin"})
_OFFICE: frozenset[Role] = frozenset({"admin", "planner"})
_SYSTEMS: frozenset[Role] = frozenset({"integration"})
_ON_THE_ROAD: frozenset[Role] = frozenset({"driver", "device"})

RIGHTS: Mapping[Right, frozenset[Role]] = {
    "profile.view": _EVERYBODY,
    "tenant.view": _OFFICE,
    "tenant.change": _ADMIN,
    "users.view": _OFFICE,
    "users.manage": _ADMIN,
    "drivers.view": _OFFICE | _ON_THE_ROAD | _SYSTEMS,
    "drivers.list": _OFFICE | _SYSTEMS,
    "drivers.manage": _ADMIN | _SYSTEMS,
    "deliveries.view": _OFFICE | _ON_THE_ROAD | _SYSTEMS,
    "deliveries.manage": _OFFICE | _SYSTEMS,
    "deliveries.move": _OFFICE | _ON_THE_ROAD | _SYSTEMS,
    "deliveries.delete": _ADMIN,
    "driver-app.use": _ON_THE_ROAD,
    "routes.view": _OFFICE | _ON_THE_ROAD | _SYSTEMS,
    "routes.manage": _OFFICE | _SYSTEMS,
    "positions.view": _OFFICE | _ON_THE_ROAD | _SYSTEMS,
    "positions.send": _EVERYBODY - {"planner"},
    "vehicles.view": _OFFICE | _SYSTEMS,
    "vehicles.manage": _ADMIN | _SYSTEMS,
    "depots.view": _OFFICE | _SYSTEMS,
    "depots.manage": _ADMIN | _SYSTEMS,
    "closures.view": _OFFICE | _SYSTEMS,
    "closures.manage": _OFFICE | _SYSTEMS,
    "geofences.manage": _OFFICE | _SYSTEMS,
    "analytics.view": _ADMIN | _SYSTEMS,
    "analytics.routes": _OFFICE | _SYSTEMS,
    "analytics.personal": _ON_THE_ROAD,
    "events.view": _OFFICE | _SYSTEMS,
    "audit.view": _ADMIN,
    "privacy.manage": _ADMIN,
    "deadletters.manage": _ADMIN,
    "webhooks.manage": _ADMIN | _SYSTEMS,
    "notifications.view": _OFFICE,
    "notifications.manage": _ADMIN,
    "keys.manage": _ADMIN,
    "quarantine.manage": _ADMIN,
    "models.view": _OFFICE,
    "models.manage": _ADMIN,
    "health.view": _ADMIN,
}
"""Right → roles that have it."""

SCOPES: Mapping[KeyScope, frozenset[Right]] = {
    "deliveries:read": frozenset({"deliveries.view"}),
    "deliveries:write": frozenset({"deliveries.manage", "deliveries.move"}),
    "routes:read": frozenset({"routes.view", "closures.view"}),
    "routes:write": frozenset({"routes.manage", "closures.manage"}),
    "drivers:read": frozenset({"drivers.view", "drivers.list"}),
    "drivers:write": frozenset({"drivers.manage"}),
    "positions:read": frozenset({"positions.view"}),
    "positions:write": frozenset({"positions.send"}),
    "fleet:read": frozenset({"vehicles.view", "depots.view"}),
    "fleet:write": frozenset({"vehicles.manage", "depots.manage"}),
    "geofences:write": frozenset({"geofences.manage"}),
    "events:read": frozenset({"events.view"}),
    "webhooks:write": frozenset({"webhooks.manage"}),
    "analytics:read": frozenset({"analytics.view", "analytics.routes"}),
}
"""Scope of a key → the rights that it is."""


def may(principal: Principal, right: Right) -> bool:
    """Tell whether a caller has a right: by its role, and where it is a key with scopes by these too."""
    if principal.role not in RIGHTS[right]:
        return False
    narrowed = principal.scopes or principal.role == "integration"
    return not narrowed or right in _rights_of(principal.scopes)


@cache  # there are few combinations, and they are asked for at every request
def _rights_of(scopes: frozenset[KeyScope]) -> frozenset[Right]:
    always: frozenset[Right] = frozenset({"profile.view"})
    return always.union(*(SCOPES[scope] for scope in scopes))
