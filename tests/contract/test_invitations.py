"""Invitations and forgotten passwords: links in mails that are good once, and what the audit log says of sign-ins."""

import asyncio
import datetime
import uuid

import pytest
import pytest_asyncio

from engine.notifications.texts import text_of
from models.documents.notification import Template
from models.store.personal import opened
from tests.rest import PASSWORD, Caller, client_of, running_api

CHOSEN = "a password of my own"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    api = {"public_url": "https://fleet.example/map/"}
    async with running_api(stores, prefix, api=api) as (app, services), client_of(app) as http:
        yield Caller(http), services.database


@pytest.fixture
def nobody(running):
    return running[0]


@pytest.fixture
def database(running):
    return running[1]


def an_address():
    return f"{uuid.uuid4().hex[:16]}@test.pt"


async def a_company(nobody, **fields):
    email = an_address()
    body = {"tenant": "Blue Vans", "email": email, "password": PASSWORD, "name": "Ana"} | fields
    made = await nobody.make("auth/register", body)
    return nobody.with_token(made["accessToken"]), made["tenantId"], email


async def mails(database, tenant):
    found = await database.tasks.find({"tenant": tenant, "kind": "message"}).sort("_id", 1).to_list(None)
    return [(await opened(database.vault, "tasks", tenant, fields))["payload"] for fields in found]


def token_of(link):
    return link.partition("=")[2]


async def accept(nobody, token, **fields):
    body = {"token": token, "password": CHOSEN, "name": "Rui"} | fields
    return await nobody.ask("POST", "auth/accept-invitation", json=body)


async def login(nobody, email, password):
    return await nobody.ask("POST", "auth/login", json={"email": email, "password": password})


async def test_the_invited_choose_their_name_and_password(nobody, database):
    admin, tenant, _ = await a_company(nobody)
    email = an_address()
    made = await admin.make("users/invitations", {"email": email.upper(), "role": "planner"})
    [mail] = await mails(database, tenant)
    assert mail["to"] == {"email": email}
    assert (mail["template"], mail["language"], mail["channels"]) == ("invitation", "en", ["email"])
    assert mail["values"] == {"company": "Blue Vans", "link": made["link"], "days": 7, "inviter": "Ana"}
    assert made["link"].startswith("https://fleet.example/map/#invitation=ori_")
    [listed] = (await admin.ask("GET", "users/invitations")).json()["items"]
    assert (listed["id"], listed["email"], "link" in listed) == (made["id"], email, False)
    answer = await accept(nobody, token_of(made["link"]))
    assert (answer.status_code, answer.json()["role"], answer.json()["tenantId"]) == (201, "planner", tenant)
    profile = (await nobody.with_token(answer.json()["accessToken"]).ask("GET", "auth/profile")).json()
    assert (profile["email"], profile["name"]) == (email, "Rui")
    assert (await login(nobody, email, CHOSEN)).status_code == 200
    assert (await admin.ask("GET", "users/invitations")).json()["items"] == []


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
async def test_the_mails_can_be_written_in_the_companys_language(nobody, database, language):
    admin, tenant, email = await a_company(nobody)
    await admin.ask("PATCH", "tenant", json={"settings": {"language": language}})
    await admin.make("users/invitations", {"email": an_address(), "role": "planner"})
    await forgot(nobody, email)
    for mail in await mails(database, tenant):
        assert mail["language"] == language
        written = text_of(Template(mail["template"]), mail["language"], "email", mail["values"], "UTC")
        assert mail["values"]["link"] in written.text
        assert "Blue Vans" in written.text


