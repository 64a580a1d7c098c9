"""Open WebSockets end when what let them in is gone."""

import asyncio
import contextlib

import httpx2
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from api.ingest.takeover import TakeoverProtocol
from models.documents.document import now
from tests.door import hear, running_door
from tests.rest import PASSWORD, Caller


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["own-socket", "asgi"])
async def door(request, stores, prefix, tenant):
    async with running_door(stores, prefix, tenant, request.param) as running:
        settings = running.services.settings
        often = settings.api.model_copy(update={"recheck_s": 0.05})
        running.services.settings = settings.model_copy(update={"api": often})
        yield running


@pytest.mark.parametrize("path", ["ws/ingest", "ws"])
async def test_a_deleted_key_is_shown_out(door, path):
    address = f"ws://{door.address}/api/v1/{path}?token={door.device}"
    async with websockets.connect(address) as stream:
        assert (await hear(stream))["type"] == "connection_established"
        await door.services.database["keys"].delete_many({"tenant": door.tenant})
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await stream.recv()
    assert (stream.close_code, "changed" in stream.close_reason) == (1008, True)


@pytest.mark.parametrize("path", ["ws/ingest", "ws"])
async def test_a_new_password_shows_out_whoever_came_in_with_the_old_one(door, path):
    async with httpx2.AsyncClient(base_url=door.url, trust_env=False) as http:
        admin = await Caller(http).registered()
        async with websockets.connect(f"ws://{door.address}/api/v1/{path}?token={admin.token}") as stream:
            assert (await hear(stream))["type"] == "connection_established"
            own = {"current": PASSWORD, "new": "another horse battery"}
            assert (await admin.ask("POST", "auth/password", json=own)).status_code == 204
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        await stream.recv()
    assert stream.close_code == 1008


async def test_a_key_that_goes_on_stays(door):
    """Looked at some twenty times, and used all the while."""
    async with websockets.connect(f"ws://{door.address}/api/v1/ws/ingest?token={door.device}") as stream:
        await hear(stream)
        asked, real = [], door.services.authenticator.is_current

        async def counted(principal):
            asked.append(now())
            return await real(principal)

        door.services.authenticator.is_current = counted
        async with asyncio.timeout(10):
            while len(asked) < 20:
                await (await stream.ping())
        assert stream.close_code is None
