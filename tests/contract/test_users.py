"""People of a company over REST: their accounts, roles, passwords and sign-ins."""

import asyncio
import uuid

import pytest
import pytest_asyncio

from tests.rest import PASSWORD, Caller, client_of, running_api


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


def an_address():
    return f"{uuid.uuid4().hex[:16]}@test.pt"


async def a_user(admin, role="planner", **fields):
    return await admin.make("users", {"email": an_address(), "password": PASSWORD, "role": role} | fields)


async def signed_in(nobody, email, password=PASSWORD):
    answer = await nobody.ask("POST", "auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refreshed(nobody, token):
    return await nobody.ask("POST", "auth/refresh", json={"refreshToken": token})


async def test_a_user_can_be_made_changed_and_deleted(admin, nobody):
    made = await a_user(admin, name="Rui")
    assert (made["role"], made["version"], "password" in str(made)) == ("planner", 1, False)
    session = await signed_in(nobody, made["email"])
    planner = nobody.with_token(session["accessToken"])
    assert (await planner.ask("GET", "auth/profile")).json()["role"] == "planner"
    body = {"email": an_address(), "name": "Rui Costa", "version": 1}
    changed = (await admin.ask("PUT", f"users/{made['id']}", json=body)).json()
    assert (changed["email"], changed["name"], changed["version"]) == (body["email"], "Rui Costa", 2)
    lost = await admin.ask("PUT", f"users/{made['id']}", json=body)
    assert (lost.status_code, lost.json()["current"]) == (409, 2)
    assert (await admin.ask("DELETE", f"users/{made['id']}")).status_code == 204
    assert (await planner.ask("GET", "auth/profile")).status_code == 401, "its token is void too"
    assert (await refreshed(nobody, session["refreshToken"])).status_code == 401
    assert (await admin.ask("GET", f"users/{made['id']}")).status_code == 404


async def test_a_role_counts_at_once_for_tokens_that_are_out(admin, nobody):
    made = await a_user(admin)
    planner = nobody.with_token((await signed_in(nobody, made["email"]))["accessToken"])
    assert (await planner.ask("GET", "keys")).status_code == 403
    answer = await admin.ask("PATCH", f"users/{made['id']}/role", json={"role": "admin", "version": 1})
    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
    assert (await planner.ask("GET", "keys")).status_code == 200


async def test_a_driver_is_a_driver_of_the_company(admin, nobody):
    driver = await admin.make("drivers", {"name": "Ana"})
    other = await (await nobody.registered()).make("drivers", {"name": "theirs"})
    body = {"email": an_address(), "password": PASSWORD, "role": "driver"}
    for wrong in ({}, {"driverId": other["id"]}, {"driverId": driver["id"], "role": "planner"}):
        answer = await admin.ask("POST", "users", json=body | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "driverId")
    made = await admin.make("users", body | {"driverId": driver["id"]})
    phone = nobody.with_token((await signed_in(nobody, made["email"]))["accessToken"])
    assert (await phone.ask("GET", f"drivers/{driver['id']}")).status_code == 200
    assert (await phone.ask("GET", "users")).status_code == 403


async def test_a_planner_sees_the_users_who_drive(admin, nobody):
    driver = await admin.make("drivers", {"name": "Ana"})
    drives = await a_user(admin, "driver", driverId=driver["id"])
    plans = await a_user(admin)
    planner = nobody.with_token((await signed_in(nobody, plans["email"]))["accessToken"])
    assert [user["id"] for user in (await planner.ask("GET", "users")).json()["items"]] == [drives["id"]]
    assert (await planner.ask("GET", "users", params={"role": "admin"})).status_code == 403
    assert (await planner.ask("GET", f"users/{plans['id']}")).status_code == 404


async def test_an_address_is_taken_once_over_all_companies(admin, nobody):
    made = await a_user(admin)
    other = await nobody.registered()
    body = {"email": made["email"].upper(), "password": PASSWORD, "role": "admin"}
    assert (await other.ask("POST", "users", json=body)).status_code == 409


async def test_the_last_admin_stays(admin, nobody):
    [only] = (await admin.ask("GET", "users")).json()["items"]
    assert (await admin.ask("DELETE", f"users/{only['id']}")).status_code == 409
    assert (await admin.ask("PATCH", f"users/{only['id']}/role", json={"role": "planner"})).status_code == 409
    second = await a_user(admin, "admin")
    again = nobody.with_token((await signed_in(nobody, second["email"]))["accessToken"])
    answers = await asyncio.gather(
        admin.ask("PATCH", f"users/{second['id']}/role", json={"role": "planner"}),
        again.ask("PATCH", f"users/{only['id']}/role", json={"role": "planner"}),
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_sign_in(nobody):
    email = an_address()
    first = await nobody.make("auth/register", {"tenant": "T", "email": email, "password": PASSWORD})
    second = (await refreshed(nobody, first["refreshToken"])).json()
    assert (await nobody.with_token(second["accessToken"]).ask("GET", "auth/profile")).json()["email"] == email
    other = await signed_in(nobody, email)
    assert (await refreshed(nobody, first["refreshToken"])).status_code == 401
    assert (await refreshed(nobody, second["refreshToken"])).status_code == 401, "a thief and its victim are both out"
    assert (await refreshed(nobody, other["refreshToken"])).status_code == 200, "another sign-in goes on"


async def test_of_many_refreshes_at_once_one_gets_through(nobody):
    session = await nobody.make("auth/register", {"tenant": "T", "email": an_address(), "password": PASSWORD})
    answers = await asyncio.gather(*(refreshed(nobody, session["refreshToken"]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


@pytest.mark.parametrize("token", ["", "garbage", "orr_" + "0" * 26 + "_" + "0" * 64, "x" * 300])
async def test_a_wrong_refresh_token_is_told(nobody, token):
    assert (await refreshed(nobody, token)).status_code in (401, 422)


async def test_logging_out_ends_one_sign_in(nobody):
    email = an_address()
    first = await nobody.make("auth/register", {"tenant": "T", "email": email, "password": PASSWORD})
    second = await signed_in(nobody, email)
    assert (await nobody.ask("POST", "auth/logout", json={"refreshToken": first["refreshToken"]})).status_code == 204
    assert (await refreshed(nobody, first["refreshToken"])).status_code == 401
    assert (await refreshed(nobody, second["refreshToken"])).status_code == 200


async def test_a_new_password_ends_what_the_old_one_opened(admin, nobody):
    made = await a_user(admin)
    session = await signed_in(nobody, made["email"])
    planner = nobody.with_token(session["accessToken"])
    wrong = await planner.ask("POST", "auth/password", json={"current": "wrong", "new": "another good one"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "current")
    body = {"current": PASSWORD, "new": "another good one"}
    assert (await planner.ask("POST", "auth/password", json=body)).status_code == 204
    assert (await planner.ask("GET", "auth/profile")).status_code == 401
    assert (await refreshed(nobody, session["refreshToken"])).status_code == 401
    old = await nobody.ask("POST", "auth/login", json={"email": made["email"], "password": PASSWORD})
    assert old.status_code == 401
    fresh = await signed_in(nobody, made["email"], "another good one")
    assert (await nobody.with_token(fresh["accessToken"]).ask("GET", "auth/profile")).status_code == 200


async def test_a_key_has_no_password(admin):
    key = (await admin.make("keys", {"kind": "gateway"}))["key"]
    body = {"current": PASSWORD, "new": "another good one"}
    assert (await admin.with_token(key).ask("POST", "auth/password", json=body)).status_code == 403
