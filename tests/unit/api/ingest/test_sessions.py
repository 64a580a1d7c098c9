"""What a stream's session promises, whatever the order of commits and history."""

from hypothesis import given
from hypothesis import strategies as st

from api.ingest.sessions import Session


@given(st.lists(st.integers(0, 3), max_size=1000))
def test_durable_never_passes_what_history_holds(steps):
    """Each step is one frame; frame n goes with commit n, and history follows some commits behind."""
    session, durable_commit = Session("name", "key"), 0
    for commit, step in enumerate(steps, start=1):
        session.note_accepted(commit, commit)
        if step == 0:
            durable_commit = max(durable_commit, commit - 3)
            session.advance(durable_commit)
        assert session.durable <= durable_commit
    session.advance(len(steps))
    assert session.durable == session.accepted == len(steps)


def test_a_session_stays_small_while_history_stands_still():
    session = Session("name", "key")
    for commit in range(1, 100_001):
        session.note_accepted(commit, commit)
    assert len(session.undurable) <= 256
    assert session.advance(100_000)
    assert session.durable == 100_000


def test_a_lost_log_takes_back_what_is_not_durable():
    session = Session("name", "key")
    session.note_accepted(5, 1)
    session.note_accepted(9, 2)
    session.advance(1)
    session.lose()
    assert (session.accepted, session.durable) == (5, 5)
    assert not session.advance(100)
