"""The REST application in a process of its own, without shards: `python -m tests.api_process`."""

import asyncio
import json
import socket
import sys

import uvicorn

from tests.rest import running_api
from tests.stack import Stores


async def _serve(mongo_url: str, redis_url: str, prefix: str, descriptor: int) -> None:
    stores = Stores(mongo_url, redis_url, None, None)  # type: ignore[arg-type]  # they belong to another process
    async with running_api(stores, prefix) as (app, _):
        config = uvicorn.Config(app, lifespan="off", log_level="warning")
        await uvicorn.Server(config).serve([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    asyncio.run(_serve(**json.loads(sys.argv[1])))
