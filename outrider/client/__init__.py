"""The typed Python client: REST, the ingest stream and live frames.

```python
async with OutriderClient("http://127.0.0.1:8000") as client:
    await client.login("ana@example.com", "correct horse battery")
    van = await client.create_driver("Van 7", external_id="van-7")
    async with client.ingest() as stream:
        await stream.send([Ping(driver_id="van-7", latitude=41.15, longitude=-8.61, speed=8.3)])
        await stream.drain(durable=True)
    print(await client.live(van.id))
```
"""

from outrider.client.errors import ApiProblem, StreamEnded
from outrider.client.ingest import IngestStream
from outrider.client.live import LiveStream
from outrider.client.rest import OutriderClient
from outrider.client.shapes import (
    Delivery,
    Driver,
    FieldFault,
    Frame,
    ImportReport,
    ImportRow,
    LiveDriver,
    Ping,
    Place,
    Session,
)

__all__ = [
    "ApiProblem",
    "Delivery",
    "Driver",
    "FieldFault",
    "Frame",
    "ImportReport",
    "ImportRow",
    "IngestStream",
    "LiveDriver",
    "LiveStream",
    "OutriderClient",
    "Ping",
    "Place",
    "Session",
    "StreamEnded",
]
