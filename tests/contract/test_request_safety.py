"""Bodies, addresses and headers of requests: what is odd is refused and never stored; answers carry their headers."""

import json
import math
import uuid

import pytest
import pytest_asyncio
import structlog
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from engine.settings import Settings
from tests.rest import Caller, client_of, running_api

ORIGIN = "https://planner.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(stores):
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    api = {"cors_origins": (ORIGIN,)}
    async with running_api(stores, prefix, api=api, ingest={"max_body_bytes": 20_000}) as (app, _):
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(app):
    async with client_of(app) as http:
        yield await Caller(http).registered()


ENDPOINTS = sorted(
    (method, context.path)
    for context in iter_route_contexts(create_app(Settings()).routes)
    if isinstance(context.original_route, APIRoute)
    and context.path.startswith("/api/v1/")
    and not context.path.startswith(("/api/v1/devices/", "/api/v1/pings"))
    and context.original_route.body_field is not None
    for method in context.original_route.methods
)


async def raw(caller, method, path, body, kind="application/json"):
    return await caller.ask(method, path, content=body, headers={"Content-Type": kind})


def is_problem(answer, *statuses):
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    return answer.json()


POISONS = [
    '{"$gt": ""}',
    '{"a.b": 1}',
    '"\\u0000"',
    '"\\udead"',
    "1e999",
    "9" * 30,
    '{"k": 1, "k": 2}',
    "[" * 99 + "]" * 99,
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_no_endpoint_takes_a_poisoned_body(admin, method, path):
    path = path.removeprefix("/api/v1/").replace("{", "").replace("}", "")
    for poison in POISONS:
        problem = is_problem(await raw(admin, method, path, f'{{"name": "x", "more": {poison}}}'), 422)
        assert problem["errors"][0]["field"].startswith("more")
    for broken in (b"{", b'{"name": NaN}', b'{"name": "\xff"}', b"[" * 5000):
        is_problem(await raw(admin, method, path, broken), 400)


PARTS = st.sampled_from(
    [
        "name",
        "dropoff",
        "latitude",
        "longitude",
        "reference",
        "priority",
        "version",
        "$set",
        "a.b",
        "",
        "weightKg",
        "stops",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["\x00", "\ud800", "urgent", 41.1, 10**25]),
)
BODIES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PARTS | st.text(max_size=5), inner, max_size=5)
)


@pytest.mark.parametrize("path", ["drivers", "deliveries", "deliveries/bulk", "users", "keys", "geofences", "tenant"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, escaped=st.booleans())
async def test_whatever_comes_is_never_our_fault(admin, path, body, escaped):
    method = "PATCH" if path == "tenant" else "POST"
    answer = await raw(admin, method, path, json.dumps(body, ensure_ascii=escaped).encode(errors="surrogatepass"))
    assert answer.status_code < 500, answer.text
    if is_poisoned(body):
        is_problem(answer, 400, 422)


def is_poisoned(value):
    if isinstance(value, str):
        return "\x00" in value or any(0xD800 <= ord(letter) < 0xE000 for letter in value)
    if isinstance(value, int):
        return not -(2**63) <= value < 2**63
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, list):
        return any(map(is_poisoned, value))
    if isinstance(value, dict):
        odd = any(key.startswith("$") or "." in key for key in value)
        return odd or any(map(is_poisoned, [*value, *value.values()]))
    return False


