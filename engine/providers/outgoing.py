"""What a provider of messages is handed, and what it has to be able to do."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Outgoing", "Sender"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one person."""

    id: str
    """Ours, and the same at every attempt, so that a provider can tell a repeat."""
    to: str
    """Phone number, e-mail address, or what the push service calls a phone."""
    company: str
    """On whose behalf."""
    subject: str
    text: str


class Sender(Protocol):
    """Sends messages over one channel."""

    idempotent: bool
    """Whether a message may be sent again under its id when nobody knows what became of it."""

    async def send(self, message: Outgoing) -> None:
        """Return when the provider has taken a message.

        Raises
        ------
        MessageRefused
            If it never will: the address or the text is at fault.
        OutcomeUnknown
            If it may have taken it.
        ProviderDown
            If it has not.
        """

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
