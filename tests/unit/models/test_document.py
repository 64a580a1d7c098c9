"""What goes into the fields that all documents share."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.documents.document import Flag, Instant, Shape

INSTANT = TypeAdapter(Instant)


@given(st.integers(0, 253_402_300_799_999))
def test_a_number_and_digits_are_epoch_milliseconds(millis):
    moment = INSTANT.validate_python(millis)
    assert round(moment.timestamp() * 1000) == millis
    assert INSTANT.validate_python(str(millis)) == moment


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_is_kept_in_utc_or_refused(moment):
    try:
        kept = INSTANT.validate_python(moment.isoformat())
    except ValidationError:
        return
    assert kept.tzinfo is datetime.UTC
    assert kept.microsecond % 1000 == 0
    assert datetime.timedelta(0) <= moment - kept < datetime.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "value",
    [
        True,
        -1,
        0.5,
        1e300,
        "0.5",
        "9" * 15,
        "2026-01-01",
        "soon",
        "0001-01-01T00:00:00+23:59",
        None,
        [],
        "2026-13-01T00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(ValidationError):
        INSTANT.validate_python(value)


class Numbers(Shape):
    whole: int = 0
    maybe: float | None = None
    several: tuple[int, ...] = ()
    flag: Flag = False


@pytest.mark.parametrize(
    "fields",
    [{"whole": True}, {"maybe": False}, {"several": [1, False]}, {"flag": 1}, {"flag": "yes"}],
)
def test_a_flag_is_no_number_and_a_number_no_flag(fields):
    with pytest.raises(ValidationError):
        Numbers.model_validate(fields)
    assert Numbers(whole=1, maybe=0.5, several=(1, 2), flag=True).whole == 1
