"""`outrider solve` as a user meets it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "vrp"


def run(*arguments):
    command = [sys.executable, "-m", "outrider", "solve", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_the_how_tos_command_finds_the_best_plan_that_is_known_and_draws_it(tmp_path):
    page = (ROOT / "docs" / "how-to" / "solve-a-routing-problem.md").read_text()
    command = re.search(r"```bash\noutrider solve (.*)\n```", page)
    assert command is not None
    arguments = shlex.split(command[1].replace("c101.png", str(tmp_path / "c101.png")))
    done = run(*arguments, "--workers", 1, "--seconds", 4, "--out", tmp_path / "c101.sol", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["instance"] == "C101"
    assert figures["feasible"]
    assert (figures["unserved"], figures["reasons"]) == (0, {})
    assert figures["gap"] <= 0.01
    assert figures["solver"]
    assert (tmp_path / "c101.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "c101.sol").read_text().startswith("Route #1:")


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    problem = json.loads((DATA / "shop.json").read_text())
    problem["jobs"].append({"id": 9, "location": [-8.6, 41.15], "delivery": [50]})
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(problem))
    done = run(path, "--seconds", 2, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "job 9 is left out: too heavy for every vehicle" in done.stdout


def test_what_is_no_problem_ends_with_one_line(tmp_path):
    broken = tmp_path / "broken.vrp"
    broken.write_text("nothing\n")
    for arguments in ((broken,), (tmp_path / "missing.vrp",), (DATA / "C101.txt", "--solver", "nobody")):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("outrider: ")
        assert len(done.stderr.splitlines()) == 1
