"""Signing up and in, tokens and keys, and who may do what."""

import datetime
import hashlib
import uuid
from datetime import UTC

import jwt
import pytest
import pytest_asyncio

from tests.rest import PASSWORD, Caller, client_of, running_api
from tests.stack import eventually

SECRET = "0123456789abcdef" * 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, _):
        yield app


@pytest_asyncio.fixture(loop_scope="session")
async def nobody(app):
    async with client_of(app) as http:
        yield Caller(http)


@pytest_asyncio.fixture(loop_scope="session")
async def admin(nobody):
    return await nobody.registered()


async def test_signing_up_and_in_gives_a_token_that_works(nobody):
    body = {"tenant": "Ana & Filhos", "email": f"ANA@{id(nobody)}.pt", "password": PASSWORD}
    made = await nobody.make("auth/register", body)
    answer = await nobody.ask("POST", "auth/login", json={"email": body["email"].lower(), "password": PASSWORD})
    assert answer.status_code == 200
    profile = (await nobody.with_token(answer.json()["accessToken"]).ask("GET", "auth/profile")).json()
    assert profile["tenantId"] == made["tenantId"]
    assert (profile["role"], profile["tenantName"]) == ("admin", "Ana & Filhos")
    again = await nobody.ask("POST", "auth/register", json=body)
    assert again.status_code == 409


async def test_a_wrong_password_and_an_unknown_address_look_alike(nobody):
    body = {"tenant": "T", "email": f"rui{id(nobody)}@test.pt", "password": PASSWORD}
    await nobody.make("auth/register", body)
    wrong = await nobody.ask("POST", "auth/login", json={"email": body["email"], "password": "wrong"})
    unknown = await nobody.ask("POST", "auth/login", json={"email": "no.one@test.pt", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


def a_forged_token(secret=SECRET, algorithm="HS256", kid=None, **claims):
    issued = datetime.datetime.now(tz=UTC)
    usual = {
        "iss": "outrider",
        "aud": "outrider-api",
        "sub": "usr_1",
        "tenant": "ten_1",
        "role": "admin",
        "iat": issued,
        "exp": issued + datetime.timedelta(hours=1),
    }
    kid = kid or hashlib.sha256(SECRET.encode()).hexdigest()[:8]
    return jwt.encode(usual | claims, secret, algorithm, headers={"kid": kid})


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "a.b.c",
        "x" * 5000,
        "ork_short_key",
        "ork_" + "0" * 26 + "_" + "0" * 64,
        a_forged_token(secret="f" * 64),
        a_forged_token(kid="deadbeef"),
        a_forged_token(aud="another"),
        a_forged_token(iss="another"),
        a_forged_token(role="root"),
        a_forged_token(exp=datetime.datetime(2020, 1, 1, tzinfo=UTC)),
        a_forged_token(algorithm="HS512"),
        jwt.encode({"sub": "usr_1"}, None, "none"),
    ],
)
async def test_a_bad_token_is_a_401_problem(nobody, token):
    answer = await nobody.with_token(token).ask("GET", "drivers")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest_asyncio.fixture(loop_scope="session")
async def rotated(stores):
    """Return a caller of an app that signs with a new key and still knows the old one."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    async with running_api(stores, prefix, jwt_secrets=("f" * 64,)) as (app, _), client_of(app) as http:
        yield Caller(http)


async def test_a_new_key_signs_and_the_old_one_verifies(rotated, nobody):
    """An operator can rotate without signing anybody out."""
    old = (await nobody.registered()).token
    assert (await rotated.with_token(old).ask("GET", "auth/profile")).status_code == 200
    new = (await rotated.registered()).token
    assert (await rotated.with_token(new).ask("GET", "auth/profile")).status_code == 200
    assert (await nobody.with_token(new).ask("GET", "auth/profile")).status_code == 401
    forged = a_forged_token(secret="f" * 64, kid=jwt.get_unverified_header(old)["kid"])
    assert (await rotated.with_token(forged).ask("GET", "auth/profile")).status_code == 401


async def test_a_running_process_follows_the_file_of_its_keys(stores, tmp_path):
    file, old, new = tmp_path / "jwt", "o" * 64, "n" * 64
    file.write_text(old)
    settings = {"jwt_secret": None, "jwt_secrets_file": file}
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}", **settings) as (app, _), client_of(app) as http:
        nobody = Caller(http)
        before = await nobody.registered()

        async def signs_anew():
            return jwt.get_unverified_header((await nobody.registered()).token)["kid"] != kid_of(before)

        async def is_let_in():
            return (await before.ask("GET", "auth/profile")).status_code == 200

        async def is_void():
            return not await is_let_in()

        for broken in ("", "short", f"{new} short"):
            file.write_text(broken)
            assert await is_let_in()
        file.write_text(f"{new}\n{old}")
        await eventually(signs_anew)
        assert await is_let_in()
        file.write_text(new)
        await eventually(is_void)


def kid_of(caller):
    return jwt.get_unverified_header(caller.token)["kid"]


async def test_a_repeat_is_known_over_a_rotation(rotated, admin):
    body, headers = {"name": "Ana"}, {"Idempotency-Key": "once"}
    first = await admin.ask("POST", "drivers", json=body, headers=headers)
    after = rotated.with_token(admin.token)
    again = await after.ask("POST", "drivers", json=body, headers=headers)
    other = await after.ask("POST", "drivers", json={"name": "B"}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json()["id"] == first.json()["id"]


async def test_no_token_is_401(nobody):
    assert (await nobody.ask("GET", "drivers")).status_code == 401


async def test_a_device_key_speaks_for_its_driver_alone(admin):
    mine, other = await admin.make("drivers/bulk", [{"name": "mine"}, {"name": "other"}])
    made = await admin.make("keys", {"kind": "device", "driverId": mine["id"], "name": "phone"})
    device = admin.with_token(made["key"])
    assert (await device.ask("GET", f"drivers/{mine['id']}")).status_code == 200
    assert (await device.ask("GET", f"drivers/{other['id']}")).status_code == 404
    assert (await device.ask("GET", "drivers")).status_code == 403
    assert (await device.ask("POST", "drivers", json={"name": "x"})).status_code == 403


async def test_a_deleted_key_stops_working(admin):
    made = await admin.make("keys", {"kind": "gateway", "name": "depot"})
    gateway = admin.with_token(made["key"])
    assert (await gateway.ask("GET", "auth/profile")).json()["role"] == "gateway"
    listed = (await admin.ask("GET", "keys")).json()["items"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert "key" not in listed[0]
    assert (await admin.ask("DELETE", f"keys/{made['id']}")).status_code == 204
    assert (await gateway.ask("GET", "auth/profile")).status_code == 401


async def test_a_gateway_key_reads_and_changes_nothing(admin):
    gateway = admin.with_token((await admin.make("keys", {"kind": "gateway", "name": "depot"}))["key"])
    for method, path in (("GET", "drivers"), ("GET", "deliveries"), ("GET", "geofences"), ("GET", "keys")):
        assert (await gateway.ask(method, path)).status_code == 403


async def test_a_device_key_needs_a_driver_of_the_tenant(admin, nobody):
    other = await nobody.registered()
    foreign = await other.make("drivers", {"name": "theirs"})
    answer = await admin.ask("POST", "keys", json={"kind": "device", "driverId": foreign["id"], "name": "x"})
    assert answer.status_code == 404
    assert (await admin.ask("POST", "keys", json={"kind": "device", "name": "x"})).status_code == 422
