"""What is wrong with settings, in words that show no secret."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from engine.settings.tree import Settings

__all__ = ["faults_of"]


def faults_of(error: ValidationError) -> list[str]:
    """Return a line for each fault: which variable, what it is unless that is secret, and what it has to be."""
    return [_told(fault["loc"], fault["input"], fault["msg"].removeprefix("Value error, ")) for fault in error.errors()]


def _told(place: Sequence[int | str], value: object, reason: str) -> str:
    if not place:
        return reason
    variable = "OUTRIDER_" + "__".join(str(step).upper() for step in place)
    # what is wrong with a whole branch comes with all that is in it
    is_shown = isinstance(value, str | int | float) and not _is_secret(place)
    return f"{variable} is {value!r}: {reason}" if is_shown else f"{variable}: {reason}"


def _is_secret(place: Sequence[int | str]) -> bool:
    branch: Any = Settings
    for step in place:
        field = branch.model_fields.get(step)
        if field is None or SecretStr.__name__ in str(field.annotation):
            return True
        branch = field.annotation
        if not (isinstance(branch, type) and issubclass(branch, BaseModel)):
            return False
    return False
