"""A notification: what one person is told about one thing that happened, and what came of it.

It holds neither address nor text. Both are looked up and written when it is sent, from the delivery, the driver or the
user that it names.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.documents.document import Document, Instant, Shape, now
from models.documents.language import Language

__all__ = ["Audience", "Channel", "Notification", "NotificationState", "Outcome", "Template", "Try"]

Channel = Literal["sms", "email", "push"]
"""The ways to a person."""

Audience = Literal["customer", "driver", "user"]
"""Whom a message is for. A user is one of the company's own people."""

NotificationState = Literal["waiting", "sending", "sent", "unsent", "failed", "unknown"]
"""`waiting` for its turn; `sending`: handed to a provider that has not answered; `sent`; `unsent`: nobody is set up to
send it, or the person has no address; `failed`: no channel took it; `unknown`: nobody knows whether it was sent."""

Outcome = Literal["begun", "sent", "down", "refused", "unknown"]
"""What came of one try: `down`, the provider did not take it; `refused`, it never will."""


class Template(StrEnum):
    """What can be said. The texts are in `engine/notifications/messages/`."""

    DELIVERY_CREATED = "delivery-created"
    """To a customer: we have your order."""
    DELIVERY_ASSIGNED = "delivery-assigned"
    """To a customer: a driver has it."""
    DELIVERY_ON_THE_WAY = "delivery-on-the-way"
    """To a customer, with the tracking link."""
    DELIVERY_ARRIVING_SOON = "delivery-arriving-soon"
    """To a customer, minutes before."""
    DELIVERY_ARRIVED = "delivery-arrived"
    """To a customer: at the door."""
    DELIVERY_DELIVERED = "delivery-delivered"
    """To a customer: handed over."""
    DELIVERY_FAILED = "delivery-failed"
    """To a customer: it could not be handed over."""
    DELIVERY_RESCHEDULED = "delivery-rescheduled"
    """To a customer: another time window."""
    DRIVER_ASSIGNED = "driver-assigned"
    """To a driver: this delivery is yours."""
    DRIVER_UNASSIGNED = "driver-unassigned"
    """To a driver: no longer."""
    DRIVER_CHANGED = "driver-changed"
    """To a driver: place, time or notes are others now."""
    DRIVER_OFFER = "driver-offer"
    """To a driver: do you want this one?"""
    INVITATION = "invitation"
    """To somebody who is to become a user."""
    PASSWORD_RESET = "password-reset"  # noqa: S105 - the name of a template
    """To a user who has lost the password."""
    TASK_FAILED = "task-failed"
    """To admins: something was given up."""
    WEBHOOK_DISABLED = "webhook-disabled"
    """To admins: a webhook is told nothing more."""
    RANGES_OFF = "ranges-off"
    """To admins: the ranges of arrival times do not hold."""


class Try(Shape):
    """One attempt to send over one channel."""

    channel: Channel
    at: Instant
    outcome: Outcome
    detail: str | None = Field(None, max_length=200)


class Notification(Document):
    """A message to one person, as MongoDB keeps it."""

    template: Template
    audience: Audience
    channels: tuple[Channel, ...] = Field(min_length=1)
    """Those that may be used, the best first."""
    state: NotificationState = "waiting"
    channel: Channel | None = None
    """The one it was sent over, or is being sent over."""
    urgent: bool = False
    """Whether it goes out in quiet hours too."""
    event: str | None = None
    """What it tells of; none for mails about accounts."""
    delivery: str | None = None
    driver: str | None = None
    user: str | None = None
    """An admin who is told; none for mails about accounts, whose address only their task holds."""
    language: Language | None = None
    """None takes the person's, or else the company's."""
    minutes: int | None = None
    """What the event said of the time that is left."""
    about: str | None = None
    """What an alert is about: a kind of task, or the address of a webhook."""
    attempts: int | None = None
    """How often that was tried."""
    tries: tuple[Try, ...] = ()
    reason: str | None = None
    """Why it is `unsent`, or else has failed."""
    resends: str | None = None
    """The notification that an admin has sent once more by this one."""
    created_at: Instant = Field(default_factory=now)
    updated_at: Instant = Field(default_factory=now)
    expires_at: Instant | None = None
    """When MongoDB drops it."""
