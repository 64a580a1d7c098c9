"""Who may do what: the one table of rights. Routers name a right, `tests/contract/test_roles.py` walks the table.

The roles are those of a company's people (`admin`, `planner`, `driver`) and of its keys (`gateway`, `device`). A right
says that a role may come in; what it sees there is narrowed further on: drivers and devices see what is theirs.
"""

from collections.abc import Mapping
from typing import Literal

from api.auth.principal import Role

__all__ = ["RIGHTS", "Right"]

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
    "geofences.manage",
    "analytics.view",
    "analytics.routes",
    "analytics.personal",
    "events.view",
    "audit.view",
    "privacy.manage",
    "deadletters.manage",
    "webhooks.manage",
    "keys.manage",
    "quarantine.manage",
    "health.view",
]

_EVERYBODY: frozenset[Role] = frozenset({"admin", "planner", "driver", "gateway", "device"})
_ADMIN: frozenset[Role] = frozenset({"admin"})
_OFFICE: frozenset[Role] = frozenset({"admin", "planner"})
_ON_THE_ROAD: frozenset[Role] = frozenset({"driver", "device"})

RIGHTS: Mapping[Right, frozenset[Role]] = {
    "profile.view": _EVERYBODY,
    "tenant.view": _OFFICE,
    "tenant.change": _ADMIN,
    "users.view": _OFFICE,
    "users.manage": _ADMIN,
    "drivers.view": _OFFICE | _ON_THE_ROAD,
    "drivers.list": _OFFICE,
    "drivers.manage": _ADMIN,
    "deliveries.view": _OFFICE | _ON_THE_ROAD,
    "deliveries.manage": _OFFICE,
    "deliveries.move": _OFFICE | _ON_THE_ROAD,
    "deliveries.delete": _ADMIN,
    "driver-app.use": _ON_THE_ROAD,
    "routes.view": _OFFICE | _ON_THE_ROAD,
    "routes.manage": _OFFICE,
    "positions.view": _OFFICE | _ON_THE_ROAD,
    "positions.send": _EVERYBODY - {"planner"},
    "vehicles.view": _OFFICE,
    "vehicles.manage": _ADMIN,
    "depots.view": _OFFICE,
    "depots.manage": _ADMIN,
    "geofences.manage": _OFFICE,
    "analytics.view": _ADMIN,
    "analytics.routes": _OFFICE,
    "analytics.personal": _ON_THE_ROAD,
    "events.view": _OFFICE,
    "audit.view": _ADMIN,
    "privacy.manage": _ADMIN,
    "deadletters.manage": _ADMIN,
    "webhooks.manage": _ADMIN,
    "keys.manage": _ADMIN,
    "quarantine.manage": _ADMIN,
    "health.view": _ADMIN,
}
"""Right → roles that have it."""