async def test_an_invitation_is_good_once(nobody):
    admin, _, _ = await a_company(nobody)
    made = await admin.make("users/invitations", {"email": an_address(), "role": "planner"})
    answers = await asyncio.gather(*(accept(nobody, token_of(made["link"])) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]
    assert (await accept(nobody, token_of(made["link"]))).status_code == 401


async def test_a_withdrawn_or_expired_invitation_is_void(nobody, database):
    admin, _, _ = await a_company(nobody)
    email = an_address()
    first = await admin.make("users/invitations", {"email": email, "role": "admin"})
    assert (await admin.ask("DELETE", f"users/invitations/{first['id']}")).status_code == 204
    assert (await accept(nobody, token_of(first["link"]))).status_code == 401
    second = await admin.make("users/invitations", {"email": email, "role": "admin"})
    long_ago = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(days=8)
    await database.invitations.update_one({"_id": second["id"]}, {"$set": {"expiresAt": long_ago}})
    assert (await accept(nobody, token_of(second["link"]))).status_code == 401
    third = await admin.make("users/invitations", {"email": email, "role": "admin"})
    assert (await accept(nobody, token_of(third["link"]))).status_code == 201


async def test_who_is_invited_or_registered_already_is_told(nobody):
    admin, _, own = await a_company(nobody)
    email = an_address()
    await admin.make("users/invitations", {"email": email, "role": "planner"})
    for taken in (email, own):
        answer = await admin.ask("POST", "users/invitations", json={"email": taken, "role": "planner"})
        assert answer.status_code == 409
    other, _, _ = await a_company(nobody)
    assert (await other.ask("POST", "users/invitations", json={"email": email, "role": "planner"})).status_code == 201


async def test_an_invitation_for_a_driver_names_one_of_the_company(nobody):
    admin, _, _ = await a_company(nobody)
    driver = await admin.make("drivers", {"name": "Ana"})
    other, _, _ = await a_company(nobody)
    foreign = await other.make("drivers", {"name": "theirs"})
    body = {"email": an_address(), "role": "driver"}
    for wrong in ({}, {"driverId": foreign["id"]}, {"driverId": driver["id"], "role": "planner"}):
        answer = await admin.ask("POST", "users/invitations", json=body | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "driverId")
    made = await admin.make("users/invitations", body | {"driverId": driver["id"]})
    token = (await accept(nobody, token_of(made["link"]))).json()["accessToken"]
    assert (await nobody.with_token(token).ask("GET", "auth/profile")).json()["driverId"] == driver["id"]


async def test_inviting_twice_with_one_key_invites_once(nobody, database):
    admin, tenant, _ = await a_company(nobody)
    body, headers = {"email": an_address(), "role": "planner"}, {"Idempotency-Key": "once"}
    answers = [await admin.ask("POST", "users/invitations", json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await mails(database, tenant)) == 1
    stored = await database.invitations.find_one({"tenant": tenant})
    assert token_of(answers[0].json()["link"]) not in str(stored)


WRONG = ["", "garbage", "ori_" + "0" * 26 + "_" + "0" * 64, "orr_" + "0" * 26 + "_" + "0" * 64, "x" * 300]


@pytest.mark.parametrize("token", WRONG)
async def test_a_wrong_token_opens_nothing(nobody, token):
    assert (await accept(nobody, token)).status_code in (401, 422)
    body = {"token": token, "password": CHOSEN}
    assert (await nobody.ask("POST", "auth/reset-password", json=body)).status_code in (401, 422)


async def forgot(nobody, email):
    return await nobody.ask("POST", "auth/forgot-password", json={"email": email})


async def reset(nobody, token, password=CHOSEN):
    return await nobody.ask("POST", "auth/reset-password", json={"token": token, "password": password})


async def test_a_forgotten_password_is_chosen_anew_by_mail(nobody, database):
    admin, tenant, email = await a_company(nobody)
    session = (await login(nobody, email, PASSWORD)).json()
    answer = await forgot(nobody, email.upper())
    assert answer.status_code == 202
    [mail] = await mails(database, tenant)
    assert (mail["template"], mail["to"]) == ("password-reset", {"email": email})
    assert (mail["values"]["minutes"], mail["values"]["company"]) == (60, "Blue Vans")
    token = token_of(mail["values"]["link"])
    assert token not in str(await database.password_resets.find_one({"tenant": tenant}))
    assert (await reset(nobody, token, "short")).status_code == 422
    assert sorted([one.status_code for one in await asyncio.gather(*(reset(nobody, token) for _ in range(3)))]) == [
        204,
        401,
        401,
    ]
    assert (await login(nobody, email, PASSWORD)).status_code == 401
    assert (await login(nobody, email, CHOSEN)).status_code == 200
    assert (await admin.ask("GET", "auth/profile")).status_code == 401, "tokens of before are void"
    refreshed = await nobody.ask("POST", "auth/refresh", json={"refreshToken": session["refreshToken"]})
    assert refreshed.status_code == 401, "and sign-ins of before"


async def test_nobody_learns_who_has_an_account(nobody, database):
    _, tenant, email = await a_company(nobody)
    known, unknown = await forgot(nobody, email), await forgot(nobody, an_address())
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert set(known.headers) == set(unknown.headers)
    assert len(await mails(database, tenant)) == 1


async def test_the_newest_link_alone_is_good_and_not_for_ever(nobody, database):
    _, tenant, email = await a_company(nobody)
    await forgot(nobody, email)
    await forgot(nobody, email)
    old, new = [token_of(mail["values"]["link"]) for mail in await mails(database, tenant)]
    assert (await reset(nobody, old)).status_code == 401
    long_ago = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(seconds=1)
    await database.password_resets.update_one({"tenant": tenant}, {"$set": {"expiresAt": long_ago}})
    assert (await reset(nobody, new)).status_code == 401


async def test_a_link_to_an_old_address_is_void(nobody, database):
    admin, tenant, email = await a_company(nobody)
    await forgot(nobody, email)
    [user] = (await admin.ask("GET", "users")).json()["items"]
    assert (await admin.ask("PUT", f"users/{user['id']}", json={"email": an_address()})).status_code == 200
    [mail] = await mails(database, tenant)
    assert (await reset(nobody, token_of(mail["values"]["link"]))).status_code == 401


async def test_a_changed_password_voids_the_link(nobody, database):
    admin, tenant, email = await a_company(nobody)
    await forgot(nobody, email)
    assert (await admin.ask("POST", "auth/password", json={"current": PASSWORD, "new": CHOSEN})).status_code == 204
    [mail] = await mails(database, tenant)
    assert (await reset(nobody, token_of(mail["values"]["link"]), "yet another one")).status_code == 401


async def test_mails_have_an_end(nobody):
    email = an_address()
    assert [(await forgot(nobody, email)).status_code for _ in range(6)] == [202] * 5 + [429]


async def test_the_audit_log_knows_who_signed_in_and_who_failed(nobody):
    admin, _, email = await a_company(nobody)
    assert (await login(nobody, email, "wrong")).status_code == 401
    assert (await login(nobody, email, PASSWORD)).status_code == 200
    made = await admin.make("users/invitations", {"email": an_address(), "role": "planner"})
    await accept(nobody, token_of(made["link"]))
    assert (await admin.ask("POST", "auth/password", json={"current": PASSWORD, "new": CHOSEN})).status_code == 204
    again = nobody.with_token((await login(nobody, email, CHOSEN)).json()["accessToken"])
    entries = (await again.ask("GET", "audit")).json()["items"]
    actions = [entry["action"] for entry in entries]
    assert actions.count("user.sign_in_failed") == 1
    assert actions.count("user.signed_in") == 2
    wanted = {"invitation.created", "invitation.accepted", "user.created", "user.password_changed"}
    assert wanted <= set(actions)
    failed = next(entry for entry in entries if entry["action"] == "user.sign_in_failed")
    assert {"field": "address", "before": None, "after": "127.0.0.1"} in failed["changes"]
    for secret in ("argon2", token_of(made["link"]), PASSWORD, CHOSEN):
        assert secret not in str(entries)
