"""What all ingest streams of a process share: the decoder, the sessions, and the word that history has caught up."""

import asyncio

from api.ingest.connection import IngestConnection
from api.ingest.decode import Decoder
from api.ingest.pings import count_pings
from api.ingest.sessions import Session, Sessions
from api.services import Services

__all__ = ["Door"]

_DURABLE_EVERY_S = 0.2  # busy streams hear it with their next acknowledgement; a thousand idle ones cost 5,000 writes/s


class Door:
    """Keeps the open streams of one process.

    Parameters
    ----------
    services
        The parts of the process.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self.appender = services.appender
        self.decoder = Decoder(services.settings.ingest.max_pings_per_batch)
        self.sessions = Sessions(services.redis, services.settings.prefix)
        self._open: dict[Session, IngestConnection] = {}
        self._counts: dict[str, list[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        services.appender.watermark.on_durable.append(self._on_durable)
        services.appender.watermark.on_loss.append(self._on_loss)

    @property
    def durable_commit(self) -> int:
        """Return the commit up to which history holds everything."""
        return self.appender.watermark.durable_commit

    def enter(self, connection: IngestConnection) -> None:
        """Let a stream in; an older connection of the same session is closed."""
        before = self._open.get(connection.session)
        self._open[connection.session] = connection
        if before is not None:
            before.lost()

    async def leave(self, connection: IngestConnection) -> None:
        """Let a stream go and write down where it stands."""
        connection.ended = True
        if self._open.get(connection.session) is connection:
            del self._open[connection.session]
        connection.session.advance(self.durable_commit)
        await self.sessions.leave(connection.session)

    def count(self, tenant: str, accepted: int, refused: int) -> None:
        """Count pings; handed to the metrics once a round, because their labels cost more than a ping."""
        counts = self._counts.setdefault(tenant, [0, 0])
        counts[0] += accepted
        counts[1] += refused
        self._set_timer()

    def _on_durable(self, durable_commit: int) -> None:
        del durable_commit
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DURABLE_EVERY_S, self._round)

    def _round(self) -> None:
        self._timer = None
        counts, self._counts = self._counts, {}
        for tenant, (accepted, refused) in counts.items():
            count_pings(tenant, accepted, refused)
        for session, connection in self._open.items():
            if session.advance(self.durable_commit):
                connection.acknowledge()

    def _on_loss(self) -> None:
        self.sessions.lose()
        for connection in list(self._open.values()):
            connection.session.lose()
            connection.lost()
