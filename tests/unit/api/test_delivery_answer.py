"""A delivery is answered the same from what MongoDB keeps, however its moments are read, as from its document."""

import datetime
import json
from datetime import UTC

import bson
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from api.delivery_answer import KnownAnswers, answer_of, course_of
from api.live_view import JsonResponse, encode
from api.routers.deliveries import DeliveryView, view_of
from models.documents.delivery import (
    Customer,
    Delivery,
    Place,
    Position,
    Proof,
    Status,
    StatusChange,
    TimeWindow,
)
from models.store.moments import UNZONED, give_zone, moments_of

_TEXT = st.text("aé✓ 1", min_size=1, max_size=8).filter(str.strip)
_MOMENT = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.datetime.fromtimestamp(ms / 1000, tz=UTC))
_LATITUDE, _LONGITUDE = st.floats(-90, 90), st.floats(-180, 180)
_POSITION = st.builds(Position, latitude=_LATITUDE, longitude=_LONGITUDE)
_RADIUS = st.none() | st.floats(10, 5000)
_PLACE = st.builds(Place, address=_TEXT, radius_m=_RADIUS) | st.builds(
    Place, address=st.none() | _TEXT, latitude=_LATITUDE, longitude=_LONGITUDE, radius_m=_RADIUS
)
_CUSTOMER = st.builds(
    Customer,
    name=st.none() | _TEXT,
    phone=st.none() | st.just("+351 912 345 678"),
    email=st.none() | st.just("rui@example.pt"),
    language=st.sampled_from([None, "en", "de"]),
)
_WINDOW = st.builds(lambda start: TimeWindow(start=start, end=start + datetime.timedelta(hours=1)), _MOMENT)
_PROOF = st.builds(
    Proof,
    photos=st.lists(st.just("prf_1"), max_size=2),
    signature=st.none() | st.just("prf_2"),
    recipient=st.none() | _TEXT,
    location=st.none() | _POSITION,
    at=_MOMENT,
)
_CHANGE = st.builds(
    StatusChange,
    status=st.sampled_from(Status),
    at=_MOMENT,
    by=st.just("usr_1"),
    driver=st.none() | st.just("drv_1"),
    notes=st.none() | _TEXT,
    location=st.none() | _POSITION,
)
_DELIVERY = st.builds(
    Delivery,
    id=st.just("dlv_1"),
    tenant=st.just("ten_1"),
    version=st.integers(1, 2**40),
    status=st.sampled_from(Status),
    driver=st.none() | st.just("drv_1"),
    route=st.none() | st.just("rte_1"),
    reference=st.none() | _TEXT,
    pickup=st.none() | _PLACE,
    dropoff=_PLACE,
    customer=_CUSTOMER,
    weight_kg=st.none() | st.floats(0, 100_000),
    volume_m3=st.none() | st.integers(0, 1000),
    pieces=st.none() | st.integers(0, 100),
    skills=st.lists(st.sampled_from(["cold", "tail-lift"]), max_size=3),
    priority=st.sampled_from(["low", "normal", "high", "urgent"]),
    time_window=st.none() | _WINDOW,
    service_time_s=st.integers(0, 86_400),
    notes=st.none() | _TEXT,
    proof=st.none() | _PROOF,
    geocode_fault=st.sampled_from([None, "not_found", "uncertain"]),
    history=st.lists(_CHANGE, max_size=3),
    created_at=_MOMENT,
    updated_at=_MOMENT,
)
_MAY_BE_MISSING = ("version", "status", "customer", "skills", "priority", "serviceTimeS", "history")
"""What a release before a field was thought of has not stored."""


@given(_DELIVERY, st.sets(st.sampled_from(_MAY_BE_MISSING)))
def test_a_stored_delivery_is_answered_as_its_document_is(delivery, missing):
    stored = {name: value for name, value in delivery.stored().items() if name not in missing}
    data = bson.encode({**stored, "dataKey": 1, "phoneToken": b"x"})
    fields = bson.decode(data, CodecOptions(tz_aware=True))
    quick = give_zone(bson.decode(data, UNZONED), moments_of(Delivery))
    assert encode(quick) == encode(fields)
    said = json.loads(JsonResponse(answer_of(fields)).body)
    view = json.loads(view_of(Delivery.restored(fields)).model_dump_json(by_alias=True))
    assert said == view
    assert said.keys() == {field.alias or name for name, field in DeliveryView.model_fields.items()}
    written = json.loads(JsonResponse(answer_of(delivery.stored())).body)
    assert written == json.loads(view_of(delivery).model_dump_json(by_alias=True))
    course = json.loads(JsonResponse(course_of(fields)).body)
    assert course.pop("deliveryId") == view["id"]
    assert course == {name: view[name] for name in course}


def a_delivery():
    return Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(latitude=41.15, longitude=-8.61), notes="a door")


class Reader:
    """Reads stored deliveries, and counts."""

    def __init__(self):
        self.read = 0

    async def __call__(self, stored):
        self.read += 1
        return bson.decode(stored, CodecOptions(tz_aware=True))


async def test_a_list_shows_what_a_single_answer_shows():
    stored = bson.encode(a_delivery().stored())
    reader = Reader()
    shown = await KnownAnswers().of(stored, reader)
    assert json.loads(bytes(shown)) == json.loads(encode(answer_of(await reader(stored))))


async def test_only_the_very_same_document_is_not_read_again():
    known, reader = KnownAnswers(), Reader()
    one = a_delivery()
    first = await known.of(bson.encode(one.stored()), reader)
    assert await known.of(bson.encode(one.stored()), reader) == first
    assert reader.read == 1
    other = await known.of(bson.encode(one.model_copy(update={"notes": "another door"}).stored()), reader)
    assert json.loads(bytes(other))["notes"] == "another door"
    assert reader.read == 2


async def test_what_was_shown_is_forgotten_after_a_minute():
    at, reader = [0.0], Reader()
    known = KnownAnswers(timer=lambda: at[0])
    stored = bson.encode(a_delivery().stored())
    await known.of(stored, reader)
    at[0] = 59.0
    await known.of(stored, reader)
    assert reader.read == 1
    at[0] = 61.0
    await known.of(stored, reader)
    assert reader.read == 2


async def test_long_documents_take_no_more_memory_than_they_may():
    known, reader = KnownAnswers(most_bytes=20_000), Reader()
    documents = [a_delivery().model_copy(update={"id": f"dlv_{n}", "notes": "x" * 8_000}) for n in range(3)]
    stored = [bson.encode(one.stored()) for one in documents]
    for one in (*stored, stored[2], stored[1], stored[0]):
        await known.of(one, reader)
    assert reader.read == 4  # the last two were known, the first had to go for the third
    huge = bson.encode(a_delivery().model_copy(update={"notes": "x" * 30_000}).stored())
    assert json.loads(bytes(await known.of(huge, reader)))["notes"] == "x" * 30_000
