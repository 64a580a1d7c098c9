"""Which fields of a document are sealed."""

import pytest

from models.store.personal import _changed


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_path_goes_through_all_items_on_its_way(kind):
    """A document holds its lists as tuples, MongoDB as lists."""
    fields = {"history": kind([{"status": "assigned", "notes": "back door"}, {"status": "accepted"}]), "notes": "x"}
    made = _changed(fields, "deliveries", lambda field, value: f"sealed {field}")
    assert made["history"][0] == {"status": "assigned", "notes": "sealed deliveries.history.notes"}
    assert made["history"][1] == {"status": "accepted"}
    assert made["notes"] == "sealed deliveries.notes"
