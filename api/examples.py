"""Examples of bodies for the OpenAPI document, by name of the schema. A test holds each against its schema."""

from collections.abc import Mapping
from typing import Any

__all__ = ["EXAMPLES"]

_SECRET = "{}_01k6z3v9q4e8tb5m2x7c1n0r6d_" + "3f" * 32
_PORTO = {"latitude": 41.1496, "longitude": -8.6109}
_DELIVERY: dict[str, Any] = {
    "pickup": {"address": "Rua de Santa Catarina 112, Porto"} | _PORTO,
    "dropoff": {"address": "Avenida da Boavista 604, Porto", "latitude": 41.1583, "longitude": -8.6347},
    "reference": "ORDER-1042",
    "customer": {"name": "Inês Costa", "phone": "+351 912 345 678"},
    "weightKg": 2.4,
    "priority": "high",
    "timeWindow": {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T11:00:00Z"},
    "serviceTimeS": 180,
}

_DEPOT: dict[str, Any] = {
    "name": "North",
    "place": {"address": "Rua do Monte 12, Porto"} | _PORTO,
    "opening": {"start": "06:00", "end": "22:00"},
}
_CLOSURE: dict[str, Any] = {
    "name": "Rua das Flores, works",
    "kind": "line",
    "points": [{"latitude": 41.1439, "longitude": -8.6121}, {"latitude": 41.1448, "longitude": -8.6110}],
    "profiles": ["van", "truck"],
    "beginsAt": "2026-03-02T07:00:00Z",
    "endsAt": "2026-03-06T19:00:00Z",
}
_VEHICLE: dict[str, Any] = {
    "name": "Van 7",
    "plate": "12-AB-34",
    "profile": "van",
    "capacity": {"weightKg": 800, "volumeM3": 6},
    "shift": {"start": "08:00", "end": "17:00"},
    "skills": ["cold"],
}
_ROUTE: dict[str, Any] = {
    "name": "Morning",
    "stops": [{"deliveryId": "dlv_01k6z3w0m2n4p6r8t0v2x4z6b8", "kind": "dropoff"}],
    "driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d",
}

EXAMPLES: Mapping[str, Any] = {
    "WhatIf": {"legs": [{"from": _PORTO, "to": {"latitude": 41.1583, "longitude": -8.6347}, "vehicle": "van"}]},
    "Dispatching": {"version": 1},
    "PreviewBody": {"template": "delivery-on-the-way", "language": "de", "values": {"reference": "ORDER-1042"}},
    "RulesBody": {"rules": {"delivery-delivered": {"channels": ["email"]}}, "version": 1},
    "OfferTerms": {"strategy": "in_turn", "timeLimitS": 90, "radiusM": 4000, "maxDrivers": 5},
    "FenceBody": {"name": "Depot", "kind": "circle", "points": [_PORTO], "radiusM": 120, "version": 1},
    "DriverReplacement": {"name": "Ana Sousa", "externalId": "van-7", "phone": "+351 912 345 678", "version": 2},
    "NewProof": {
        "photos": ["prf_01k6z3w0m2n4p6r8t0v2x4z6b8"],
        "recipient": "Inês Costa",
        "note": "left at the desk",
        "location": _PORTO,
        "version": 5,
    },
    "OptimizeRequest": {
        "deliveries": ["dlv_01k6z3w0m2n4p6r8t0v2x4z6b8", "dlv_01k6z3w0m2n4p6r8t0v2x4z6b9"],
        "optimizationCriteria": ["time"],
        "constraints": {"maxRouteTime": 28_800, "vehicleCapacity": 600},
    },
    "RouteEdits": {"routes": [_ROUTE | {"id": "rte_01k6z3w0m2n4p6r8t0v2x4z6b8", "version": 2}]},
    "RoutePatch": {"locked": True, "lockedStops": 2, "driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d", "version": 2},
    "ProposalRequest": {"insert": ["dlv_01k6z3w0m2n4p6r8t0v2x4z6b8"], "breakdowns": []},
    "ProposalAnswer": {"version": 1},
    "Person": {"phone": "+351 912 345 678"},
    "ErasureOrder": {"phone": "+351 912 345 678"},
    "Upload": {
        "items": [
            {"type": "ping", "id": "p-1", "time": "2026-03-02T09:14:07Z", **_PORTO, "speed": 8.3},
            {
                "type": "status",
                "id": "s-1",
                "time": "2026-03-02T09:20:00Z",
                "deliveryId": "dlv_01k6z3w0m2n4p6r8t0v2x4z6b8",
                "status": "delivered",
            },
        ]
    },
    "RouteBody": _ROUTE | {"version": 2},
    "RouteShape": _ROUTE,
    "VehicleBody": _VEHICLE | {"version": 2},
    "VehicleShape": _VEHICLE,
    "ClosureBody": _CLOSURE | {"version": 2},
    "ClosureShape": _CLOSURE,
    "DepotBody": _DEPOT | {"version": 2},
    "DepotShape": _DEPOT,
    "Acceptance": {"token": _SECRET.format("ori"), "password": "a password of my own", "name": "Rui Alves"},
    "Assignment": {"driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d", "version": 1},
    "Claim": {"driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d"},
    "Credentials": {"email": "ana@example.com", "password": "correct horse battery"},
    "DeliveryBody": _DELIVERY | {"version": 3},
    "DriverBody": {"name": "Ana Silva", "externalId": "van-7", "phone": "+351 912 345 678", "profile": "parcel"},
    "DriverChanges": {"name": "Ana Sousa", "version": 2},
    "FenceShape": {"name": "Depot", "kind": "circle", "points": [_PORTO], "radiusM": 120},
    "Forgotten": {"email": "rui@example.com"},
    "LocationUpdate": _PORTO | {"time": "2026-03-02T09:14:07Z", "speed": 8.3, "heading": 270, "accuracy": 6},
    "NewDelivery": _DELIVERY | {"driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d"},
    "NewInvitation": {"email": "rui@example.com", "role": "planner"},
    "NewKey": {"kind": "device", "name": "Ana's phone", "driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d"},
    "NewStart": {"token": _SECRET.format("orp"), "password": "a password of my own"},
    "NewUser": {"email": "rui@example.com", "password": "a long first password", "role": "planner", "name": "Rui"},
    "PasswordChange": {"current": "correct horse battery", "new": "a better one than that"},
    "Registration": {
        "tenant": "Blue Vans",
        "email": "ana@example.com",
        "password": "correct horse battery",
        "name": "Ana Silva",
    },
    "Renewal": {"refreshToken": _SECRET.format("orr")},
    "ReplayBody": {"since": "2026-03-02T08:00:00Z"},
    "RoleChange": {"role": "driver", "driverId": "drv_01k6z3v9q4e8tb5m2x7c1n0r6d"},
    "StatusMove": {"status": "picked_up", "location": _PORTO, "notes": "two parcels", "version": 3},
    "TenantChanges": {"name": "Blue Vans", "settings": {"motionProfile": "parcel"}, "version": 1},
    "UserBody": {"email": "rui@example.com", "name": "Rui Alves", "version": 1},
    "WebhookBody": {"url": "https://example.com/hooks", "events": ["delivery.*"], "description": "Order system"},
    "WebhookChange": {"url": "https://example.com/hooks", "events": ["*"], "enabled": True, "version": 2},
}
"""Name of the schema → a body that would do."""
