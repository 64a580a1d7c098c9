"""From events to messages: a follower of the feed that writes down who is to be told what, and puts the tasks.

A notification's id is made of the event and the person, so one event tells one person one thing at most. Addresses are
not copied: whoever sends looks them up.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import structlog

from engine.feed.kept import KeptByTenant
from engine.notifications.addresses import addresses_of_customer, addresses_of_driver
from engine.notifications.occasions import Alert, Occasion, alert_of, occasions_of
from engine.settings import Settings
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.driver import Driver
from models.documents.event import ENGINE, Event
from models.documents.notification import Notification
from models.documents.notification_rules import NotificationRules
from models.documents.task import Task
from models.ids import derived_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.notifications import NotificationRepository, NotificationRulesRepository
from models.store.paging import PageRequest
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session
from models.store.users import UserRepository

__all__ = ["ALERT_PAUSE", "MESSAGE", "NotificationFollower", "message_task"]

log = structlog.get_logger(__name__)

MESSAGE = "message"
"""Kind of the tasks."""

ALERT_PAUSE = datetime.timedelta(minutes=15)
"""Admins hear of one kind of task, or one webhook, once in this time."""

_MOST_ADMINS = 20  # who are alerted at once


class NotificationFollower:
    """Makes notifications, and tasks of kind `message`, of events."""

    name = "notifications"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 1.0  # a message is on its way for seconds

    def __init__(self, database: Database, settings: Settings) -> None:
        self._deliveries = DeliveryRepository(database)
        self._drivers = DriverRepository(database, settings.log.partitions)
        self._users = UserRepository(database)
        self._rules = NotificationRulesRepository(database)
        self._chosen = KeptByTenant(self._rules_of, "notification_rules.")
        self._notifications = NotificationRepository(database)
        self._tasks = TaskRepository(database)
        self._has_provider = settings.notifications.has_provider
        self._kept = datetime.timedelta(days=settings.notifications.keep_days)

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return what is an occasion to tell somebody something, where the tenant's rules name a channel."""
        self._chosen.heed(events)
        found: list[Event] = []
        for event in events:
            if alert_of(event) is not None:
                found.append(event)
            elif occasions := occasions_of(event):
                rules = await self._chosen.of(event.tenant)
                if any(rules.rule(one.template).channels for one in occasions):
                    found.append(event)
        return found

    async def _rules_of(self, tenant: str) -> NotificationRules:
        return await self._rules.shown(Scope(tenant, ENGINE))

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Store what follows from some events."""
        by_tenant: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_tenant[event.tenant].append(event)
        for tenant, some in by_tenant.items():
            scope = Scope(tenant, ENGINE)
            made = await self._of_deliveries(scope, some)
            made += await self._alerts(scope, some, session)
            await self._notifications.put(made, session)
            await self._tasks.put([message_task(one) for one in made if one.state == "waiting"], session)

    async def _of_deliveries(self, scope: Scope, events: Iterable[Event]) -> list[Notification]:
        occasions = [(event, occasion) for event in events for occasion in occasions_of(event)]
        if not occasions:
            return []
        rules = await self._rules.get(scope)
        wanted = [(event, one) for event, one in occasions if rules.rule(one.template).channels]
        deliveries = await self._deliveries.get_many(scope, sorted({one.delivery for _, one in wanted}))
        drivers = await self._drivers.get_many(scope, sorted({one.driver for _, one in wanted if one.driver}))
        made = (self._made(event, occasion, rules, deliveries, drivers) for event, occasion in wanted)
        return [one for one in made if one is not None]

    def _made(
        self,
        event: Event,
        occasion: Occasion,
        rules: NotificationRules,
        deliveries: Mapping[str, Delivery],
        drivers: Mapping[str, Driver],
    ) -> Notification | None:
        """Return the notification that an event gives occasion to; None if nobody can be reached."""
        rule, delivery = rules.rule(occasion.template), deliveries.get(occasion.delivery)
        driver = None if occasion.driver is None else drivers.get(occasion.driver)
        if delivery is None or (occasion.driver is not None and driver is None):
            return None
        addresses = addresses_of_customer(delivery) if driver is None else addresses_of_driver(driver)
        channels = tuple(channel for channel in rule.channels if channel in addresses)
        if not channels:
            return None
        return self._ready(
            Notification(
                id=derived_id("ntf", event.time, event.id, occasion.template, occasion.driver or "customer"),
                tenant=event.tenant,
                template=occasion.template,
                audience="customer" if driver is None else "driver",
                channels=channels,
                urgent=rule.urgent or driver is not None,
                event=event.id,
                delivery=delivery.id,
                driver=occasion.driver,
                minutes=occasion.minutes,
                created_at=event.time,
            )
        )

    async def _alerts(self, scope: Scope, events: Sequence[Event], session: Session) -> list[Notification]:
        made: list[Notification] = []
        told: dict[str, datetime.datetime] = {}
        for event in events:
            if (alert := alert_of(event)) is None:
                continue
            since = event.time - ALERT_PAUSE
            if alert.about in told and told[alert.about] > since:
                continue
            if await self._notifications.has_alert(scope, alert.about, since, session):
                continue
            told[alert.about] = event.time
            admins = await self._users.page(scope, PageRequest(_MOST_ADMINS), "admin")
            made += [self._ready(_alert(event, alert, admin.id)) for admin in admins.items]
        return made

    def _ready(self, notification: Notification) -> Notification:
        """Return a notification as it is stored; where nobody could send it, what becomes of it is known at once."""
        kept: dict[str, object] = {"expires_at": now() + self._kept}
        if not self._has_provider:
            log.debug("message.unsent", tenant=notification.tenant, notification=notification.id)
            kept |= {"state": "unsent", "reason": "no provider"}
        return notification.model_copy(update=kept)


def message_task(notification: Notification) -> Task:
    """Return the task that sends a notification."""
    return Task(
        id=derived_id("tsk", notification.created_at, notification.id),
        tenant=notification.tenant,
        kind=MESSAGE,
        payload={"notification": notification.id},
    )


def _alert(event: Event, alert: Alert, admin: str) -> Notification:
    return Notification(
        id=derived_id("ntf", event.time, event.id, alert.template, admin),
        tenant=event.tenant,
        template=alert.template,
        audience="user",
        channels=("email",),
        urgent=True,
        event=event.id,
        user=admin,
        about=alert.about,
        attempts=int(event.data.get("attempts", 1)),
        created_at=event.time,
    )
