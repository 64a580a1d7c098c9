"""Finding a Node to build the dashboard with."""

import subprocess

import pytest

from api.dashboard.build import find_node
from models.errors import BadSettings


def test_node_is_found_with_its_npm() -> None:
    folder = find_node()
    done = subprocess.run([folder / "node", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("v")
    assert (folder / "npm").exists()


def test_no_node_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadSettings, match="needs Node"):
        find_node()
