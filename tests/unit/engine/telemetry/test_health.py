"""`check_machine` tells what keeps Outrider from running, and changes nothing."""

import json
import os
import socket
from pathlib import Path

import pytest

from engine.embedded.folders import FolderLock
from engine.settings import Settings
from engine.telemetry.health import Finding, check_machine


def _found(subject: str, **fields: object) -> Finding:
    return next(finding for finding in check_machine(Settings(**fields)) if finding.subject == subject)


def test_a_good_machine_has_no_failure(tmp_path):
    findings = check_machine(Settings(var=tmp_path / "var"))
    assert [finding for finding in findings if finding.verdict == "fail"] == []
    assert not (tmp_path / "var").exists()


def test_a_missing_server_is_a_failure_with_advice(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    finding = _found("mongod")
    assert finding.verdict == "fail"
    assert "outrider[embedded]" in finding.advice


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = _found("Front door", api={"port": taken.getsockname()[1]})
    assert finding.verdict == "warn"
    assert "OUTRIDER_API__PORT" in finding.advice


def test_a_running_outrider_on_the_folder_is_no_fault(tmp_path: Path):
    lock = FolderLock(tmp_path)
    lock.take()
    try:
        assert str(os.getpid()) in _found("Folder", var=tmp_path).seen
    finally:
        lock.release()


def test_dead_children_of_a_living_host_are_named(tmp_path: Path):
    (tmp_path / "pids.json").write_text(json.dumps({"host": [os.getpid()], "redis": [2**22 + 1]}))
    finding = _found("Processes", var=tmp_path)
    assert (finding.verdict, "dead: redis" in finding.seen) == ("warn", True)
