"""An SMS and push gateway for tests: does what it is told, and keeps what it takes."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response


@dataclass
class Gateway:
    """A JSON gateway on loopback that sends once what comes twice under one key."""

    server: HTTPServer
    received: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of all requests, repeats too, with `key` and `path`."""
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a person has got, by key."""
    answers: deque[int] = field(default_factory=deque)
    """Statuses of the next answers; then it takes everything."""
    holding: threading.Event = field(default_factory=threading.Event)
    """While it is clear, requests wait for their answer."""

    def url(self, path: str = "/sms") -> str:
        """Return an address of it for the settings."""
        return self.server.url_for(path)

    def serve(self, request: Request) -> Response:
        """Answer one request."""
        message = {**request.get_json(), "key": request.headers["Idempotency-Key"], "path": request.path}
        self.received.append(message)
        status = self.answers.popleft() if self.answers else 200
        if status < 300:
            self.sent.setdefault(message["key"], message)
        self.holding.wait(20)
        return Response("{}", status=status)


@contextlib.contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Run a gateway."""
    with HTTPServer("127.0.0.1", threaded=True) as server:
        gateway = Gateway(server)
        gateway.holding.set()
        for path in ("/sms", "/push"):
            server.expect_request(path, method="POST").respond_with_handler(gateway.serve)
        try:
            yield gateway
        finally:
            gateway.holding.set()
