"""A seeded company is one as any other: signed in to, read, and changed over the API."""

import uuid

import pytest

from api.auth.passwords import Passwords
from engine.tenants.sample import sample_company
from engine.tenants.seeding import Seeding
from models.documents.document import now
from models.errors import Conflict
from tests.rest import PASSWORD, Caller, client_of, running_api


async def test_a_company_is_seeded_once_and_signed_in_to(stores, prefix):
    domain = f"{uuid.uuid4().hex[:8]}.example"
    async with running_api(stores, prefix) as (app, services), client_of(app) as http:
        sample = sample_company(1, now(), deliveries=40, drivers=16)
        seeding = Seeding(services.database, services.settings.log.partitions)
        password_hash = await Passwords().hashed(PASSWORD)
        told: list[tuple[int, int]] = []
        email = await seeding.run(sample, domain, password_hash, lambda *progress: told.append(progress))
        assert told[-1] == (40, 40)

        caller = Caller(http)
        session = (await caller.ask("POST", "auth/login", json={"email": email, "password": PASSWORD})).json()
        admin = caller.with_token(session["accessToken"])
        listed = {one["reference"]: one for one in (await admin.ask("GET", "deliveries?limit=200")).json()["items"]}
        for one in sample.deliveries:
            found = listed.pop(one.reference)
            assert found["customer"]["name"] == one.customer.name
            assert [step["status"] for step in found["history"]] == [step.status for step in one.steps]
            assert found["status"] == (one.steps[-1].status if one.steps else "pending")
        assert not listed
        assert len((await admin.ask("GET", "vehicles")).json()["items"]) == 16
        assert len((await admin.ask("GET", "users")).json()["items"]) == 20

        with pytest.raises(Conflict):
            await seeding.run(sample, domain, password_hash, lambda *_: None)
