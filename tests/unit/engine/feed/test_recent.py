"""The newest events in memory answer as the store does, or say that they can't."""

from hypothesis import given
from hypothesis import strategies as st

from engine.feed import recent
from engine.feed.recent import RecentEvents
from models.documents.event import Event


def an_event(number):
    fields = {"id": f"evt_{number}", "tenant": "ten_a", "type": "a.b", "aggregate": "x", "sequence": 1}
    return Event(**fields, time="2026-11-25T08:00:00Z", number=number)


@given(
    st.lists(st.integers(1, 400), unique=True, min_size=1).map(sorted),
    st.integers(0, 410),
    st.integers(1, 50),
    st.integers(1, 7),
    st.integers(0, 20),
)
def test_what_it_answers_is_what_the_store_would(numbers, place, limit, batch, kept):
    begin = numbers[0] - 1
    events = [an_event(number) for number in numbers]
    held, most = RecentEvents(), recent._MOST
    recent._MOST = kept + 1
    try:
        held.begin(begin)
        for first in range(0, len(events), batch):
            held.add(events[first : first + batch])
    finally:
        recent._MOST = most
    answer = held.after(place, limit)
    known = place >= (numbers[-kept - 2] if len(numbers) > kept + 1 else begin)
    assert (answer is not None) == known
    if answer is not None:
        assert list(answer) == [event for event in events if event.number > place][:limit]


def test_before_it_has_begun_it_knows_nothing():
    assert RecentEvents().after(0, 10) is None
