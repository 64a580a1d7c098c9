from engine.keys.lists import KeyList


def test_a_file_goes_before_what_is_given_and_is_looked_at_every_second(tmp_path):
    file, now = tmp_path / "keys", [0.0]
    keys = KeyList(["given"], file, clock=lambda: now[0])
    assert keys() == ("given",)
    file.write_text("new\nold\n")
    assert keys() == ("given",)
    now[0] = 1.0
    assert keys() == ("new", "old")
    assert keys() is keys()
    file.unlink()
    now[0] = 2.0
    assert keys() == ("new", "old")
    file.write_bytes(b"\xff")
    now[0] = 3.0
    assert keys() == ("new", "old")


def test_a_list_without_a_file_never_changes():
    keys = KeyList(["one", "two"])
    assert keys() == ("one", "two")
    assert keys() is keys()
