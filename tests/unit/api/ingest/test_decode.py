"""Messages in: typed rows, one bad row among good ones, and garbage of all kinds."""

import contextlib
import gzip
import json
import zlib

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from api.ingest.bodies import unpack
from api.ingest.decode import Decoder, moment_ms
from models.errors import InvalidInput, Malformed, TooLarge

decoder = Decoder(100)
ROW = {"time": 1_750_000_000_000, "latitude": 41.15, "longitude": -8.61}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
messages = values | st.fixed_dictionaries({"pings": st.lists(values | st.just(ROW), max_size=5)})


def test_camel_and_snake_case_are_read_alike():
    camel = decoder.json(json.dumps({"pings": [{**ROW, "driverId": "a", "deviceTime": 1}]}).encode())
    snake = decoder.json(json.dumps({"pings": [{**ROW, "driver_id": "a", "device_time": 1}]}).encode())
    assert camel.rows[0].driver == snake.rows[0].driver_id == "a"
    assert camel.rows[0].device == snake.rows[0].device_time == 1


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        ({**ROW, "latitude": "north"}, "wrong-type", "latitude"),
        ({**ROW, "driverId": 5}, "wrong-type", "driverId"),
        ({"time": 1, "latitude": 1.0}, "missing", "longitude"),
        ("ping", "wrong-type", ""),
    ],
)
@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_a_bad_row_is_refused_alone(bad, reason, field, encode):
    data = encode({"seq": 4, "pings": [ROW, bad, ROW]})
    message = decoder.json(data) if encode is msgspec.json.encode else decoder.msgpack(data)
    assert [row is not None for row in message.rows] == [True, False, True]
    assert [(refusal.index, refusal.reason, refusal.field) for refusal in message.refused] == [(1, reason, field)]
    assert message.seq == 4


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"pings":5}', b'{"pings":[{]}', b"\xff\xfe", b'{"seq":"x","pings":[]}']
)
def test_what_is_broken_as_a_whole_is_malformed(body):
    with pytest.raises(Malformed):
        decoder.json(body)


def test_the_path_of_the_fault_is_told():
    with pytest.raises(Malformed) as caught:
        decoder.json(b'{"pings":5}')
    assert caught.value.fields[0][0] == "pings"


def test_too_many_pings_are_too_large():
    with pytest.raises(TooLarge):
        decoder.json(json.dumps({"pings": [ROW] * 101}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_invalid_input(data):
    for read in (decoder.json, decoder.msgpack):
        with contextlib.suppress(InvalidInput):
            read(data)


@given(messages)
def test_any_value_is_a_message_or_invalid_input(value):
    data = msgspec.msgpack.encode(value)
    try:
        message = decoder.msgpack(data)
    except InvalidInput:
        return
    rows = message.rows or []
    assert sum(row is None for row in rows) == len(message.refused)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (1.75e12, 1_750_000_000_000),
        ("2025-06-15T15:06:40Z", 1_750_000_000_000),
        ("2025-06-15T17:06:40.5+02:00", 1_750_000_000_500),
        ("2025-06-15T15:06:40", 1_750_000_000_000),
        ("soon", None),
        (float("nan"), None),
    ],
)
def test_times(value, expected):
    assert moment_ms(value) == expected


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
class TestPacked:
    def test_round_trip(self, encoding, pack):
        assert unpack(pack(b"abc" * 1000), encoding, 3000) == b"abc" * 1000

    def test_a_bomb_stops_at_the_limit(self, encoding, pack):
        with pytest.raises(TooLarge):
            unpack(pack(bytes(50_000_000)), encoding, 1_000_000)

    def test_a_cut_body_is_malformed(self, encoding, pack):
        with pytest.raises(Malformed):
            unpack(pack(b"abc" * 1000)[:-5], encoding, 10_000)

    @given(data=st.binary(max_size=100))
    def test_garbage_is_malformed(self, encoding, pack, data):
        with contextlib.suppress(Malformed, TooLarge):
            unpack(data, encoding, 10_000)


def test_an_unknown_encoding_is_named():
    with pytest.raises(InvalidInput):
        unpack(zlib.compress(b"x"), "br", 100)
