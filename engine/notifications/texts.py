"""Words for every message, in four languages: Fluent files in `messages/`, plurals and dates by CLDR.

Pure but for reading the files once. A value that a template asks for and nobody gives is an error, never a hole in the
text; a value that may be missing is given as `unknown`, and the template says what it says then.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import get_args

from fluent.runtime import FluentBundle, FluentResource
from fluent.runtime.types import fluent_date

from models.documents.language import Language
from models.documents.notification import Channel, Template
from models.errors import InvalidInput

__all__ = ["LANGUAGES", "REQUIRED", "UNKNOWN", "Text", "Value", "text_of"]

Value = str | int | datetime.datetime
"""What can stand in a text. Instants are shown by the clock of the tenant."""

LANGUAGES: tuple[Language, ...] = get_args(Language)

UNKNOWN = "unknown"
"""In place of an optional value that nobody knows."""

_OF_A_CUSTOMER = frozenset({"company", "reference"})
_OF_A_DRIVER = frozenset({"reference"})

REQUIRED: Mapping[Template, frozenset[str]] = {
    **dict.fromkeys((one for one in Template if one.startswith("delivery-")), _OF_A_CUSTOMER),
    **dict.fromkeys((one for one in Template if one.startswith("driver-")), _OF_A_DRIVER),
    Template.INVITATION: frozenset({"company", "link"}),
    Template.PASSWORD_RESET: frozenset({"company", "link"}),
    Template.TASK_FAILED: frozenset({"company", "kind", "attempts"}),
    Template.RANGES_OFF: frozenset({"company", "kind"}),
    Template.WEBHOOK_DISABLED: frozenset({"company", "kind"}),
}
"""Values that a text can't do without."""

_OPTIONAL = ("name", "link", "windowStart", "windowEnd", "minutes", "days", "address")
_SPACES = str.maketrans({"\u202f": " ", "\u00a0": " "})  # CLDR's narrow spaces would more than halve an SMS


@dataclass(frozen=True, slots=True)
class Text:
    """A message in words."""

    subject: str
    text: str


def text_of(template: Template, language: Language, channel: Channel, values: Mapping[str, Value], zone: str) -> Text:
    """Return a message in words.

    Parameters
    ----------
    template, language
        Which message.
    channel
        A mail greets and takes its leave; an SMS has no subject, but one is returned all the same.
    values
        What it tells of; those that the template does not use are left alone.
    zone
        IANA name of the time zone in which instants are shown.

    Raises
    ------
    InvalidInput
        If a value is missing or makes no sense; names it.
    """
    missing = sorted(REQUIRED[template] - values.keys())
    if missing:
        raise InvalidInput(f"{template} needs {missing[0]}", [(f"values.{name}", "is needed") for name in missing])
    shown = {name: _shown(value, zone) for name, value in (dict.fromkeys(_OPTIONAL, UNKNOWN) | dict(values)).items()}
    subject, text = _formatted(language, f"{template}.subject", shown), _formatted(language, template, shown)
    if channel == "email":
        closing = {"company": values.get("company", "Outrider")}
        text = "\n\n".join(
            (_formatted(language, "mail-greeting", shown), text, _formatted(language, "mail-closing", closing))
        )
    return Text(subject, text)


def _formatted(language: Language, name: str, values: Mapping[str, object]) -> str:
    message_id, _, attribute = name.partition(".")
    bundle = _bundle(language)
    message = bundle.get_message(message_id)
    pattern = message.attributes[attribute] if attribute else message.value
    if pattern is None:
        raise LookupError(name)
    text, faults = bundle.format_pattern(pattern, dict(values))
    if faults:
        raise InvalidInput(f"{message_id}: {faults[0]}", [("values", str(fault)) for fault in faults])
    lines = (" ".join(line.split()) for line in str(text).translate(_SPACES).splitlines())
    return "\n".join(line for line in lines if line)


def _shown(value: Value, zone: str) -> object:
    return fluent_date(value, timeZone=zone) if isinstance(value, datetime.datetime) else value


@cache
def _bundle(language: Language) -> FluentBundle:
    bundle = FluentBundle([language], use_isolating=False)
    bundle.add_resource(FluentResource((files(__package__) / "messages" / f"{language}.ftl").read_text("utf-8")))
    return bundle
