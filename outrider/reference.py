"""Reference pages made from the code: every setting, every problem type, every right, every command.

`outrider docs` writes them; a test compares the committed pages with what the code says today.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from api.auth.principal import Role
from api.auth.rights import RIGHTS, SCOPES
from api.problems import STATUSES
from engine.settings import Settings
from models import errors
from outrider.command_reference import command_page

__all__ = ["PAGES"]

_SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def _settings_page() -> str:
    """Return the settings reference as Markdown."""
    lines = [
        "# Settings",
        "",
        "Set as environment variables or in a `.env` file in the working folder. Made by `outrider docs`.",
        "",
        "| variable | default | range | meaning |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{name}` | {_default(field)} | {_range(field)} | {_one_line(field.description)} |"
            for name, field in _leaves(Settings, "OUTRIDER_")
        ),
    ]
    return "\n".join(lines) + "\n"


def _problem_page() -> str:
    """Return the problem types as Markdown."""
    lines = [
        "# Problem types",
        "",
        "Errors are `application/problem+json` (RFC 9457). The last part of `type` is stable. Made by `outrider docs`.",
        "",
        "| type ends in | status | when |",
        "| --- | --- | --- |",
        *(
            f"| `{kind.code}` | {_status(kind)} | {_one_line(kind.__doc__).removeprefix('Raised ')} |"
            for kind in sorted(_tree(errors.OutriderError), key=lambda kind: kind.code)
        ),
    ]
    return "\n".join(lines) + "\n"


def _role_page() -> str:
    """Return who may do what as Markdown."""
    roles = get_args(Role)
    lines = [
        "# Roles",
        "",
        "What each role may do; `driver` and `device` with what is their own driver's. Made by `outrider docs`.",
        "",
        f"| right | {' | '.join(roles)} |",
        f"| --- |{' --- |' * len(roles)}",
        *(
            f"| `{right}` | {' | '.join('yes' if role in allowed else '' for role in roles)} |"
            for right, allowed in RIGHTS.items()
        ),
        "",
        "A key with scopes may do what its scopes say, as far as its kind may; an `integration` has one at least.",
        "",
        "| scope | rights |",
        "| --- | --- |",
        *(f"| `{scope}` | {', '.join(f'`{right}`' for right in sorted(rights))} |" for scope, rights in SCOPES.items()),
    ]
    return "\n".join(lines) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": _settings_page,
    "problems.md": _problem_page,
    "roles.md": _role_page,
    "commands.md": command_page,
}
"""File name → what the page says today."""


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), field


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "by machine"
    return "none" if field.default in (None, ()) else f"`{field.default}`"


def _range(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(bound, attribute)}"
        for bound in field.metadata
        for kind, attribute, sign in _SIGNS
        if isinstance(bound, kind)
    ]
    return ", ".join(bounds)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _tree(kind: type[errors.OutriderError]) -> Iterator[type[errors.OutriderError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:  # the client's own errors are no problems of the API
            yield from _tree(child)


def _status(kind: type[errors.OutriderError]) -> int:
    return next(STATUSES[ancestor] for ancestor in kind.__mro__ if ancestor in STATUSES)
