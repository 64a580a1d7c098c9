"""Files are whole or as they were before, whoever writes beside."""

import os
import time

import pytest

from models.replacing import replacing


def test_two_who_write_at_once_do_not_meet(tmp_path):
    """Also where names differ by their endings alone, as a state's and a ledger's."""
    state, ledger = tmp_path / "new" / "roads.state", tmp_path / "new" / "roads.ledger"
    with replacing(state) as one, replacing(ledger) as other, replacing(state) as third:
        for number, partial in enumerate((one, other, third)):
            partial.write_text(str(number))
        assert not state.exists()
        assert len({one, other, third}) == 3
    assert ledger.read_text() == "1"
    assert state.read_text() == "0"  # the first to begin was the last to end
    assert sorted(path.name for path in state.parent.iterdir()) == ["roads.ledger", "roads.state"]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "standing.json"
    path.write_text("before")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_and_what_one_writes_now_stays(tmp_path):
    path = tmp_path / "legs.parquet"
    left, fresh = tmp_path / ".legs.parquet.1.partial", tmp_path / ".legs.parquet.2.partial"
    for one in (left, fresh):
        one.write_text("rows of somebody")
    os.utime(left, (time.time() - 7200,) * 2)
    with replacing(path) as partial:
        partial.write_text("rows")
    assert not left.exists()
    assert fresh.exists()
