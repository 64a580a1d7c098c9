"""Log lines on a pipe are JSON objects."""

import io
import json

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
