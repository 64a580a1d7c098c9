"""Texts of messages: every template in every language, plurals, dates by zone and language."""

import datetime
from datetime import UTC
from importlib.resources import files
from typing import get_args

import pytest
from fluent.syntax import FluentParser
from fluent.syntax.ast import Junk, Message

from engine.notifications.texts import LANGUAGES, REQUIRED, UNKNOWN, text_of
from models.documents.notification import Channel, Template
from models.errors import InvalidInput

VALUES = {
    "company": "Acme",
    "reference": "A-17",
    "name": "Ana",
    "link": "https://t.test/d/1",
    "windowStart": datetime.datetime(2026, 1, 5, 20, 30, tzinfo=UTC),
    "windowEnd": datetime.datetime(2026, 1, 5, 22, 0, tzinfo=UTC),
    "minutes": 5,
    "days": 7,
    "address": "Rua de Cedofeita 1",
    "kind": "webhook",
    "attempts": 3,
}


def said(template, language="en", channel="sms", zone="UTC", **values):
    least = {name: VALUES[name] for name in REQUIRED[Template(template)]}
    return text_of(Template(template), language, channel, least | values, zone)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", Template)
def test_every_template_speaks_every_language_with_and_without_optional_values(template, language):
    for channel in get_args(Channel):
        for values in (VALUES, {name: VALUES[name] for name in REQUIRED[template]}):
            text = text_of(template, language, channel, values, "Europe/Lisbon")
            for part in (text.subject, text.text):
                assert part
                assert UNKNOWN not in part
                assert not {"{", "}", "$", "\u2068", "\u2069", "\u202f"} & set(part)


@pytest.mark.parametrize("template", Template)
def test_no_language_repeats_the_words_of_another(template):
    texts = {text_of(template, language, "sms", VALUES, "UTC").text for language in LANGUAGES}
    assert len(texts) == len(LANGUAGES)


def test_every_file_has_the_same_messages_and_no_line_that_is_not_understood():
    found = {}
    for language in LANGUAGES:
        text = (files("engine.notifications") / "messages" / f"{language}.ftl").read_text("utf-8")
        body = FluentParser().parse(text).body
        assert not [entry for entry in body if isinstance(entry, Junk)]
        found[language] = {entry.id.name for entry in body if isinstance(entry, Message)}
    assert set(map(frozenset, found.values())) == {frozenset({*Template, "mail-greeting", "mail-closing"})}


@pytest.mark.parametrize("template", Template)
def test_a_value_that_is_missing_is_named(template):
    for name in REQUIRED[template]:
        values = {key: value for key, value in VALUES.items() if key != name}
        with pytest.raises(InvalidInput) as refused:
            text_of(template, "en", "sms", values, "UTC")
        assert refused.value.fields[0][0] == f"values.{name}"


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [("en", "1 minute.", "5 minutes."), ("de", "1 Minute ", "5 Minuten "), ("es", "1 minuto,", "5 minutos,")],
)
def test_plurals_are_those_of_the_language(language, one, many):
    assert one in said("delivery-arriving-soon", language, minutes=1).text
    assert many in said("delivery-arriving-soon", language, minutes=5).text


@pytest.mark.parametrize(
    ("language", "zone", "shown"),
    [
        ("en", "Europe/Lisbon", "Jan 5, 2026, 8:30 PM to 10:00 PM"),
        ("de", "Europe/Berlin", "05.01.2026, 21:30 bis 23:00"),
        ("es", "America/Mexico_City", "5 ene 2026, 14:30 a 16:00"),
        ("zh", "Asia/Shanghai", "2026年1月6日 04:30 至 06:00"),
    ],
)
def test_times_are_shown_by_the_zone_and_in_the_language(language, zone, shown):
    window = {name: VALUES[name] for name in ("windowStart", "windowEnd")}
    assert shown in said("delivery-created", language, zone=zone, **window).text


def test_a_mail_greets_by_name_and_takes_its_leave():
    lines = said("delivery-delivered", "de", "email", name="Ana").text.splitlines()
    assert (lines[0], lines[-1]) == ("Guten Tag, Ana,", "Freundliche Grüße, Acme")
    assert said("delivery-delivered", "de", "email").text.startswith("Guten Tag,\n")


def test_what_a_customer_is_called_can_not_become_part_of_the_template():
    text = said("delivery-created", company="{ $link }", reference='{ DATETIME("x") }').text
    assert text == '{ $link } has received your order { DATETIME("x") }.'
