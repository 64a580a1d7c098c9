"""Every endpoint × every role, from the table of rights; and every endpoint with a foreign company's things."""

import uuid
from typing import get_args

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.auth.principal import Role
from api.auth.rights import RIGHTS, SCOPES
from engine.settings import Settings
from models.documents.document import now
from models.documents.notification import Notification
from models.documents.offer import Offer, OfferRound, OfferTerms
from models.documents.task import Task
from models.ids import new_id
from models.store.notifications import NotificationRepository
from models.store.offers import OfferRepository, RoundChange
from models.store.tasks import TaskRepository
from tests.rest import PASSWORD, Caller, client_of, running_api

PUBLIC = {
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/accept-invitation",
    "POST /api/v1/auth/forgot-password",
    "POST /api/v1/auth/reset-password",
    "GET /api/v1/health",
    "GET /api/v1/track/{token}",
}
"""Open to those who have no token yet."""
OF_ONESELF = {"GET /api/v1/auth/profile", "POST /api/v1/auth/password"}
"""Open to whoever has a token, about itself."""
FOREIGN = {
    "driver_id": "drivers",
    "delivery_id": "deliveries",
    "geofence_id": "geofences",
    "key_id": "keys",
    "user_id": "users",
    "proof_id": "proofs",
    "offer_id": "offers",
    "invitation_id": "invitations",
    "device": "devices",
    "erasure_id": "privacy/erasures",
    "vehicle_id": "vehicles",
    "import_id": "imports",
    "depot_id": "depots",
    "closure_id": "closures",
    "route_id": "routes",
    "proposal_id": "routes/proposals",
    "job_id": "jobs",
    "task_id": "tasks",
    "webhook_id": "webhooks",
    "notification_id": "notifications",
    "model_name": "eta/models",
}
BODIES = {
    "PUT /api/v1/drivers/{driver_id}": {"name": "x"},
    "PUT /api/v1/geofences/{geofence_id}": {
        "name": "x",
        "kind": "circle",
        "points": [{"latitude": 41, "longitude": -8}],
        "radiusM": 50,
    },
    "PATCH /api/v1/drivers/{driver_id}": {"name": "x"},
    "PUT /api/v1/deliveries/{delivery_id}/assignment": {"driverId": "drv_0"},
    "PATCH /api/v1/deliveries/{delivery_id}/status": {"status": "accepted"},
    "POST /api/v1/tracking/{delivery_id}": {"latitude": 41, "longitude": -8},
    "PUT /api/v1/users/{user_id}": {"email": "x@test.pt"},
    "PATCH /api/v1/users/{user_id}/role": {"role": "admin"},
    "POST /api/v1/quarantine/{device}/claim": {"driverId": "drv_0"},
    "PUT /api/v1/vehicles/{vehicle_id}": {"name": "x"},
    "PUT /api/v1/depots/{depot_id}": {"name": "x", "place": {"latitude": 41, "longitude": -8}},
    "PUT /api/v1/closures/{closure_id}": {
        "name": "x",
        "kind": "line",
        "points": [{"latitude": 41, "longitude": -8}, {"latitude": 41.01, "longitude": -8}],
    },
    "PUT /api/v1/deliveries/{delivery_id}/proof": {},
    "POST /api/v1/deliveries/{delivery_id}/offers": {},
    "PUT /api/v1/deliveries/{delivery_id}": {"dropoff": {"latitude": 41, "longitude": -8}},
    "PUT /api/v1/routes/{route_id}": {"stops": [{"deliveryId": "dlv_0"}]},
    "PATCH /api/v1/routes/{route_id}": {"locked": True},
    "PUT /api/v1/webhooks/{webhook_id}": {"url": "https://93.184.216.34/"},
    "POST /api/v1/webhooks/{webhook_id}/replay": {"failed": True},
}
"""Bodies that would do, so that nothing but whose it is can be at fault."""


