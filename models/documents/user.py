"""A user: a person who signs in with e-mail and password."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.documents.document import Document, Instant, Line, now

__all__ = ["Email", "NewPassword", "User", "UserRole"]

UserRole = Literal["admin", "planner", "driver"]

Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$"),
    AfterValidator(str.lower),
]
"""An e-mail address in lower case. Its form is checked only roughly: whether mail arrives is another question."""


NewPassword = Annotated[str, Field(min_length=10, max_length=256)]
"""A password that somebody chooses."""


class User(Document):
    """A person of a tenant."""

    version: int = 1
    """Rises with every change."""
    email: Email
    password_hash: str
    """Argon2id, in PHC form."""
    role: UserRole
    name: Line | None = None
    driver: str | None = None
    """The driver that a user of role `driver` is, `drv_…`."""
    tokens_since: Instant | None = None
    """Access tokens of before are void: the password was changed then."""
    created_at: Instant = Field(default_factory=now)

    @property
    def password_ms(self) -> int:
        """Return when the password was changed last, milliseconds since 1970; 0 if it is the first.

        Tokens are good under the password that they were given out for, and under no other: a moment of their own could
        not say which that was, where a password changes while somebody signs in.
        """
        return 0 if self.tokens_since is None else int(self.tokens_since.timestamp() * 1000)
