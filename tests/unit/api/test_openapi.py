"""The OpenAPI document, as a generator of clients and a person without our source need it."""

import re
from collections import Counter

import jsonschema
import pytest

from api.app import create_app
from api.examples import EXAMPLES
from api.openapi import TAGS
from engine.settings import Settings

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
BODIES = {
    name: content["schema"]
    for name, operation in OPERATIONS.items()
    for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    if kind == "application/json"
}


def _whole(schema):
    """Return a schema that stands by itself."""
    return {**schema, "components": DOCUMENT["components"]}


def _named(schema):
    """Return the name of the schema of a body, of the items of one that is a list, or of one that may be left out."""
    inner = schema.get("items", schema)
    return inner.get("anyOf", [inner])[0].get("$ref", "").rpartition("/")[2]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_what_it_is(operation):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", operation["operationId"])
    assert operation["summary"]
    assert operation["description"].endswith((".", "`"))
    [tag] = operation["tags"]
    assert tag in TAGS, "api/openapi.py says what each tag is about"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_how_it_fails(operation):
    errors = {status for status in operation["responses"] if status >= "4"}
    assert {"429", "503"} <= errors
    if "requestBody" in operation:
        assert {"400", "413", "415", "422"} <= errors
    if "security" in operation:
        assert {"401", "403", "404", "409"} <= errors
    for status in errors:
        name = operation["responses"][status].get("$ref", "").rpartition("/")[2]
        answer = DOCUMENT["components"]["responses"][name] if name else operation["responses"][status]
        assert list(answer["content"])


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_says_what_it_answers(operation):
    good = [answer for status, answer in operation["responses"].items() if status < "3"]
    assert good
    for answer in good:
        for content in answer.get("content", {}).values():
            assert content.get("schema"), "an answer without a schema leaves a client's author guessing"


def test_operation_ids_are_unique():
    ids = Counter(operation["operationId"] for operation in OPERATIONS.values())
    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize(("operation", "schema"), BODIES.items(), ids=list(BODIES))
def test_a_body_has_an_example_that_would_do(operation, schema):
    content = OPERATIONS[operation]["requestBody"]["content"]["application/json"]
    if "example" in content:
        example = content["example"]
    else:
        assert _named(schema) in EXAMPLES, f"api/examples.py has none for {_named(schema)}"
        example = EXAMPLES[_named(schema)]
        example = [example] if "items" in schema else example
    jsonschema.Draft202012Validator(_whole(schema), format_checker=jsonschema.FormatChecker()).validate(example)


def test_no_example_is_left_over():
    assert set(EXAMPLES) <= {_named(schema) for schema in BODIES.values()}


def test_whoever_needs_a_token_is_told_how_to_send_it():
    schemes = DOCUMENT["components"]["securitySchemes"]
    for operation in OPERATIONS.values():
        for requirement in operation.get("security", []):
            assert set(requirement) <= set(schemes)


def test_every_field_of_a_body_is_described_or_plain():
    """A field of whose name alone nobody knows the unit or the meaning has a line of its own."""
    assert "Metres a second." in str(DOCUMENT["components"]["schemas"]["LocationUpdate"])