async def test_a_refused_body_is_not_stored(admin):
    before = (await admin.ask("GET", "deliveries")).json()
    place = {"latitude": 41.1, "longitude": -8.6}
    good = json.dumps({"dropoff": place, "reference": "r"})
    for poison in POISONS:
        answer = await raw(admin, "POST", "deliveries", good[:-1] + f', "notes": {poison}}}')
        is_problem(answer, 422)
    assert (await admin.ask("GET", "deliveries")).json() == before
    assert (await raw(admin, "POST", "deliveries", good)).status_code == 201


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data", ""]
)
async def test_another_content_type_is_told(admin, kind):
    problem = is_problem(await raw(admin, "POST", "drivers", b'{"name": "x"}', kind), 415)
    assert problem["errors"][0]["field"] == "Content-Type"


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.fleet+json", "Application/JSON"]
)
async def test_json_may_be_called_by_all_its_names(admin, kind):
    assert (await raw(admin, "POST", "drivers", b'{"name": "x"}', kind)).status_code == 201
    is_problem(await raw(admin, "POST", "drivers", b'{"name": {"$gt": 1}}', kind), 422)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("deliveries?reference=a%00b", "reference"),
        ("deliveries?reference=%ed%a0%80", "reference"),
        ("deliveries?x%00=1", "x?"),
        ("deliveries?limit=2&cursor=%ff", "cursor"),
        ("deliveries/dlv_%00", "path"),
        ("deliveries/dlv_%ed%a0%80", "path"),
        ("drivers/%c3", "path"),
    ],
)
async def test_an_address_is_text(admin, path, field):
    assert is_problem(await admin.ask("GET", path), 400, 422)["errors"][0]["field"] == field


async def test_a_body_has_an_end(admin):
    async def endless():
        for _ in range(100):
            yield b'"' + b"x" * 10_000

    is_problem(await admin.ask("POST", "drivers", json={"name": "x" * 30_000}), 413)
    is_problem(await admin.ask("POST", "drivers", content=endless(), headers={"Content-Type": "application/json"}), 413)
    is_problem(await admin.ask("POST", "drivers", content=endless(), headers={"Content-Type": "text/plain"}), 413)


COMMON = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    ("path", "policy", "cached"),
    [
        ("/api/v1/auth/profile", "default-src 'none'", "no-store"),
        ("/api/v1/nowhere", "default-src 'none'", "no-store"),
        ("/api/v1/health", "default-src 'none'", "no-store"),
        ("/api/v1/openapi.json", "default-src 'none'", "no-store"),
        ("/metrics", "default-src 'none'", "no-store"),
        ("/", "script-src 'self';", None),
        ("/assets/none.js", "script-src 'self';", None),
        ("/docs", "script-src 'self'", None),
    ],
)
async def test_every_answer_carries_its_headers(admin, path, policy, cached):
    answer = await admin.http.get(path)
    for name, value in COMMON.items():
        assert answer.headers.get_list(name) == [value]
    assert policy in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    if cached:
        assert answer.headers["cache-control"] == cached


async def test_over_tls_browsers_are_told_to_stay_there(admin):
    answer = await admin.http.get("https://test/api/v1/health")
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_the_unforeseen_carries_its_headers_too(app, admin, monkeypatch):
    monkeypatch.setattr(app.state.services, "authenticator", None)
    with structlog.testing.capture_logs():  # printing a traceback with all its values takes minutes
        answer = await admin.ask("GET", "auth/profile")
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_cors_lets_named_origins_in_and_no_other(admin):
    ask = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
    friend = await admin.http.options("/api/v1/deliveries", headers=ask | {"Origin": ORIGIN})
    assert (friend.status_code, friend.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "PATCH" in friend.headers["access-control-allow-methods"]
    stranger = await admin.http.options("/api/v1/deliveries", headers=ask | {"Origin": "https://evil.example"})
    assert stranger.status_code == 400
    assert "access-control-allow-origin" not in stranger.headers
    plain = await admin.ask("GET", "deliveries", headers={"Origin": ORIGIN})
    assert plain.headers["access-control-allow-origin"] == ORIGIN
    refused = await admin.ask(
        "POST", "drivers", content=b"{", headers={"Origin": ORIGIN, "Content-Type": "application/json"}
    )
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (400, ORIGIN)
    assert "access-control-allow-origin" not in (await admin.ask("GET", "deliveries")).headers
