"""One API process: `python -m api.worker --fd N` serves the app on a socket that the host has opened."""

import argparse
import socket
import sys

import uvicorn

from engine.collecting import collect_later, collect_seldom
from engine.settings import Settings
from engine.telemetry.logging import configure_logging, quiet_ray

__all__ = ["main"]

_DRAIN_S = 5
_SWITCH_S = 0.0005  # a shard's answer comes in by a thread of Ray's, which should not wait 5 ms for the interpreter
_WS_PING_S = 20.0
_BACKLOG = 2048


def main() -> None:
    """Serve until SIGTERM, then finish the requests that run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="file descriptor of the listening socket")
    descriptor = parser.parse_args().fd
    collect_later()
    from api.app import create_app  # only now, the most of what is imported
    from api.ingest.takeover import TakeoverProtocol

    settings = Settings()
    configure_logging(settings.log_level)
    quiet_ray()
    sys.setswitchinterval(_SWITCH_S)
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        ws=TakeoverProtocol,
        ws_max_size=settings.ingest.max_body_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=_WS_PING_S,
        ws_ping_timeout=_WS_PING_S,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        backlog=_BACKLOG,
    )
    collect_seldom()
    # made from the descriptor here, because uvicorn's own `fd` takes every socket for a unix one
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
