"""Follower and worker of messages in a process of their own, to be killed: `python -m tests.messenger_process`."""

import asyncio
import json
import sys

from pydantic import SecretStr

from engine.feed.feed import Feed
from engine.notifications.follower import MESSAGE, NotificationFollower
from engine.notifications.messenger import message_kind
from engine.settings import NotificationSettings, Settings, SmsSettings
from engine.tasks.worker import TaskWorker
from tests.stack import connected


async def _run(mongo_url: str, database_name: str, sms_url: str) -> None:
    database = connected(mongo_url, database_name)
    settings = Settings(notifications=NotificationSettings(sms=SmsSettings(url=SecretStr(sms_url), timeout_s=20)))
    feed = Feed(database, [NotificationFollower(database, settings)])
    worker = TaskWorker(database, {MESSAGE: message_kind(database, settings)})
    await worker.start()
    await feed.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run(**json.loads(sys.argv[1])))
