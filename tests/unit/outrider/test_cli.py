"""The command line as a user meets it."""

import importlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.routers.auth import Registration
from outrider.cli import COMMANDS
from outrider.cli.up import greeting


def _run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "outrider", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_all_commands_and_loads_none():
    done = _run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, outrider.cli; print('ray' in sys.modules, 'numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("target", [target for target, _ in COMMANDS.values()])
def test_every_command_leads_somewhere(target):
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_doctor_answers_in_json():
    findings = json.loads(_run("doctor", "--json").stdout)
    assert {"Python", "mongod", "Redis", "Front door"} <= {finding["subject"] for finding in findings}


def test_a_wrong_setting_is_named_in_one_line():
    done = _run("up", OUTRIDER_API__PORT="many")
    assert done.returncode == 1
    assert done.stderr.startswith("outrider: OUTRIDER_API__PORT is 'many'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OUTRIDER_HISTORY__KEEP_DAYS": "1", "OUTRIDER_JWT_SECRET": "s3cret" * 8}, "OUTRIDER_HISTORY__KEEP_DAYS"),
        ({"OUTRIDER_TRAVEL__FLOW_URL": "https://flow.example/?key=s3cret"}, "OUTRIDER_TRAVEL__FLOW_URL"),
        ({"OUTRIDER_JWT_SECRETS": '["s3cret", 7]'}, "OUTRIDER_JWT_SECRETS"),
    ],
)
def test_what_is_wrong_with_settings_is_told_without_the_secrets_among_them(variables, named):
    done = _run("up", **variables)
    assert done.returncode == 1
    assert named in done.stderr
    assert "s3cret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_one_line_that_says_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run("up", OUTRIDER_API__PORT=str(port), OUTRIDER_VAR=str(tmp_path))
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in done.stderr
    assert "OUTRIDER_API__PORT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_greeting_shows_a_registration_that_is_taken():
    text = greeting("http://127.0.0.1:8000", Path("var"))
    body = text[text.index("-d '") + 4 :].partition("'")[0]
    assert Registration.model_validate_json(body).tenant == "Blue Vans"
