"""Addresses of webhooks: what is said is kept in its normal form, and what is kept can be read again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.documents.webhook import WebhookAddress

ADDRESS = TypeAdapter(WebhookAddress)
LONGEST = 2000


def of_length(characters: int, path: str = "") -> str:
    """Return an address of so many characters: a host name of many parts, and a path."""
    host = ("a" * 49 + ".") * (characters // 50 + 1)
    return f"https://{host}"[: characters - len(path) - 1] + "b" + path


@given(st.integers(1900, 2100), st.sampled_from(["", "/", "/hooks", "/ü", "?a=ü"]))
@example(LONGEST, "")
def test_an_address_that_is_taken_is_taken_again_as_it_is_kept(characters, path):
    try:
        kept = ADDRESS.validate_python(of_length(characters, path))
    except ValidationError:
        return
    assert ADDRESS.validate_python(kept) == kept


def test_an_address_is_measured_in_its_normal_form():
    assert len(ADDRESS.validate_python(of_length(LONGEST - 1))) == LONGEST
    with pytest.raises(ValidationError, match="2000 characters in its normal form"):
        ADDRESS.validate_python(of_length(LONGEST))
