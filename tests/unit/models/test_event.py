"""Events as MongoDB keeps them are events as every encoder takes them."""

import datetime

import msgspec
from bson import Int64

from models.documents.event import Event


def test_an_event_read_from_mongodb_can_be_told():
    kept = {"_id": "evt_1", "tenant": "ten_1", "time": datetime.datetime.now(tz=datetime.UTC), "type": "offer.made"}
    kept |= {
        "aggregate": "dlv_1",
        "sequence": 1,
        "data": {"until": Int64(2**40), "list": [{"at": Int64(1)}], "on": True},
    }
    event = Event.restored(kept)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event.data)) == {
        "until": 2**40,
        "list": [{"at": 1}],
        "on": True,
    }
    assert event.data["on"] is True
