import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from api.gateway.conflate import FleetState
from api.gateway.viewport import Bbox, Selection, inside, look
from models.messages.fixes import DEGREE
from models.messages.live import LIVE


def records(*entries):
    made = np.zeros(len(entries), LIVE)
    for record, (driver, time, lat, lon) in zip(made, entries, strict=True):
        record["driver"], record["time"] = driver, time
        record["lat"], record["lon"] = round(lat * DEGREE), round(lon * DEGREE)
    return made


def named(state, *numbers):
    state.name([(number, f"drv_{number}", f"Van {number}") for number in numbers])


def test_a_subscriber_gets_the_newest_state_once_however_many_there_were():
    state = FleetState()
    state.apply(records((7, 1, 41, -8)), shard=0)
    named(state, 7)
    seen = state.version
    for time in range(2, 50):
        state.apply(records((7, time, 41, -8)), shard=0)
    rows = state.changed_since(seen)
    assert rows.size == 1
    assert state.records["time"][rows[0]] == 49
    assert not state.changed_since(state.version).size


def test_another_shards_older_word_does_not_count():
    state = FleetState()
    state.apply(records((7, 100, 41, -8)), shard=1)
    state.apply(records((7, 99, 42, -8)), shard=0)
    assert state.records["time"][0] == 100


def test_a_shards_own_correction_counts_even_when_its_fix_is_older():
    state = FleetState()
    state.apply(records((7, 100, 41, -8)), shard=1)
    state.apply(records((7, 90, 42, -8)), shard=1)
    assert state.records["time"][0] == 90


def test_a_repeated_snapshot_changes_nothing():
    state = FleetState()
    snapshot = records((7, 100, 41, -8), (9, 100, 42, -8))
    state.apply(snapshot, shard=0)
    version = state.version
    state.apply(snapshot, shard=0)
    assert state.version == version


def test_a_driver_without_a_name_is_not_shown():
    state = FleetState()
    assert state.apply(records((7, 1, 41, -8), (9, 1, 41, -8)), shard=0) == [7, 9]
    named(state, 9)
    delta = look(state, Selection(), -1, np.zeros(64, np.bool_))
    assert state.records["driver"][delta.rows].tolist() == [9]
    assert state.unnamed() == [7]


def test_a_deleted_driver_leaves_the_view():
    state = FleetState()
    state.apply(records((7, 1, 41, -8)), shard=0)
    named(state, 7)
    seen, visible = state.version, np.ones(64, np.bool_)
    state.hide(7)
    delta = look(state, Selection(), seen, visible)
    assert not delta.rows.size
    assert [state.ids[row] for row in delta.gone] == ["drv_7"]


def test_a_driver_whose_positions_are_erased_is_shown_again_where_it_says_it_is():
    state = FleetState()
    state.apply(records((7, 1000, 41, -8), (9, 1000, 41, -8)), shard=0)
    named(state, 7, 9)
    seen, visible = state.version, np.ones(64, np.bool_)
    state.erase(7)
    delta = look(state, Selection(), seen, visible)
    assert [state.ids[row] for row in delta.gone] == ["drv_7"]
    assert state.records["lat"][state.row_of(7)] == state.records["time"][state.row_of(7)] == 0
    seen = state.version
    assert state.apply(records((7, 2000, 42, -8)), shard=0) == []
    delta = look(state, Selection(), seen, np.zeros(64, np.bool_))
    assert state.records["driver"][delta.rows].tolist() == [7]


def test_a_driver_that_drives_out_of_the_box_is_gone_once():
    state, box = FleetState(), Selection(Bbox(41, -9, 42, -8))
    state.apply(records((7, 1, 41.5, -8.5)), shard=0)
    named(state, 7)
    visible = np.zeros(64, np.bool_)
    first = look(state, box, -1, visible)
    visible[first.rows] = True
    seen = state.version
    state.apply(records((7, 2, 43, -8.5)), shard=0)
    second = look(state, box, seen, visible)
    assert (first.rows.size, first.gone.size) == (1, 0)
    assert (second.rows.size, second.gone.size) == (0, 1)


def test_a_box_over_the_180th_meridian_holds_both_sides():
    lat = np.zeros(3, np.int32)
    lon = np.array([179.5, -179.5, 0]) * DEGREE
    assert inside(Bbox(-1, 179, 1, -179), lat, lon.astype(np.int32)).tolist() == [True, True, False]


def test_a_number_that_nobody_has_selects_nothing():
    state = FleetState()
    state.apply(records((7, 1, 41, -8)), shard=0)
    named(state, 7)
    assert not look(state, Selection(number=8), -1, np.zeros(64, np.bool_)).rows.size


updates = st.lists(
    st.lists(st.tuples(st.integers(0, 400), st.floats(40, 43), st.floats(-9, -7)), min_size=1, max_size=30),
    min_size=1,
    max_size=12,
)


@given(updates, st.sets(st.integers(0, 11)))
def test_whoever_takes_every_delta_sees_what_a_full_look_shows(batches, looks):
    """However seldom a subscriber looks, adding and removing what it is told gives the view at the end."""
    state, box = FleetState(), Selection(Bbox(41, -8.5, 42, -7.5))
    visible, seen, known = np.zeros(2048, np.bool_), -1, set()
    for turn, batch in enumerate(batches):
        unique = {number: (number, turn, lat, lon) for number, lat, lon in batch}
        fresh = state.apply(records(*unique.values()), shard=0)
        named(state, *fresh)
        if turn in looks or turn == len(batches) - 1:
            delta = look(state, box, seen, visible)
            seen = state.version
            visible[delta.rows], visible[delta.gone] = True, False
            known = (known | set(delta.rows.tolist())) - set(delta.gone.tolist())
    full = look(state, box, -1, np.zeros(2048, np.bool_))
    assert known == set(full.rows.tolist())
