"""The one tree of errors raised on purpose.

Branches say what the caller can do about it; attributes carry the data. `api.problems` alone turns them into statuses.
Each class hands all its fields to `Exception.__init__` by position, because otherwise it can't be unpickled on the
other side of a Ray call.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BadSettings",
    "BundleRefused",
    "CircuitOpen",
    "Conflict",
    "EngineSaturated",
    "Fenced",
    "ForbiddenTransition",
    "IdempotencyMismatch",
    "ImportRefused",
    "InvalidInput",
    "Malformed",
    "MessageRefused",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "OutcomeUnknown",
    "OutriderError",
    "Postponed",
    "ProviderDown",
    "RateLimited",
    "Reassigned",
    "StoreUnavailable",
    "TooLarge",
    "TryLater",
    "Undoable",
    "UnknownRange",
    "Unreadable",
    "UnsupportedContent",
    "VersionConflict",
    "check_version",
]


class OutriderError(Exception):
    """Anything that Outrider raises on purpose."""

    code = "error"
    """Last part of the problem type: stable, documented, tested."""


class BadSettings(OutriderError):
    """Raised at start when a setting or the machine can't work; the message is one line that says what to do."""

    code = "bad-settings"


class BundleRefused(OutriderError):
    """Raised when a model of travel times is damaged, edited, or of a version that this release can't read."""

    code = "bundle-refused"


class InvalidInput(OutriderError):
    """Raised when the request has to change. Carries the paths of the fields at fault."""

    code = "invalid-input"

    def __init__(self, detail: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail, fields)
        self.detail = detail
        self.fields = tuple(fields)
        """Pairs of (field path, what is wrong with it)."""

    def __str__(self) -> str:
        return self.detail


class Malformed(InvalidInput):
    """Raised when a body or a frame can't be read at all."""

    code = "malformed"


class TooLarge(InvalidInput):
    """Raised when a body, a frame or what it unpacks to passes its limit."""

    code = "too-large"


class UnsupportedContent(InvalidInput):
    """Raised when a body is of a content type that is not taken."""

    code = "unsupported-content"


class UnknownRange(InvalidInput):
    """Raised when a `Range` asks for bytes after the end."""

    code = "unknown-range"

    def __init__(self, size: int) -> None:
        OutriderError.__init__(self, size)
        self.size = size
        self.detail = str(self)
        self.fields = (("Range", self.detail),)

    def __str__(self) -> str:
        return f"there are {self.size} bytes"


class ForbiddenTransition(InvalidInput):
    """Raised when a status can't follow the present one."""

    code = "forbidden-transition"

    def __init__(self, entity: str, current: str, wanted: str, allowed: Sequence[str]) -> None:
        OutriderError.__init__(self, entity, current, wanted, tuple(allowed))
        self.entity, self.current, self.wanted, self.allowed = entity, current, wanted, tuple(allowed)
        self.detail = str(self)
        self.fields = (("status", self.detail),)

    def __str__(self) -> str:
        choices = ", ".join(self.allowed) or "nothing: the state is final"
        return f"{self.entity} is {self.current} and can't become {self.wanted}; allowed: {choices}"


class IdempotencyMismatch(InvalidInput):
    """Raised when an `Idempotency-Key` comes back with another body."""

    code = "idempotency-mismatch"


class ImportRefused(InvalidInput):
    """Raised when a file of deliveries has rows that can't be taken, and all or none were wanted."""

    code = "import-refused"

    def __init__(
        self, detail: str, fields: Sequence[tuple[str, str]] = (), rows: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        OutriderError.__init__(self, detail, fields, rows)
        self.detail, self.fields = detail, tuple(fields)
        self.rows = tuple(rows)
        """What was to become of each row of the file, as the answer shows it."""


class NotAuthenticated(OutriderError):
    """Raised when there is no valid token or key."""

    code = "not-authenticated"


class NotAllowed(OutriderError):
    """Raised when the token is good and the act is not among its rights."""

    code = "not-allowed"


class NotFound(OutriderError):
    """Raised when something does not exist, or belongs to another tenant, which looks the same from outside."""

    code = "not-found"

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(kind, identifier)
        self.kind, self.identifier = kind, identifier

    def __str__(self) -> str:
        return f"there is no {self.kind} {self.identifier}"


class Conflict(OutriderError):
    """Raised when the world has moved on: read again, then decide."""

    code = "conflict"


class VersionConflict(Conflict):
    """Raised when a command names a version that is no longer the current one."""

    code = "version-conflict"

    def __init__(self, entity: str, expected: int, current: int) -> None:
        super().__init__(entity, expected, current)
        self.entity, self.expected, self.current = entity, expected, current

    def __str__(self) -> str:
        return f"{self.entity} is at version {self.current}; the command expected {self.expected}"


class Reassigned(Conflict):
    """Raised when a driver speaks of a delivery that was given to somebody else meanwhile."""

    code = "reassigned"

    def __init__(self, delivery: str) -> None:
        super().__init__(delivery)
        self.delivery = delivery

    def __str__(self) -> str:
        return f"delivery {self.delivery} is no longer this driver's"


def check_version(entity: str, seen: int | None, current: int) -> None:
    """Refuse a command that was decided on another version than the current one; None has seen none in particular.

    Raises
    ------
    VersionConflict
        With the current version.
    """
    if seen is not None and seen != current:
        raise VersionConflict(entity, seen, current)


class TryLater(OutriderError):
    """Raised when the same request may succeed after a while."""

    code = "try-later"

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail, retry_after_s)
        self.detail, self.retry_after_s = detail, retry_after_s

    def __str__(self) -> str:
        return self.detail


class RateLimited(TryLater):
    """Raised when one caller asks too often."""

    code = "rate-limited"


class EngineSaturated(TryLater):
    """Raised when the engine lags or a queue is full, before memory grows."""

    code = "engine-saturated"


class StoreUnavailable(TryLater):
    """Raised when a store does not answer; nothing was accepted."""

    code = "store-unavailable"


class ProviderDown(TryLater):
    """Raised when an outside service fails."""

    code = "provider-down"


class CircuitOpen(ProviderDown):
    """Raised when an outside service has failed so often that it is left alone for a while: nothing was tried."""

    code = "circuit-open"


class OutcomeUnknown(ProviderDown):
    """Raised when an outside service did not answer in time, or made no sense: it may have done what was asked."""

    code = "outcome-unknown"


class MessageRefused(OutriderError):
    """Raised inside when a provider says that a message to this address will never do. Handled there, never shown."""

    code = "message-refused"


class Unreadable(TryLater):
    """Raised when sealed personal data can't be opened: its key is not here, or somebody changed the bytes."""

    code = "unreadable"


class Fenced(OutriderError):
    """Raised inside a shard that has lost a partition to a newer epoch. Handled there, never shown."""

    code = "fenced"

    def __init__(self, partition: int, mine: int, current: int) -> None:
        super().__init__(partition, mine, current)
        self.partition, self.mine, self.current = partition, mine, current

    def __str__(self) -> str:
        return f"partition {self.partition} is at epoch {self.current}; this shard held {self.mine}"


class Undoable(OutriderError):
    """Raised inside by whoever does a task that no further attempt can help. Handled by the worker, never shown."""

    code = "undoable"


class Postponed(OutriderError):
    """Raised inside by whoever does a task whose time has not come. Handled by the worker, never shown."""

    code = "postponed"

    def __init__(self, until: datetime.datetime) -> None:
        super().__init__(until)
        self.until = until

    def __str__(self) -> str:
        return f"put off until {self.until}"
