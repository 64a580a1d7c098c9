"""Real taxis beside the demo's vans: a recorded Monday morning of Porto's, at its own speed."""

from outrider.client import OutriderClient
from outrider.playback import Playback, send_chunk, vehicle_ids
from outrider.traces import Trace

__all__ = ["Taxis"]


class Taxis:
    """Taxis as they drove, with the faults of their receivers, through the public WebSocket.

    Parameters
    ----------
    client
        Signed in as the company's admin.
    trace
        What they drove. From its end they begin again, where they had begun.
    """

    def __init__(self, client: OutriderClient, trace: Trace) -> None:
        self._client, self._trace = client, trace
        self.drivers = 0
        """How many there are."""
        self.pings = 0
        self.refused = 0

    async def drive(self) -> None:
        """Drive for ever."""
        drivers = await vehicle_ids(self._client, self._trace.vehicles, "taxi ")
        self.drivers = len(drivers)
        async with self._client.ingest() as stream:
            while True:
                async for chunk in Playback(self._trace, 1.0).chunks():
                    await send_chunk(stream, chunk, drivers)
                    self.pings += len(chunk.fixes)
                    self.refused = sum(stream.refused.values())
