"""How a benchmark prints what it found."""

from bench.report import show


def test_each_of_several_records_has_a_line_of_its_own(capsys):
    runs = [{"instance": name, "gaps": {"ours": 0.25, "theirs": 0.5}} for name in ("R1", "R2")]
    show({"bench": "solve", "runs": runs}, as_json=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if "instance" in line]
    assert [line.split("│")[2].strip() for line in lines] == [
        "instance R1, gaps ours 0.25, theirs 0.5",
        "instance R2, gaps ours 0.25, theirs 0.5",
    ]
