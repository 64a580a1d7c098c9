"""What the client raises beside errors of the network."""

from collections.abc import Sequence
from typing import Any

from models.errors import OutriderError

__all__ = ["ApiProblem", "StreamEnded"]


class ApiProblem(OutriderError):
    """Raised when the API answers with a problem (RFC 9457)."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[Any] = (),
        retry_after_s: float | None = None,
        rows: Sequence[Any] = (),
    ) -> None:
        super().__init__(status, code, detail, errors, retry_after_s, rows)
        self.status = status
        self.code = code
        """Last part of the problem's type, such as `version-conflict`."""
        self.detail = detail
        self.errors = tuple(errors)
        """What is wrong with which field, where the API says so."""
        self.retry_after_s = retry_after_s
        self.rows = tuple(rows)
        """What was to become of each row of a refused import."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


class StreamEnded(OutriderError):
    """Raised when the server closed a stream for good: trying again would end the same way."""

    code = "stream-ended"

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(close_code, reason)
        self.close_code, self.reason = close_code, reason

    def __str__(self) -> str:
        return f"the server closed the stream with {self.close_code}: {self.reason}"
