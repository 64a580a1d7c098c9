"""Over which channel a message goes next, and what its state is in the end. Pure.

A message goes to a person at most once. A provider that did not answer may have sent it; so from then on only that
provider is asked again, under the same key, if it honours keys; no other channel takes its place.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.documents.delivery import CLOSED, Delivery
from models.documents.notification import Channel, Notification, Template

__all__ = ["Choice", "choose", "is_overtaken", "stuck_channel"]

_BEFORE_THE_END = frozenset(
    {
        Template.DELIVERY_CREATED,
        Template.DELIVERY_ASSIGNED,
        Template.DELIVERY_ON_THE_WAY,
        Template.DELIVERY_ARRIVING_SOON,
        Template.DELIVERY_ARRIVED,
        Template.DELIVERY_RESCHEDULED,
    }
)
_OFFERED_MIN = 60  # for how long an offer is told of that names no end
_TO_WHO_HAS_IT = frozenset({Template.DRIVER_ASSIGNED, Template.DRIVER_CHANGED})


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be done with a message now."""

    channels: Sequence[Channel] = ()
    """To be tried in this order."""
    given_up: str | None = None
    """Why nothing can be sent."""


def choose(notification: Notification, addresses: Mapping[Channel, str], idempotent: Mapping[Channel, bool]) -> Choice:
    """Return over which channels a message may go now.

    Parameters
    ----------
    notification
        With its tries so far.
    addresses
        Where the person can be reached.
    idempotent
        Channels that have a provider, and whether it sends once what comes twice under one key.
    """
    if (stuck := stuck_channel(notification)) is not None:
        if not idempotent.get(stuck) or stuck not in addresses:
            return Choice(given_up="it can't be repeated safely")
        return Choice([stuck])
    refused = {one.channel for one in notification.tries if one.outcome == "refused"}
    reachable = [channel for channel in notification.channels if channel in addresses]
    if not reachable:
        return Choice(given_up="no address")
    provided = [channel for channel in reachable if channel in idempotent]
    if not provided:
        return Choice(given_up="no provider")
    left = [channel for channel in provided if channel not in refused]
    return Choice(left) if left else Choice(given_up="refused")


def stuck_channel(notification: Notification) -> Channel | None:
    """Return the channel over which a message may have been sent already, though nobody said so."""
    unclear = (one.channel for one in reversed(notification.tries) if one.outcome in ("begun", "unknown"))
    return next(unclear, None)


def is_overtaken(notification: Notification, delivery: Delivery, moment: datetime.datetime) -> bool:
    """Tell whether a message is of no use any more, because it waited and the delivery has moved on."""
    if notification.template in _BEFORE_THE_END:
        return delivery.status in CLOSED
    if notification.template in _TO_WHO_HAS_IT:
        return delivery.driver != notification.driver
    if notification.template is Template.DRIVER_OFFER:
        left = datetime.timedelta(minutes=notification.minutes or _OFFERED_MIN)
        return delivery.driver is not None or moment > notification.created_at + left
    return False
