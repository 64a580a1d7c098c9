"""Mails to those who work with Outrider: about their accounts, and about what failed."""

import datetime
from datetime import UTC

import pytest
from pydantic import SecretStr

from engine.eta.watch import coverage_event
from engine.notifications.follower import ALERT_PAUSE, MESSAGE
from engine.settings import EmailSettings, EtaSettings
from models.documents.event import Event
from models.documents.task import Task
from models.ids import new_id
from models.store.motion import MotionRepository
from models.store.outbox import Announcement, OutboxRepository
from models.store.tasks import TaskRepository
from models.store.transactions import in_transaction
from tests.smtp import mail_server
from tests.stack import eventually
from tests.telling import dead_letters, mails_to, settled, telling, told


async def test_mails_about_accounts_go_out_and_leave_no_address_behind(api, database):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    payload = {
        "template": "password-reset",
        "language": "es",
        "to": {"email": "rui@test.pt"},
        "channels": ["email"],
        "values": {"link": "https://o.test/reset#secret", "minutes": 30},
    }
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        await TaskRepository(database).put([Task(id=new_id("tsk"), tenant=tenant, kind=MESSAGE, payload=payload)])
        one = await settled(admin, "sent")
    [mail] = mails_to(mails, "rui@test.pt")
    assert mail["Subject"] == "Una contraseña nueva"
    assert "https://o.test/reset#secret El enlace vale 30 minutos." in mail.get_content()
    stored = await database.notifications.find_one({"_id": one["id"], "tenant": tenant})
    assert "rui" not in str(stored)
    assert "secret" not in str(stored)
    assert (await admin.ask("POST", f"notifications/{one['id']}/resend")).status_code == 409


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"template": "nonsense", "to": {"email": "a@t.pt"}},
        {"template": "invitation", "channels": ["fax"]},
        {"template": "invitation", "to": {"email": "a@t.pt"}, "values": {}},
        {"notification": "ntf_0"},
        {"notification": 7, "to": [], "values": "x"},
    ],
)
async def test_a_task_that_makes_no_sense_is_given_up_at_once(api, database, tenant, payload):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        await TaskRepository(database).put([Task(id=new_id("tsk"), tenant=tenant, kind=MESSAGE, payload=payload)])
        [letter] = await eventually(lambda: dead_letters(admin))
    assert letter["attempts"] == 1
    assert "a@t.pt" not in {mail["To"] for mail in mails.mails}  # admins are alerted


async def test_admins_hear_of_dead_letters_once_a_kind_and_quarter_of_an_hour(api, database):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    email = (await admin.ask("GET", "auth/profile")).json()["email"]
    first = datetime.datetime.now(tz=UTC)
    moments = [first, first + ALERT_PAUSE / 2, first + ALERT_PAUSE * 1.1]
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        for kind, moment in [("webhook", moments[0]), ("import", moments[0])]:
            await _fail(database, tenant, kind, moment)
        await eventually(lambda: len(mails_to(mails, email)) == 2)
        for moment in moments[1:]:
            await _fail(database, tenant, "webhook", moment)
        await eventually(lambda: len(mails_to(mails, email)) == 3)
        assert len(await told(admin, template="task-failed")) == 3
    assert {mail["Subject"] for mail in mails_to(mails, email)} == {
        "A task of the kind “webhook” has failed",
        "A task of the kind “import” has failed",
    }


async def test_admins_hear_of_a_day_whose_ranges_did_not_hold(api, database):
    admin = await api.registered()
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    email = (await admin.ask("GET", "auth/profile")).json()["email"]
    at = datetime.datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    found = {"_id": tenant, "promises": 100, "inside": 70}
    event = coverage_event(found, at.replace(hour=0), datetime.datetime.now(UTC), EtaSettings())
    async with mail_server() as mails, telling(database, email=EmailSettings(url=SecretStr(mails.url))):
        await MotionRepository(database).add_events([event])
        [mail] = await eventually(lambda: mails_to(mails, email))
    assert mail["Subject"] == "Ranges of arrival times did not hold"
    assert "on 2026-03-02, too few or too many" in " ".join(mail.get_content().split())


async def _fail(database, tenant, kind, moment):
    task = new_id("tsk")
    data = {"taskId": task, "kind": kind, "attempts": 3, "error": "x"}
    event = Event(
        id=new_id("evt"), tenant=tenant, time=moment, type="task.failed", aggregate=task, sequence=1, data=data
    )
    outbox = OutboxRepository(database)
    await in_transaction(database, lambda session: outbox.put(session, [Announcement(event)]))
