"""A change of a user or a key is seen by every process's next request."""

import asyncio
import contextlib
import os
import signal
import uuid

import pytest_asyncio

from tests.rest import PASSWORD, Caller, client_of, running_api
from tests.stack import running_stores


@contextlib.asynccontextmanager
async def two_processes(stores, prefix):
    """Run the application twice, with nothing in common but the stores."""
    async with (
        running_api(stores, prefix) as (one, services),
        running_api(stores, prefix) as (other, _),
        client_of(one) as here,
        client_of(other) as there,
    ):
        yield Caller(here), Caller(there), services


@pytest_asyncio.fixture(loop_scope="session")
async def processes(stores, prefix):
    async with two_processes(stores, prefix) as running:
        yield running


async def a_user(admin: Caller) -> tuple[str, str]:
    person = {"email": f"{uuid.uuid4().hex}@test.pt", "password": PASSWORD}
    user = await admin.make("users", {**person, "role": "planner"})
    session = await admin.ask("POST", "auth/login", json=person)
    return user["id"], session.json()["accessToken"]


async def test_a_role_that_one_process_gives_counts_at_once_in_the_other(processes):
    here, there, _ = processes
    admin = await here.registered()
    user, token = await a_user(admin)
    for role in ("admin", "planner") * 10:
        answer = await admin.ask("PATCH", f"users/{user}/role", json={"role": role})
        assert answer.status_code == 200, answer.text
        assert (await there.with_token(token).ask("GET", "auth/profile")).json()["role"] == role
        assert (await here.with_token(token).ask("GET", "auth/profile")).json()["role"] == role


async def test_who_signs_in_while_the_password_changes_is_let_in_by_neither(processes, monkeypatch):
    here, there, services = processes
    admin = await here.registered()
    user = await admin.ask("GET", "auth/profile")
    is_right, was_right, changed = services.passwords.is_right, asyncio.Event(), asyncio.Event()

    async def slowly(*given):
        answer = await is_right(*given)
        was_right.set()
        await changed.wait()
        return answer

    monkeypatch.setattr(services.passwords, "is_right", slowly)
    person = {"email": user.json()["email"], "password": PASSWORD}
    signing_in = asyncio.create_task(here.ask("POST", "auth/login", json=person))
    await was_right.wait()
    own = {"current": PASSWORD, "new": "another horse battery"}
    assert (await there.with_token(admin.token).ask("POST", "auth/password", json=own)).status_code == 204
    changed.set()
    session = (await signing_in).json()
    for process in (here, there):
        assert (await process.with_token(session["accessToken"]).ask("GET", "auth/profile")).status_code == 401
    for _ in range(2):
        renewed = await there.ask("POST", "auth/refresh", json={"refreshToken": session["refreshToken"]})
        assert renewed.status_code == 401, renewed.text


async def test_a_key_that_one_process_deletes_is_refused_at_once_by_the_other(processes):
    here, there, _ = processes
    admin = await here.registered()
    for _ in range(5):
        key = await admin.make("keys", {"kind": "gateway", "name": "door"})
        device = there.with_token(key["key"])
        assert (await device.ask("GET", "auth/profile")).status_code == 200
        assert (await admin.ask("DELETE", f"keys/{key['id']}")).status_code == 204
        assert (await device.ask("GET", "auth/profile")).status_code == 401


async def test_without_redis_nothing_kept_is_used(prefix):
    async with running_stores() as stores, two_processes(stores, prefix) as (here, there, _):
        admin = await here.registered()
        user, token = await a_user(admin)
        assert (await there.with_token(token).ask("GET", "auth/profile")).json()["role"] == "planner"
        os.kill(stores.redis.pid, signal.SIGSTOP)
        try:
            assert (await admin.ask("PATCH", f"users/{user}/role", json={"role": "admin"})).status_code == 200
            assert (await there.with_token(token).ask("GET", "auth/profile")).json()["role"] == "admin"
        finally:
            os.kill(stores.redis.pid, signal.SIGCONT)