def _right(route):
    """Return the right that a route's dependencies name, if any."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if (right := getattr(dependant.call, "right", None)) is not None:
            return right
        waiting += dependant.dependencies
    return None


ENDPOINTS = {
    f"{method} {context.path}": _right(context.original_route)
    for context in iter_route_contexts(create_app(Settings()).routes)
    if isinstance(context.original_route, APIRoute)
    and context.path.startswith("/api/v1/")
    and not context.path.startswith("/api/v1/devices/")
    for method in context.original_route.methods
}
GUARDED = sorted(endpoint for endpoint, right in ENDPOINTS.items() if right is not None)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nobody(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, _), client_of(app) as http:
        yield Caller(http)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def callers(nobody):
    """Return a caller of each role, all of one company."""
    admin = await nobody.registered()
    driver = await admin.make("drivers", {"name": "Ana"})
    found = {"admin": admin}
    for role, more in (("planner", {}), ("driver", {"driverId": driver["id"]})):
        email = f"{uuid.uuid4().hex}@test.pt"
        await admin.make("users", {"email": email, "password": PASSWORD, "role": role} | more)
        answer = await nobody.ask("POST", "auth/login", json={"email": email, "password": PASSWORD})
        found[role] = nobody.with_token(answer.json()["accessToken"])
    keys = {"gateway": {}, "device": {"driverId": driver["id"]}, "integration": {"scopes": list(SCOPES)}}
    for kind, more in keys.items():
        found[kind] = nobody.with_token((await admin.make("keys", {"kind": kind} | more))["key"])
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrowed(nobody):
    """Return integrations of one company, each with one scope."""
    admin = await nobody.registered()
    made = {scope: await admin.make("keys", {"kind": "integration", "scopes": [scope]}) for scope in SCOPES}
    return {scope: nobody.with_token(key["key"]) for scope, key in made.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def foreign(nobody, database):
    """Return ids of another company's things, by parameter of the path."""
    other = await nobody.registered()
    place = {"latitude": 41.0, "longitude": -8.0}
    made = {
        "driver_id": await other.make("drivers", {"name": "theirs"}),
        "delivery_id": await other.make("deliveries", {"dropoff": place}),
        "geofence_id": await other.make(
            "geofences", {"name": "yard", "kind": "circle", "points": [place], "radiusM": 100}
        ),
        "invitation_id": await other.make(
            "users/invitations", {"email": f"{uuid.uuid4().hex}@test.pt", "role": "admin"}
        ),
        "key_id": await other.make("keys", {"kind": "gateway"}),
        "erasure_id": await other.make("privacy/erasures", {"phone": "+351912345678"}),
        "vehicle_id": await other.make("vehicles", {"name": "theirs"}),
        "webhook_id": await other.make("webhooks", {"url": "https://93.184.216.34/", "enabled": False}),
        "depot_id": await other.make("depots", {"name": "theirs", "place": place}),
        "closure_id": await other.make(
            "closures", {"name": "theirs", "kind": "line", "points": [place, place | {"latitude": 41.01}]}
        ),
    }
    upload = f"deliveries/{made['delivery_id']['id']}/proofs"
    tenant = (await other.ask("GET", "auth/profile")).json()["tenantId"]
    made["offer_id"] = {"id": await _an_offer(database, tenant, made["delivery_id"]["id"])}
    made["proof_id"] = (await other.ask("POST", upload, content=b"\xff\xd8\xff")).json()
    planned = await other.make("deliveries", {"dropoff": place})
    made["route_id"] = await other.make("routes", {"stops": [{"deliveryId": planned["id"]}]})
    asked = await other.ask("POST", "routes/optimize", json={"deliveries": [made["delivery_id"]["id"]]})
    made["job_id"] = asked.json()
    made["proposal_id"] = await other.make("routes/proposals", {})
    [user] = (await other.ask("GET", "users")).json()["items"]
    letter = Task(id=new_id("tsk"), tenant=user["id"], kind="test", state="dead")
    await TaskRepository(database).put([letter])
    told = Notification(
        id=new_id("ntf"),
        tenant=user["id"],
        template="delivery-created",
        audience="customer",
        channels=("sms",),
        state="failed",
        delivery=made["delivery_id"]["id"],
    )
    await NotificationRepository(database).put([told])
    ids = {name: thing["id"] for name, thing in made.items()}
    file = {"content": "dropoff.address\nRua das Flores 1\n", "headers": {"Content-Type": "text/csv"}}
    ids["import_id"] = (await other.ask("POST", "deliveries/import", **file)).json()["id"]
    ids["model_name"] = "theirs"  # models are the installation's: what is not there is nobody's
    return ids | {"user_id": user["id"], "device": "their-phone", "task_id": letter.id, "notification_id": told.id}


