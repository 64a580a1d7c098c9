"""Which events a company tells its customers and drivers about, and over which channels."""

from collections.abc import Mapping

from pydantic import Field, field_validator

from models.documents.document import Document, Instant, Shape, now
from models.documents.notification import Channel, Template

__all__ = ["DEFAULT_RULES", "NotificationRules", "Rule"]


class Rule(Shape):
    """How one kind of message goes out."""

    channels: tuple[Channel, ...] = Field(max_length=3)
    """The best first; the next is taken when one does not work. None at all turns the message off."""
    urgent: bool = False
    """Whether it goes out in quiet hours too. Messages to drivers always do."""

    @field_validator("channels")
    @classmethod
    def _each_once(cls, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        if len(set(channels)) != len(channels):
            raise ValueError("a channel is named twice")
        return channels


_ALL = Rule(channels=("sms", "email", "push"))
_OFF = Rule(channels=())

DEFAULT_RULES: Mapping[Template, Rule] = {
    Template.DELIVERY_CREATED: _OFF,
    Template.DELIVERY_ASSIGNED: _OFF,
    Template.DELIVERY_ON_THE_WAY: _ALL,
    Template.DELIVERY_ARRIVING_SOON: Rule(channels=("sms", "push", "email"), urgent=True),
    Template.DELIVERY_ARRIVED: _OFF,
    Template.DELIVERY_DELIVERED: Rule(channels=("email", "sms", "push")),
    Template.DELIVERY_FAILED: _ALL,
    Template.DELIVERY_RESCHEDULED: _ALL,
    Template.DRIVER_ASSIGNED: Rule(channels=("push", "sms", "email"), urgent=True),
    Template.DRIVER_UNASSIGNED: Rule(channels=("push", "sms", "email"), urgent=True),
    Template.DRIVER_CHANGED: Rule(channels=("push", "sms", "email"), urgent=True),
    Template.DRIVER_OFFER: Rule(channels=("push", "sms"), urgent=True),
}
"""What holds where a company has said nothing. An SMS costs money, so a customer gets it when it saves a call."""


class NotificationRules(Document):
    """A company's choice. Its id is the company's."""

    version: int = 1
    """Rises with every change; 1 while the company has chosen nothing."""
    rules: dict[Template, Rule] = Field(default_factory=dict)
    """What differs from `DEFAULT_RULES`."""
    updated_at: Instant = Field(default_factory=now)

    def rule(self, template: Template) -> Rule:
        """Return the rule for a kind of message."""
        return self.rules.get(template) or DEFAULT_RULES[template]
