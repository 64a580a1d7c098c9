"""Indexes of all collections, and rules that MongoDB itself keeps. Making them again changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from models.store.connections import Database
from models.store.placement import OWNED

__all__ = ["BY_PERIOD", "INDEXES", "KEEP_DAYS", "any_text", "ensure_indexes", "ensure_tenant_indexes"]

KEEP_DAYS = 30
"""Days of history, unless the settings say otherwise."""

_DAY_S = 86_400
_EXPIRY = "expiry"
BY_PERIOD = "by_period"
"""Index of buckets of figures, by period and key."""


def any_text(texts: Iterable[str]) -> dict[str, Any]:
    """Return what finds these in a field of which an index holds the texts alone (`partialFilterExpression`).

    MongoDB takes such an index only where the query too says that a text is wanted, and else looks at every document.
    """
    return {"$in": list(texts), "$type": "string"}


def _unique_if_set(field: str) -> IndexModel:
    """Return an index by which a value of `field` comes once in a tenant; documents without one are left out."""
    return IndexModel(
        [("tenant", ASCENDING), (field, ASCENDING)],
        unique=True,
        partialFilterExpression={field: {"$type": "string"}},
    )


INDEXES: Mapping[str, Sequence[IndexModel]] = {
    "users": [IndexModel([("email", ASCENDING)], unique=True), IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)])],
    "sign_ins": [
        IndexModel([("tenant", ASCENDING), ("user", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "invitations": [
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("email", ASCENDING)], unique=True),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "password_resets": [
        IndexModel([("tenant", ASCENDING), ("user", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "keys": [IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)])],
    "drivers": [
        IndexModel([("number", ASCENDING)], unique=True),
        IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)]),
        _unique_if_set("externalId"),
    ],
    "deliveries": [
        IndexModel(
            [("tenant", ASCENDING), ("unlocated", ASCENDING), ("_id", DESCENDING)],
            partialFilterExpression={"unlocated": True},
        ),
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("driver", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("driver", ASCENDING), ("status", ASCENDING), ("_id", ASCENDING)]),
        IndexModel(
            [("tenant", ASCENDING), ("reference", ASCENDING)],
            partialFilterExpression={"reference": {"$type": "string"}},
        ),
        IndexModel(
            [("tenant", ASCENDING), ("phoneToken", ASCENDING), ("_id", DESCENDING)],
            partialFilterExpression={"phoneToken": {"$exists": True}},
        ),
        IndexModel(
            [("tenant", ASCENDING), ("emailToken", ASCENDING), ("_id", DESCENDING)],
            partialFilterExpression={"emailToken": {"$exists": True}},
        ),
    ],
    "vehicles": [
        IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)]),
        _unique_if_set("plate"),
        _unique_if_set("externalId"),
    ],
    "depots": [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)]), _unique_if_set("externalId")],
    "geocodes": [
        IndexModel([("tenant", ASCENDING), ("question", ASCENDING)], unique=True),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=365 * _DAY_S),
    ],
    "imports": [
        _unique_if_set("key"),
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    # Parts of an import that nobody could finish hold customers' data: they go after their days too.
    "import_parts": [
        IndexModel([("tenant", ASCENDING), ("import", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=7 * _DAY_S),
    ],
    "offer_rounds": [
        # one round at a time about a delivery
        IndexModel(
            [("tenant", ASCENDING), ("delivery", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "asking"},
            name="asking",
        ),
        IndexModel([("tenant", ASCENDING), ("delivery", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("offers.id", ASCENDING)]),
        IndexModel([("tenant", ASCENDING), ("offers.driver", ASCENDING), ("state", ASCENDING)]),
    ],
    "proofs": [
        # also what makes the same bytes, uploaded twice for a delivery, one file
        IndexModel(
            [("tenant", ASCENDING), ("delivery", ASCENDING), ("kind", ASCENDING), ("digest", ASCENDING)], unique=True
        )
    ],
    "routes": [
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("driver", ASCENDING), ("status", ASCENDING), ("start", ASCENDING)]),
        IndexModel([("tenant", ASCENDING), ("stops.deliveryId", ASCENDING)]),
    ],
    # Answers to what happened an hour ago help nobody: a month is for whoever asks why a route is as it is.
    "proposals": [
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("createdAt", ASCENDING)], expireAfterSeconds=30 * _DAY_S),
    ],
    "jobs": [IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)])],
    "tracking_links": [
        IndexModel([("tenant", ASCENDING), ("delivery", ASCENDING)]),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "closures": [
        IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("tenant", ASCENDING), ("endsAt", ASCENDING)]),
    ],
    "geofences": [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)])],
    "events": [
        IndexModel([("tenant", ASCENDING), ("aggregate", ASCENDING), ("sequence", ASCENDING)]),
        # Only what waits for its number is in this one.
        IndexModel(
            [("queued", ASCENDING), ("sequence", ASCENDING)], partialFilterExpression={"queued": {"$type": "date"}}
        ),
        # Only what could not be told of is in this one: nothing, unless Redis was away.
        IndexModel([("late", ASCENDING), ("number", ASCENDING)], partialFilterExpression={"late": True}),
        IndexModel([("number", ASCENDING)], partialFilterExpression={"number": {"$gt": 0}}),
        IndexModel([("tenant", ASCENDING), ("number", ASCENDING)], partialFilterExpression={"number": {"$gt": 0}}),
        # Without the number, which would move every event in it once more; it is asked where a replay begins.
        IndexModel([("tenant", ASCENDING), ("time", ASCENDING)]),
    ],
    "audit": [
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("entity", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("actor", ASCENDING), ("_id", DESCENDING)]),
    ],
    "tasks": [
        # What is done or dead is in neither of these, so a claim costs nothing however much was done.
        IndexModel(
            [("due", ASCENDING), ("kind", ASCENDING), ("lane", ASCENDING)],
            partialFilterExpression={"state": "waiting"},
            name="due",
        ),
        IndexModel(
            [("tenant", ASCENDING), ("_id", DESCENDING)], partialFilterExpression={"state": "dead"}, name="dead"
        ),
        IndexModel([("doneAt", ASCENDING)], expireAfterSeconds=7 * _DAY_S),
    ],
    "notifications": [
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("state", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("delivery", ASCENDING), ("_id", DESCENDING)]),
        # Of alerts alone: the last one about a kind of task.
        IndexModel(
            [("tenant", ASCENDING), ("about", ASCENDING), ("createdAt", DESCENDING)],
            partialFilterExpression={"about": {"$type": "string"}},
        ),
        IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "notification_rules": [IndexModel([("tenant", ASCENDING)], unique=True)],
    "trips": [IndexModel([("tenant", ASCENDING), ("driver", ASCENDING), ("from", ASCENDING)])],
    "visits": [IndexModel([("tenant", ASCENDING), ("driver", ASCENDING), ("from", ASCENDING)])],
    # The figures of a key are one range of the first; which keys there are is read from the second alone.
    "analytics_buckets": [
        IndexModel([(name, ASCENDING) for name in ("tenant", "generation", "level", "key", "period")]),
        IndexModel([(name, ASCENDING) for name in ("tenant", "generation", "level", "period", "key")], name=BY_PERIOD),
    ],
    # A track is one range of the first; the second drops chunks after their days.
    "eta_history": [
        IndexModel([("tenant", ASCENDING), ("points.delivery", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=30 * _DAY_S),
    ],
    "eta_outcomes": [
        IndexModel([("tenant", ASCENDING), ("delivery", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("tenant", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=180 * _DAY_S),
    ],
    # What a data set of legs lacks is one range of the first.
    "eta_legs": [
        IndexModel([("tenant", ASCENDING), ("stored", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("tenant", ASCENDING), ("driver", ASCENDING)]),
        IndexModel([("arrived", ASCENDING)], expireAfterSeconds=400 * _DAY_S),
    ],
    "eta_forgotten": [IndexModel([("tenant", ASCENDING)])],
    "history": [
        IndexModel([("d", ASCENDING), ("to", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=KEEP_DAYS * _DAY_S, name=_EXPIRY),
    ],
    "snapshot_parts": [IndexModel([("partition", ASCENDING)])],
    "quarantine": [
        IndexModel([("tenant", ASCENDING), ("device", ASCENDING)], unique=True),
        IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)], partialFilterExpression={"waiting": True}),
        # What waits goes after its days; a claim stays.
        IndexModel([("seen", ASCENDING)], expireAfterSeconds=30 * _DAY_S, partialFilterExpression={"waiting": True}),
    ],
    "privacy_requests": [IndexModel([("tenant", ASCENDING), ("_id", DESCENDING)])],
    "data_keys": [IndexModel([("tenant", ASCENDING), ("number", ASCENDING)], unique=True)],
    "webhooks": [IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)])],
    "webhook_attempts": [
        IndexModel([("tenant", ASCENDING), ("webhook", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("tenant", ASCENDING), ("webhook", ASCENDING), ("ok", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("time", ASCENDING)], expireAfterSeconds=30 * _DAY_S),
    ],
    "idempotency": [
        IndexModel([("at", ASCENDING)], expireAfterSeconds=_DAY_S),
        IndexModel([("tenant", ASCENDING), ("at", ASCENDING)]),
    ],
}
"""Indexes by collection."""


async def ensure_indexes(database: Database, *, keep_days: int = KEEP_DAYS) -> None:
    """Create what is missing of `INDEXES`, and let history expire after `keep_days`, whatever it was before."""
    for collection in INDEXES:
        await _ensure(database.shared, collection)
    expiry = {"name": _EXPIRY, "expireAfterSeconds": keep_days * _DAY_S}
    await database.command("collMod", "history", index=expiry)
    if database.apart:
        async for tenant in database.tenants.find({}, {"_id": 1}):
            await ensure_tenant_indexes(database, tenant["_id"])


async def ensure_tenant_indexes(database: Database, tenant: str) -> None:
    """Create what is missing in a tenant's own database, and the collections with it; nothing if it has none."""
    if database.apart:
        for collection in INDEXES.keys() & OWNED:
            await _ensure(database.of(tenant), collection)


async def _ensure(database: Any, collection: str) -> None:
    made = await database[collection].index_information()
    missing = [index for index in INDEXES[collection] if index.document["name"] not in made]
    if missing:
        await database[collection].create_indexes(missing)
