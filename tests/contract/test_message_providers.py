"""Providers of messages that are slow, broken, absent, or talk nonsense: what each sender makes of it."""

import contextlib
import socket
import threading

import pytest
import pytest_asyncio
from werkzeug import Response

from engine.providers.email import EmailSender
from engine.providers.outgoing import Outgoing
from engine.providers.push import PushSender
from engine.providers.senders import senders_of
from engine.providers.sms import SmsSender
from engine.settings import EmailSettings, NotificationSettings, PushSettings, SmsSettings
from models.errors import BadSettings, MessageRefused, OutcomeUnknown, ProviderDown
from tests.smtp import mail_server
from tests.stack import eventually

MESSAGE = Outgoing(
    id="ntf_1", to="+351910000000", company="Café Ümläut, Lda", subject="Order", text="Your order\n.is on its way 你好"
)
MAIL = Outgoing(**{name: getattr(MESSAGE, name) for name in ("id", "company", "subject", "text")}, to="ana@test.pt")


@pytest.fixture
def gateway(http_server):
    yield http_server
    http_server.clear()


@contextlib.asynccontextmanager
async def closing(sender):
    try:
        yield sender
    finally:
        await sender.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sms(gateway):
    settings = SmsSettings(token="secret", sender="Outrider", timeout_s=0.5)
    async with closing(SmsSender(gateway.url_for("/sms"), settings)) as sender:
        yield sender


def an_unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_an_sms_carries_our_id_as_idempotency_key(gateway, sms):
    gateway.expect_request("/sms", method="POST").respond_with_json({"id": "x"}, status=202)
    await sms.send(MESSAGE)
    request = gateway.log[0][0]
    assert request.headers["Idempotency-Key"] == "ntf_1"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.get_json() == {"id": "ntf_1", "to": MESSAGE.to, "text": MESSAGE.text, "from": "Outrider"}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, "{}", MessageRefused),
        (422, "", MessageRefused),
        (401, "{}", ProviderDown),
        (404, "<html>", ProviderDown),
        (429, "{}", ProviderDown),
        (302, "", ProviderDown),
        (500, "oops", ProviderDown),
        (503, "", ProviderDown),
        (409, "{}", OutcomeUnknown),
        (502, "", OutcomeUnknown),
        (504, "", OutcomeUnknown),
        (200, "<html>welcome to the hotel</html>", OutcomeUnknown),
        (200, '{"cut off', OutcomeUnknown),
        (200, "[" * 70_000, OutcomeUnknown),
        (200, b"\xff\xfe", OutcomeUnknown),
    ],
)
async def test_a_gateway_that_does_not_take_a_message_is_understood(gateway, sms, status, body, outcome):
    gateway.expect_request("/sms").respond_with_data(body, status=status)
    with pytest.raises((MessageRefused, ProviderDown)) as told:
        await sms.send(MESSAGE)
    assert type(told.value) is outcome


async def test_a_gateway_says_when_to_come_back(gateway, sms):
    gateway.expect_request("/sms").respond_with_data("", status=429, headers={"Retry-After": "17"})
    with pytest.raises(ProviderDown) as told:
        await sms.send(MESSAGE)
    assert told.value.retry_after_s == 17


async def test_nobody_knows_what_a_slow_gateway_has_done(gateway, sms):
    let_go = threading.Event()
    gateway.expect_request("/sms").respond_with_handler(lambda _: let_go.wait(10) and Response("{}"))
    try:
        with pytest.raises(OutcomeUnknown):
            await sms.send(MESSAGE)
    finally:
        let_go.set()
    await eventually(lambda: gateway.log)  # else its answer shows up in the next test


@pytest.mark.parametrize("kind", ["sms", "push"])
async def test_a_gateway_that_is_not_there_has_taken_nothing(kind):
    url = f"http://127.0.0.1:{an_unused_port()}/"
    sender = SmsSender(url, SmsSettings()) if kind == "sms" else PushSender(url, PushSettings())
    async with closing(sender):
        with pytest.raises(ProviderDown) as told:
            await sender.send(MESSAGE)
    assert type(told.value) is ProviderDown


async def test_a_flapping_gateway_opens_the_circuit_only_after_failures_in_a_row(gateway):
    async with closing(SmsSender(gateway.url_for("/sms"), SmsSettings(failures=3))) as sms:
        for status in (500, 500, 200, 500, 500, 500):
            gateway.expect_oneshot_request("/sms").respond_with_data("{}", status=status)
        for _ in range(6):
            with contextlib.suppress(ProviderDown):
                await sms.send(MESSAGE)
        assert len(gateway.log) == 6
        with pytest.raises(ProviderDown, match="at the moment"):
            await sms.send(MESSAGE)
        assert len(gateway.log) == 6


