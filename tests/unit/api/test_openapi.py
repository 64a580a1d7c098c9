"""The OpenAPI document, as a generator of clients and a person without our source need it."""

import re
from collections import Counter

import jsonschema
import pytest

from api.app import create_app
from api.examples import EXAMPLES
from engine.settings import Settings

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_what_it_is(operation):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", operation["operationId"])
    assert operation["summary"]
    assert operation["description"].endswith((".", "`"))
    assert len(operation["tags"]) == 1


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_how_it_fails(operation):
    errors = {status for status in operation["responses"] if status >= "4"}
    assert {"429", "503"} <= errors
    if "requestBody" in operation:
        assert {"400", "413", "415", "422"} <= errors
    if "security" in operation:
        assert {"401", "403", "404"} <= errors
    for status in errors:
        name = operation["responses"][status].get("$ref", "").rpartition("/")[2]
        answer = DOCUMENT["components"]["responses"][name] if name else operation["responses"][status]
        assert list(answer["content"])


def test_operation_ids_are_unique():
    ids = Counter(operation["operationId"] for operation in OPERATIONS.values())
    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) & set(DOCUMENT["components"]["schemas"])))
def test_an_example_would_do(name):
    schema = {**DOCUMENT["components"]["schemas"][name], "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(EXAMPLES[name])


def test_whoever_needs_a_token_is_told_how_to_send_it():
    schemes = DOCUMENT["components"]["securitySchemes"]
    for operation in OPERATIONS.values():
        for requirement in operation.get("security", []):
            assert set(requirement) <= set(schemes)


def test_every_field_of_a_body_is_described_or_plain():
    """A field of whose name alone nobody knows the unit or the meaning has a line of its own."""
    assert "Metres a second." in str(DOCUMENT["components"]["schemas"]["LocationUpdate"])