async def _an_offer(database, tenant, delivery):
    offer = Offer(id=new_id("ofr"), driver="drv_theirs", made_at=now(), until=now(), away_m=1)
    asked = OfferRound(
        id=new_id("rnd"), tenant=tenant, delivery=delivery, terms=OfferTerms(), offers=(offer,), by="usr_theirs"
    )
    await OfferRepository(database).store(RoundChange(asked, None, ()))
    return offer.id


def test_every_endpoint_names_a_right_or_is_open_on_purpose():
    assert {endpoint for endpoint, right in ENDPOINTS.items() if right is None} == PUBLIC | OF_ONESELF


def test_every_right_and_role_is_used():
    assert {right for right in ENDPOINTS.values() if right} | {"profile.view"} == set(RIGHTS)
    assert {role for roles in RIGHTS.values() for role in roles} == set(get_args(Role))


def test_scopes_of_keys_are_what_integrations_may_do():
    granted = frozenset().union(*SCOPES.values())
    assert granted | {"profile.view"} == {right for right, roles in RIGHTS.items() if "integration" in roles}


@pytest.mark.parametrize("endpoint", GUARDED)
async def test_a_key_comes_in_by_its_scopes_alone(narrowed, endpoint):
    method, path = _with_ids(endpoint, dict.fromkeys(FOREIGN, "nothing"))
    let_in = set()
    for scope, caller in narrowed.items():
        answer = await caller.ask(method, path, json={} if method != "GET" else None)
        if answer.status_code != 403:
            let_in.add(scope)
    assert let_in == {scope for scope, rights in SCOPES.items() if ENDPOINTS[endpoint] in rights}


@pytest.mark.parametrize("endpoint", GUARDED)
async def test_roles_come_in_as_the_table_says(callers, nobody, endpoint):
    method, path = _with_ids(endpoint, dict.fromkeys(FOREIGN, "nothing"))
    refused = set()
    for role, caller in callers.items():
        answer = await caller.ask(method, path, json={} if method != "GET" else None)
        assert answer.status_code < 500
        if answer.status_code == 403:
            refused.add(role)
    assert refused == set(get_args(Role)) - RIGHTS[ENDPOINTS[endpoint]]
    assert (await nobody.ask(method, path, json={})).status_code == 401


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in GUARDED if "{" in endpoint])
async def test_another_companys_things_are_not_there(callers, foreign, endpoint):
    method, path = _with_ids(endpoint, foreign)
    [own] = (await callers["admin"].ask("GET", "drivers", params={"limit": 1})).json()["items"]
    body = BODIES.get(endpoint)
    if body is not None and "driverId" in body:
        body = body | {"driverId": own["id"]}
    caller = callers["admin" if "admin" in RIGHTS[ENDPOINTS[endpoint]] else "driver"]
    answer = await caller.ask(method, path, json=body, params=_params(endpoint))
    assert answer.status_code == 404, answer.text
    for secret in foreign.values():
        assert f'"{secret}"' not in answer.text


def _with_ids(endpoint, ids):
    method, path = endpoint.split(" ")
    return method, path.removeprefix("/api/v1/").format(**ids)


def _params(endpoint):
    wants_time = endpoint.endswith(("/track", "/trips"))
    return {"from": "1750000000000", "to": "1750003600000"} if wants_time else None
