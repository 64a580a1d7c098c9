import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.bodies import MAX_DEPTH, check_json
from models.errors import InvalidInput, Malformed


def faults_of(body):
    with pytest.raises(InvalidInput) as caught:
        check_json(body if isinstance(body, bytes) else body.encode())
    return caught.value.fields


def nested(depth, inner=b"1"):
    return b'{"a":' * depth + inner + b"}" * depth


GOOD_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
KEYS = GOOD_TEXT.filter(lambda key: "." not in key and not key.startswith("$"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | GOOD_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=40,
)


@given(VALUES, st.booleans())
def test_what_is_in_order_passes(value, escaped):
    check_json(json.dumps(value, ensure_ascii=escaped).encode())


POISONS = {
    '{"$set": 1}': "$set",
    '{"a.b": 1}': "a.b",
    '{"k": 1, "k": 2}': "k",
    '"\\u0000"': "",
    '"\\ud800"': "",
    '"x\\udc00y"': "",
    '{"\\u0000": 1}': "\ufffd",
    "1e999": "",
    "[-1e400]": "0",
    "1" * 20: "",
    str(2**63): "",
    "1" * 400 + ".5": "",
}


@settings(max_examples=25)
@pytest.mark.parametrize("poison", POISONS)
@given(VALUES)
def test_what_is_poisoned_is_refused_with_its_path(poison, value):
    body = f'{{"good": {json.dumps(value)}, "stops": [1, {poison}]}}'
    assert ".".join(filter(None, ["stops.1", POISONS[poison]])) in [path for path, _ in faults_of(body)]


@pytest.mark.parametrize(
    "body", ["NaN", '{"a": Infinity}', "[-Infinity]", "{", '{"a":1}}', "'a'", '"\x01"', "", '{"a":\x00}']
)
def test_what_is_no_json_is_malformed(body):
    with pytest.raises(Malformed):
        check_json(body.encode())


@pytest.mark.parametrize(
    "body", [b'"\xff"', '{"a": "é"}'.encode("latin-1"), '{"a": 1}'.encode("utf-16"), b'"\xed\xa0\x80"']
)
def test_what_is_not_utf8_is_malformed(body):
    with pytest.raises(Malformed):
        check_json(body)


def test_nesting_has_an_end():
    check_json(nested(MAX_DEPTH))
    check_json(b"[" + b",".join([nested(3)] * 200) + b"]")
    assert faults_of(nested(MAX_DEPTH + 1))
    assert faults_of(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    for depth in (100, 100_000):
        with pytest.raises(InvalidInput):
            check_json(nested(depth))


def test_pairs_of_surrogates_and_other_escapes_are_text():
    check_json(rb'{"a": "\ud83d\ude00 \u00e9 \\u0000"}')


def test_many_faults_are_told_up_to_a_number():
    assert len(faults_of("[" + ",".join(['{"$a": 1}'] * 500) + "]")) == 50
