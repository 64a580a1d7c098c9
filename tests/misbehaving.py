"""How servers of others misbehave, for tests of whoever asks them: each entry answers one request on a real socket."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

GIVEN_UP = threading.Event()
"""Set once nobody waits for a slow answer any more."""


def answering(body: Any, status: int = 200, **headers: str) -> Callable[[], Response]:
    """Answer with a body, which is sent as JSON unless it is text or bytes already."""
    sent = body if isinstance(body, str | bytes) else json.dumps(body)
    return lambda: Response(sent, status, {name.replace("_", "-"): value for name, value in headers.items()})


def late(answer: Callable[[], Response]) -> Callable[[], Response]:
    """Answer once it is too late."""
    return lambda: (GIVEN_UP.wait(), answer())[1]


MISBEHAVED: Mapping[str, Callable[[], Response]] = {
    "an error": answering("boom", 500),
    "too often": answering("slow down", 429, Retry_After="60"),
    "a page": answering("<html>"),
    "a list": answering([]),
    "nothing": answering(""),
    "far too much": answering(b" " * (2 * 2**20)),
}
"""What any of them may do."""


class OthersServer(HTTPServer):
    """A server on loopback that takes requests side by side, and knows when it has answered all."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", threaded=True)
        self._answered = threading.Condition()
        self._open = 0

    def application(self, request: Request) -> Response:
        """Answer one request, and write it down."""
        with self._answered:
            self._open += 1
        try:
            return super().application(request)
        finally:
            with self._answered:
                self._open -= 1
                self._answered.notify_all()

    def settle(self) -> None:
        """Let late answers go, and wait until they are in the log, which they would else put into the next test's."""
        GIVEN_UP.set()
        with self._answered:
            assert self._answered.wait_for(lambda: self._open == 0, 20)
