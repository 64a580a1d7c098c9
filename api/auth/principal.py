"""Who is calling, after the token has been verified."""

from dataclasses import dataclass, field
from typing import Literal

from models.documents.key import KeyScope
from models.store.scope import Scope

__all__ = ["Principal", "Role"]

Role = Literal["admin", "planner", "driver", "gateway", "device", "integration"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller.

    `admin`, `planner` and `driver` are users with an access token; `gateway` is a key that speaks for every driver
    of its tenant, `device` a key that speaks for one driver, `integration` a key of a system of the company.
    """

    tenant: str
    subject: str
    role: Role
    driver: str | None = None
    """The only driver that a `driver` or `device` may speak for, `drv_…`."""
    scopes: frozenset[KeyScope] = field(default_factory=frozenset)
    """What a key is narrowed to; none is everything that its role may do, and of an integration nothing."""
    password_ms: int = 0
    """Which password a user has (`User.password_ms`)."""

    @property
    def scope(self) -> Scope:
        """Return the scope for repositories."""
        return Scope(self.tenant, self.subject)

    def speaks_for(self, driver: str) -> bool:
        """Tell whether this caller may send positions of `driver` (of its own tenant)."""
        return self.role in ("gateway", "admin", "integration") or self.driver == driver

    @property
    def is_key(self) -> bool:
        """Tell whether this is no person."""
        return self.role in ("gateway", "device", "integration")
