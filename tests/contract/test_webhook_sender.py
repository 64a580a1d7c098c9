"""Posting to receivers that behave, and to some that don't."""

import asyncio
import contextlib
import socket

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from engine.settings import WebhookSettings
from engine.webhooks.look_ups import LookUps
from engine.webhooks.sender import WebhookSender
from engine.webhooks.signing import new_secret
from models.documents.document import now
from models.documents.event import Event
from models.ids import new_id

SECRET = new_secret()


@pytest.fixture
def event(tenant):
    return Event(
        id=new_id("evt"),
        tenant=tenant,
        time=now(),
        type="delivery.assigned",
        aggregate="dlv_1",
        sequence=2,
        actor="usr_1",
        data={"note": "Größe €"},
    )


@pytest.fixture
async def send(event):
    async with contextlib.AsyncExitStack() as stack:

        async def send(url, **settings):
            limits = WebhookSettings(**({"allow_private": True} | settings))
            sender = await stack.enter_async_context(WebhookSender(limits))
            return await sender.send(url, [SECRET], event)

        yield send


async def test_the_receiver_can_verify_what_it_gets(httpserver, send, event):
    httpserver.expect_request("/hook", method="POST").respond_with_data("", 204)
    reply = await send(httpserver.url_for("/hook"))
    assert (reply.ok, reply.status, reply.error) == (True, 204, None)
    request = httpserver.log[0][0]
    body = Verifier(SECRET).verify(request.get_data(), dict(request.headers))
    assert request.headers["webhook-id"] == event.id == body["id"]
    assert set(body) == {"id", "time", "type", "aggregate", "sequence", "schema", "actor", "data"}
    assert body["time"] == event.time.isoformat().replace("+00:00", "Z")
    assert (body["type"], body["sequence"], body["data"]) == ("delivery.assigned", 2, {"note": "Größe €"})


@pytest.mark.parametrize("status", [301, 400, 410, 500])
async def test_every_answer_but_2xx_is_a_failure(httpserver, send, status):
    headers = {"Location": httpserver.url_for("/elsewhere"), "Retry-After": "120"}
    httpserver.expect_request("/hook").respond_with_data("", status, headers)
    httpserver.expect_request("/elsewhere").respond_with_data("")
    reply = await send(httpserver.url_for("/hook"))
    assert (reply.ok, reply.status, reply.retry_after_s) == (False, status, 120)
    assert reply.gone == (status == 410)
    assert len(httpserver.log) == 1


async def test_a_receiver_that_says_nothing_is_given_up(send):
    async with _listening(lambda reader, writer: reader.read()) as url:  # until the sender hangs up
        reply = await send(url, timeout_s=0.2)
    assert not reply.ok
    assert "no answer" in reply.error


async def test_a_receiver_that_drips_is_given_up(send):
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"x")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read()  # until the sender hangs up

    async with _listening(drip) as url:
        reply = await send(url, timeout_s=0.3)
    assert not reply.ok
    assert "no answer" in reply.error


async def test_an_endless_answer_is_not_read_to_its_end(send):
    async def flood(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()

    async with _listening(flood) as url:
        assert (await send(url)).ok


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"])
async def test_a_broken_answer_is_a_failure(send, said):
    async def say(reader, writer):
        writer.write(said)

    async with _listening(say) as url:
        reply = await send(url)
    assert not reply.ok
    assert reply.error


async def test_nobody_there_is_a_failure(send):
    assert (await send("http://127.0.0.1:1/hook")).error


async def test_a_private_address_is_not_connected_to(send):
    """Also when a name that was public at its making leads there now: the check stands at the connection."""
    connected = asyncio.Event()

    async def note(reader, writer):
        connected.set()

    async with _listening(note) as url:
        for address in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "[::ffff:127.0.0.1]")):
            reply = await send(address, allow_private=False)
            assert not reply.ok
            assert "not public" in reply.error
    assert not connected.is_set()


async def test_a_dead_name_that_leads_to_a_private_address_now_is_not_connected_to(event):
    leads_to, time_s = [], [0.0]

    def found(name):
        if not leads_to:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return leads_to

    async with WebhookSender(WebhookSettings(), LookUps(found, lambda: time_s[0])) as sender:
        assert "no answer" in (await sender.send("https://name.test/hook", [SECRET], event)).error
        leads_to.append("127.0.0.1")
        assert "a moment ago" in (await sender.send("https://name.test/hook", [SECRET], event)).error
        time_s[0] = 5.0
        assert "not public" in (await sender.send("https://name.test/hook", [SECRET], event)).error


async def test_a_name_that_leads_nowhere_is_a_failure(send):
    assert "leads nowhere" in (await send("http://nobody.invalid/hook", allow_private=False)).error


@contextlib.asynccontextmanager
async def _listening(answer):
    """Yield the address of a server that reads a request's head, then does as `answer` says and hangs up."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
