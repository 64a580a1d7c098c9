"""Which fields of a document are sealed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.store.personal import _changed, open_changes


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_path_goes_through_all_items_on_its_way(kind):
    """A document holds its lists as tuples, MongoDB as lists."""
    fields = {"history": kind([{"status": "assigned", "notes": "back door"}, {"status": "accepted"}]), "notes": "x"}
    made = _changed(fields, "deliveries", lambda field, value: f"sealed {field}")
    assert made["history"][0] == {"status": "assigned", "notes": "sealed deliveries.history.notes"}
    assert made["history"][1] == {"status": "accepted"}
    assert made["notes"] == "sealed deliveries.notes"


STEPS = st.fixed_dictionaries({"status": st.sampled_from(["assigned", "accepted"])}, optional={"notes": st.just("x")})
FORMS = st.fixed_dictionaries(
    {"version": st.integers(1, 3), "history": st.lists(STEPS, max_size=4).map(tuple)},
    optional={
        "driver": st.sampled_from(["drv_1", "drv_2"]),
        "notes": st.sampled_from(["back door", "ring twice"]),
        "customer": st.fixed_dictionaries({}, optional={"name": st.sampled_from(["Ana", "Rui"])}),
    },
)


@given(before=FORMS, after=FORMS)
def test_an_update_makes_one_form_of_the_other_and_holds_nothing_personal(before, after):
    update = open_changes("deliveries", before, after)
    if update is None:
        assert any(before.get(name) != after.get(name) for name in ("history", "notes", "customer"))
        return
    made = {name: value for name, value in before.items() if name not in update.get("$unset", {})}
    made |= update.get("$set", {})
    for name, pushed in update.get("$push", {}).items():
        made[name] = (*made[name], *pushed["$each"])
    assert made == after
    assert not {"notes", "customer"} & (update.get("$set", {}).keys() | update.get("$unset", {}).keys())
    assert not any("notes" in step for step in update.get("$push", {}).get("history", {"$each": ()})["$each"])


def test_a_step_without_a_note_is_added_to_a_history_that_holds_some():
    noted = {"status": "assigned", "notes": "back door"}
    before = {"version": 2, "history": (noted,)}
    after = {"version": 3, "history": (noted, {"status": "accepted"})}
    expected = {"$set": {"version": 3}, "$push": {"history": {"$each": [{"status": "accepted"}]}}}
    assert open_changes("deliveries", before, after) == expected
    assert open_changes("deliveries", before, after | {"history": (noted, noted)}) is None
    assert open_changes("deliveries", after, before) is None
