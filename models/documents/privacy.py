"""What people may ask about their own data: to see what is held of them, and to have it erased."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from models.documents.document import Document, Instant, Shape, now
from models.documents.user import Email

__all__ = ["Person", "PersonKind", "PrivacyRequest"]

PersonKind = Literal["phone", "email", "driver", "user"]

_Id = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Person(Shape):
    """Who is meant: exactly one field is given."""

    phone: Annotated[str, StringConstraints(max_length=40, pattern=r"^\+?[0-9 ()./-]{3,40}$")] | None = None
    """A customer's, however it is written."""
    email: Email | None = None
    """A customer's or a user's."""
    driver_id: _Id | None = None
    user_id: _Id | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self._given()) != 1:
            raise ValueError("exactly one of phone, email, driverId and userId names the person")
        return self

    @property
    def kind(self) -> PersonKind:
        """How the person is named."""
        [name] = self._given()
        return _KINDS[name]

    def _given(self) -> list[str]:
        return [name for name in _KINDS if getattr(self, name) is not None]


_KINDS: Mapping[str, PersonKind] = {"phone": "phone", "email": "email", "driver_id": "driver", "user_id": "user"}


class PrivacyRequest(Document):
    """That somebody's data was handed out or erased. It does not say whose."""

    kind: Literal["export", "erasure"]
    person: PersonKind
    """How the person was named."""
    by: str
    """The admin who asked for it."""
    forced: bool = False
    """Whether deliveries that are open were erased too."""
    positions: bool = False
    """Whether a driver's positions went as well."""
    state: Literal["running", "done", "failed"] = "running"
    """`failed`: given up after several attempts; its dead letter can be replayed."""
    deliveries: int = Field(0, ge=0)
    """Deliveries that were erased."""
    created_at: Instant = Field(default_factory=now)
    ended_at: Instant | None = None
