"""Sends messages: does the tasks of kind `message`, each of them once, whatever crashes.

What is about to be handed to a provider is written down before. So whoever finds a task again, after a crash or a
silence, knows that its message may have been sent: it is repeated only to a provider that knows a repeat by its key,
and else left as `unknown`. A provider that is left alone is passed over at once, one that refuses an address as well;
one that fails is tried again, and passed over at the last attempt.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from engine.notifications.choice import choose, stuck_channel
from engine.notifications.letters import Letter, Letters, language_named
from engine.notifications.quiet import quiet_until
from engine.providers.circuits import SharedCircuits
from engine.providers.outgoing import Outgoing, Sender
from engine.providers.senders import senders_of
from engine.settings import Settings
from engine.tasks.worker import TaskKind
from engine.telemetry.metrics import MESSAGES
from models.documents.document import now
from models.documents.notification import Channel, Notification, Outcome, Template
from models.documents.task import Task
from models.errors import (
    CircuitOpen,
    Conflict,
    InvalidInput,
    MessageRefused,
    NotFound,
    OutcomeUnknown,
    Postponed,
    ProviderDown,
    Undoable,
)
from models.ids import derived_id
from models.store.connections import Database
from models.store.notifications import NotificationRepository
from models.store.scope import Scope

__all__ = ["DELAYS_S", "Messenger", "message_kind"]

log = structlog.get_logger(__name__)

DELAYS_S = (2.0, 4.0)
"""Pauses between the attempts, seconds."""

_LOOKING_UP_S = 10.0  # beside what the providers take: reading, and noting how it went

_ENDED = frozenset({"sent", "unsent"})


def message_kind(
    database: Database,
    settings: Settings,
    delays_s: Sequence[float] = DELAYS_S,
    circuits: SharedCircuits | None = None,
) -> TaskKind:
    """Return how tasks of the kind `message` are done."""
    messenger = Messenger(database, settings, senders_of(settings.notifications, circuits), len(delays_s) + 1)
    providers = settings.notifications.sms, settings.notifications.email, settings.notifications.push
    timeout_s = sum(provider.timeout_s for provider in providers) + _LOOKING_UP_S
    return TaskKind(messenger.handle, delays_s=delays_s, timeout_s=timeout_s, close=messenger.close)


class Messenger:
    """Sends notifications, and mails about accounts.

    Parameters
    ----------
    database, settings
        Of the installation.
    senders
        By channel; a channel without a provider has none.
    attempts
        At the last of which other channels take the place of one that fails.
    """

    def __init__(
        self, database: Database, settings: Settings, senders: Mapping[Channel, Sender], attempts: int
    ) -> None:
        self._notifications = NotificationRepository(database)
        self._letters = Letters(database, settings)
        self._senders = senders
        self._attempts = attempts
        self._kept = datetime.timedelta(days=settings.notifications.keep_days)

    async def close(self) -> None:
        """Let go of connections to providers. May be called twice."""
        for sender in self._senders.values():
            await sender.close()

    async def handle(self, task: Task) -> None:
        """Send the message of a task; a repeat sends nothing.

        Raises
        ------
        Postponed
            In quiet hours.
        Undoable
            If it can never be sent, or nobody knows whether it was.
        ProviderDown
            If it may go better next time.
        """
        notification = await self._notification(task)
        if notification.state in _ENDED:
            return
        try:
            letter = await self._letters.letter(notification, task.payload)
        except NotFound as gone:
            await self._unsent(notification, str(gone))
            return
        if letter.overtaken and stuck_channel(notification) is None:
            await self._unsent(notification, "overtaken")
            return
        if (until := _quiet(notification, letter)) is not None:
            raise Postponed(until)
        try:
            await self._send(notification, letter, is_last=task.attempts >= self._attempts)
        except InvalidInput as fault:
            await self._notifications.settle(notification, "failed", str(fault))
            raise Undoable(str(fault)) from fault

    async def _notification(self, task: Task) -> Notification:
        """Return what a task is about; a mail about an account gets a notification when it is first looked at."""
        scope = Scope(task.tenant, "engine")
        identifier = task.payload.get("notification")
        try:
            if not isinstance(identifier, str):
                made = self._of_account(task)
                await self._notifications.put([made])
                identifier = made.id
            return await self._notifications.get(scope, identifier)
        except (NotFound, ValueError) as fault:  # pydantic's refusals are ValueErrors, and say more than a log should
            raise Undoable("the task names no message that we know") from fault

    def _of_account(self, task: Task) -> Notification:
        payload = task.payload
        return Notification(
            id=derived_id("ntf", task.created_at, task.id),
            tenant=task.tenant,
            template=Template(str(payload.get("template"))),
            audience="user",
            channels=tuple(payload.get("channels") or ("email",)),
            urgent=True,
            language=language_named(payload),
            created_at=task.created_at,
            expires_at=now() + self._kept,
        )

    async def _send(self, notification: Notification, letter: Letter, *, is_last: bool) -> None:
        idempotent = {channel: sender.idempotent for channel, sender in self._senders.items()}
        choice = choose(notification, letter.addresses, idempotent)
        if choice.given_up is not None:
            await self._give_up(notification, letter, choice.given_up)
            return
        faults: list[ProviderDown | MessageRefused] = []
        for channel in choice.channels:
            notification, fault = await self._try(notification, channel, letter)
            if fault is None:
                return
            faults.append(fault)
            if isinstance(fault, OutcomeUnknown) or not (is_last or isinstance(fault, CircuitOpen | MessageRefused)):
                break
        await self._failed(notification, faults, idempotent, is_last=is_last)

    async def _try(
        self, notification: Notification, channel: Channel, letter: Letter
    ) -> tuple[Notification, ProviderDown | MessageRefused | None]:
        """Hand a message to one provider; return what went wrong, if anything."""
        message = _outgoing(notification, channel, letter)
        begun = await self._notifications.begin(notification, channel)
        if begun is None:
            raise Conflict("somebody else is sending this message")
        try:
            await self._senders[channel].send(message)
        except (ProviderDown, MessageRefused) as fault:
            outcome = _outcome_of(fault)
            MESSAGES.labels(channel, outcome).inc()
            log.warning("message.failed", **_keys(begun), channel=channel, outcome=outcome, error=str(fault))
            return await self._notifications.end(begun, outcome, "waiting", str(fault)), fault
        MESSAGES.labels(channel, "sent").inc()
        log.info("message.sent", **_keys(begun), channel=channel)
        return await self._notifications.end(begun, "sent", "sent"), None

    async def _failed(
        self,
        notification: Notification,
        faults: Sequence[ProviderDown | MessageRefused],
        idempotent: Mapping[Channel, bool],
        *,
        is_last: bool,
    ) -> None:
        """End an attempt that sent nothing, or nothing that anybody knows of."""
        passing = [fault for fault in faults if isinstance(fault, ProviderDown)]
        stuck = stuck_channel(notification)
        if passing and not is_last and (stuck is None or idempotent[stuck]):
            raise min(passing, key=lambda fault: fault.retry_after_s)
        await self._settle_for_good(notification, str(faults[-1]))

    async def _settle_for_good(self, notification: Notification, reason: str) -> None:
        stuck = stuck_channel(notification)
        if stuck is None:
            await self._notifications.settle(notification, "failed", reason)
            raise Undoable(reason)
        await self._notifications.settle(notification, "unknown", reason)
        raise Undoable(f"nobody knows whether the {stuck} was sent: {reason}")

    async def _give_up(self, notification: Notification, letter: Letter, reason: str) -> None:
        """Settle what can't be sent: quietly where nothing is set up, as a dead letter where something went wrong."""
        if notification.tries:
            await self._settle_for_good(notification, reason)
        shown = _outgoing(notification, notification.channels[0], letter)  # for those who develop without providers
        log.debug("message.shown", **_keys(notification), subject=shown.subject, text=shown.text)
        await self._unsent(notification, reason)

    async def _unsent(self, notification: Notification, reason: str) -> None:
        MESSAGES.labels("none", "unsent").inc()
        log.info("message.unsent", **_keys(notification), reason=reason)
        await self._notifications.settle(notification, "unsent", reason)


def _quiet(notification: Notification, letter: Letter) -> datetime.datetime | None:
    """Return until when a message has to wait; one that may be at the provider already waits for nothing."""
    if notification.audience != "customer" or notification.urgent or notification.tries:
        return None
    settings = letter.tenant.settings
    return quiet_until(now(), settings.quiet_hours, settings.time_zone)


def _outgoing(notification: Notification, channel: Channel, letter: Letter) -> Outgoing:
    """Return a message in words; raises as `text_of` does."""
    text = letter.text(notification.template, channel)
    to = letter.addresses.get(channel, "")
    return Outgoing(notification.id, to, letter.tenant.name, text.subject, text.text)


def _outcome_of(fault: ProviderDown | MessageRefused) -> Outcome:
    if isinstance(fault, MessageRefused):
        return "refused"
    return "unknown" if isinstance(fault, OutcomeUnknown) else "down"


def _keys(notification: Notification) -> dict[str, Any]:
    return {"tenant": notification.tenant, "notification": notification.id, "template": notification.template.value}
