"""What happens when it is a webhook's turn: one try, its record, and what follows from how it went."""

import asyncio
import datetime
from collections.abc import Sequence

import structlog

from engine.settings import WebhookSettings
from engine.tasks.worker import TaskKind
from engine.webhooks.commands import WebhookCommands
from engine.webhooks.retries import DELAYS_S, pause_s
from engine.webhooks.sender import Reply, WebhookSender
from models.documents.document import now
from models.documents.event import ENGINE, Event
from models.documents.task import Task
from models.documents.webhook import Webhook, WebhookAttempt, WhyDisabled
from models.errors import NotFound, TryLater, VersionConflict
from models.ids import new_id
from models.store.connections import Database
from models.store.events import EventRepository
from models.store.scope import Scope
from models.store.webhooks import WebhookAttemptRepository, WebhookRepository

__all__ = ["WebhookTasks", "ping_of", "webhook_kind"]

log = structlog.get_logger(__name__)

_RECORD_WITHIN_S = 15.0  # beside the try itself: reading what is to be said, and noting how it went


def webhook_kind(database: Database, settings: WebhookSettings, delays_s: Sequence[float] = DELAYS_S) -> TaskKind:
    """Return how tasks of the kind `webhook` are done."""
    sender = WebhookSender(settings)
    return TaskKind(
        WebhookTasks(database, settings, sender, delays_s).handle,
        delays_s=delays_s,
        at_once=settings.at_once,
        at_once_each=settings.at_once_each,
        timeout_s=settings.timeout_s + _RECORD_WITHIN_S,
        close=sender.close,
    )


class WebhookTasks:
    """Does tasks of the kind `webhook`. A repeat posts the same event with the same `webhook-id` again."""

    def __init__(
        self, database: Database, settings: WebhookSettings, sender: WebhookSender, delays_s: Sequence[float]
    ) -> None:
        self._webhooks = WebhookRepository(database)
        self._events = EventRepository(database)
        self._attempts = WebhookAttemptRepository(database)
        self._commands = WebhookCommands(database, settings)
        self._disable_after = datetime.timedelta(hours=settings.disable_after_h)
        self._sender = sender
        self._delays_s = delays_s

    async def handle(self, task: Task) -> None:
        """Try once.

        Raises
        ------
        TryLater
            If it failed; says when to try again.
        """
        scope = Scope(task.tenant, ENGINE)
        try:
            webhook, event = await asyncio.gather(
                self._webhooks.get(scope, task.payload["webhook"]), self._events.get(scope, task.payload["event"])
            )
        except NotFound:
            return  # the webhook was deleted meanwhile
        if not webhook.enabled:
            return  # it is not told of what happens now; a replay brings it
        reply = await self._sender.send(webhook.url, _valid_secrets(webhook), event)
        wait_s = None if reply.ok or reply.gone else pause_s(task.attempts, reply.retry_after_s, self._delays_s)
        await self._attempts.note(_noted(webhook, event, reply, task.attempts, wait_s))
        if reply.ok:
            return
        if (why := await self._why_disable(scope, webhook, reply)) is not None:
            await self._disable(scope, webhook, why)
        if not reply.gone:
            raise TryLater(reply.error or "failed", wait_s or 0.0)

    async def _why_disable(self, scope: Scope, webhook: Webhook, reply: Reply) -> WhyDisabled | None:
        if reply.gone:
            return "gone"
        since = await self._attempts.failing_since(scope, webhook.id)
        if since is None or now() - max(since, webhook.enabled_at) < self._disable_after:
            return None
        return "failing"

    async def _disable(self, scope: Scope, webhook: Webhook, why: WhyDisabled) -> None:
        try:
            await self._commands.disable(scope, webhook.id, why, webhook.version)
        except (NotFound, VersionConflict):
            return  # somebody has just changed it: the next try tells whether it is well now
        log.warning("webhook.disabled", tenant=webhook.tenant, webhook=webhook.id, why=why)


async def ping_of(webhook: Webhook, scope: Scope, sender: WebhookSender) -> WebhookAttempt:
    """Send a `webhook.ping`, which is no event of the feed, and return how it went."""
    event = Event(
        id=new_id("evt"),
        tenant=webhook.tenant,
        time=now(),
        type="webhook.ping",
        aggregate=webhook.id,
        sequence=0,
        actor=scope.actor,
        data={"webhookId": webhook.id},
    )
    reply = await sender.send(webhook.url, _valid_secrets(webhook), event)
    return _noted(webhook, event, reply, 1, None)


def _valid_secrets(webhook: Webhook) -> Sequence[str]:
    """Return the secrets that sign now, newest first."""
    moment = now()
    return [secret.value for secret in webhook.secrets if secret.until is None or secret.until > moment]


def _noted(webhook: Webhook, event: Event, reply: Reply, attempt: int, wait_s: float | None) -> WebhookAttempt:
    return WebhookAttempt(
        id=new_id("att"),
        tenant=webhook.tenant,
        webhook=webhook.id,
        event=event.id,
        type=event.type,
        attempt=attempt,
        ok=reply.ok,
        status=reply.status,
        duration_ms=reply.duration_ms,
        error=reply.error,
        next_attempt=None if wait_s is None else now() + datetime.timedelta(seconds=wait_s),
    )
