"""The tenant that a query belongs to, taken from a verified token. No repository works without one."""

from dataclasses import dataclass

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data a query may touch, and who asks."""

    tenant: str
    actor: str
    """User or key that acts, for events and the audit log."""
