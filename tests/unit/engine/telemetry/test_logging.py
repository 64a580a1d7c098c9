"""Log lines on a pipe are JSON objects."""

import io
import json

import pytest
import structlog

from engine.telemetry.logging import configure_logging


def test_a_line_on_a_pipe_is_one_json_object_and_debug_is_left_out():
    out = io.StringIO()
    try:
        configure_logging("info", stream=out)
        log = structlog.get_logger()
        log.debug("thing.hidden")
        log.info("thing.happened", partition=3)
    finally:
        structlog.reset_defaults()
    (line,) = out.getvalue().splitlines()
    parsed = json.loads(line)
    assert (parsed["event"], parsed["partition"], parsed["level"]) == ("thing.happened", 3, "info")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_a_traceback_says_where_and_keeps_values_to_itself(out):
    password = "-".join(["correct", "horse"])
    try:
        configure_logging("info", stream=out)
        try:
            {}["nothing" + password[:0]]
        except KeyError:
            structlog.get_logger().exception("thing.failed")
    finally:
        structlog.reset_defaults()
    assert "KeyError" in out.getvalue()
    assert "values_to_itself" in out.getvalue()
    assert "correct-horse" not in out.getvalue()