async def test_refusals_leave_the_circuit_closed(gateway):
    gateway.expect_request("/sms").respond_with_data("{}", status=400)
    async with closing(SmsSender(gateway.url_for("/sms"), SmsSettings(failures=1))) as sms:
        for _ in range(3):
            with pytest.raises(MessageRefused):
                await sms.send(MESSAGE)
    assert len(gateway.log) == 3


async def test_a_push_message_has_a_subject(gateway):
    gateway.expect_request("/push").respond_with_data("", status=204)
    async with closing(PushSender(gateway.url_for("/push"), PushSettings())) as push:
        await push.send(MESSAGE)
    assert gateway.log[0][0].get_json()["subject"] == "Order"


async def test_a_mail_arrives_whole_in_the_name_of_the_company():
    async with mail_server() as server:
        await EmailSender(server.url, EmailSettings(sender="post@outrider.test")).send(MAIL)
    (mail,) = server.mails
    assert mail["Message-ID"] == "<ntf_1@outrider.test>"
    assert mail["From"].addresses[0].display_name == MAIL.company
    assert (mail["To"], mail["Subject"]) == ("ana@test.pt", "Order")
    assert mail.get_content().split() == MAIL.text.split()


async def test_a_line_break_in_a_subject_adds_no_header():
    tricky = Outgoing("ntf_1", "ana@test.pt", "Acme", "Order\r\nBcc: eve@test.pt", "x")
    async with mail_server() as server:
        await EmailSender(server.url, EmailSettings()).send(tricky)
    assert server.mails[0]["Bcc"] is None


@pytest.mark.parametrize("to", ["ana@test.pt\r\nBcc: eve@test.pt", "<>", "no address", "a b@test.pt", ""])
async def test_what_is_no_address_is_refused(to):
    async with mail_server() as server:
        with pytest.raises(MessageRefused):
            await EmailSender(server.url, EmailSettings()).send(Outgoing("ntf_1", to, "Acme", "x", "x"))
    assert server.mails == []


@pytest.mark.parametrize(
    ("command", "answer", "outcome"),
    [
        ("RCPT", "550 nobody of that name", MessageRefused),
        ("RCPT", "450 grey-listed", ProviderDown),
        ("MAIL", "452 no room", ProviderDown),
        ("DATA", "451 not now", ProviderDown),
        ("DATA.", "554 spam", MessageRefused),
        ("EHLO", "421 go away", ProviderDown),
    ],
)
async def test_a_mail_server_that_says_no_is_understood(command, answer, outcome):
    async with mail_server() as server:
        server.answers[command] = answer
        if command == "EHLO":
            server.answers["HELO"] = answer
        with pytest.raises((MessageRefused, ProviderDown)) as told:
            await EmailSender(server.url, EmailSettings()).send(MAIL)
    assert type(told.value) is outcome


async def test_nobody_knows_what_became_of_a_mail_when_the_server_breaks_off_at_its_end():
    async with mail_server() as server:
        server.breaks_off_at = "DATA."
        with pytest.raises(OutcomeUnknown):
            await EmailSender(server.url, EmailSettings()).send(MAIL)


async def test_a_mail_server_that_is_not_there_has_taken_nothing():
    with pytest.raises(ProviderDown) as told:
        await EmailSender(f"smtp://127.0.0.1:{an_unused_port()}", EmailSettings()).send(MAIL)
    assert type(told.value) is ProviderDown


async def test_any_service_of_apprise_can_be_named_by_url(gateway):
    gateway.expect_request("/hook/+351910000000").respond_with_data("ok")
    url = gateway.url_for("/hook/{to}").replace("http", "json", 1).replace("%7B", "{").replace("%7D", "}")
    sender = senders_of(NotificationSettings(push=PushSettings(url=url)))["push"]
    await sender.send(MESSAGE)
    assert gateway.log[0][0].get_json()["message"].startswith("Your order")


async def test_a_service_of_apprise_that_fails_has_taken_nothing(gateway):
    gateway.expect_request("/hook").respond_with_data("", status=500)
    url = gateway.url_for("/hook").replace("http", "json", 1)
    sender = senders_of(NotificationSettings(sms=SmsSettings(url=url)))["sms"]
    with pytest.raises(ProviderDown):
        await sender.send(MESSAGE)


def test_a_url_that_nobody_knows_stops_the_start():
    with pytest.raises(BadSettings, match="OUTRIDER_NOTIFICATIONS__EMAIL__URL"):
        senders_of(NotificationSettings(email=EmailSettings(url="gopher://x")))


def test_without_providers_there_are_no_senders():
    assert senders_of(NotificationSettings()) == {}
