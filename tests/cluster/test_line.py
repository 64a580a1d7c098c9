"""The direct line to a shard: the same answers as through Ray, for those who know the secret."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.asking import ShardDirectory
from engine.shards.line import AnswerServer, ShardLine, lines_key
from tests.cluster.fleet import a_fleet, supervised
from tests.stack import Stores, eventually

pytestmark = pytest.mark.cluster


def echo(method: str, *arguments: Any) -> Any:
    if method == "fail":
        raise ValueError("no such question")
    return [method, *arguments]


@contextlib.asynccontextmanager
async def a_server(redis: Any, prefix: str) -> AsyncIterator[str]:
    """Run a shard's end that echoes, and return its address."""
    task = asyncio.create_task(AnswerServer(0, echo, redis, prefix, "127.0.0.1").run())
    try:
        yield (await eventually(lambda: redis.hget(lines_key(prefix), "0"))).decode()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_many_questions_at_once_get_each_its_answer(redis: Any, prefix: str) -> None:
    async with a_server(redis, prefix) as address:
        line = await ShardLine.connect(address)
        answers = await asyncio.gather(*(line.ask("live", number, b"x" * number) for number in range(500)))
        assert answers == [["live", number, b"x" * number] for number in range(500)]
        line.close()


async def test_a_wrong_secret_gets_no_answer(redis: Any, prefix: str) -> None:
    async with a_server(redis, prefix) as address:
        host, port, secret = address.split(" ")
        line = await ShardLine.connect(f"{host} {port} {secret[:-1]}x")
        with pytest.raises(ConnectionError):
            await line.ask("live", 1)


@pytest.mark.parametrize(
    "garbage", [b"\xff\xff\xff\xff", b"\x03\x00\x00\x00abc" + b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_garbage_is_cut_off_and_others_go_on(redis: Any, prefix: str, garbage: bytes) -> None:
    async with a_server(redis, prefix) as address:
        good = await ShardLine.connect(address)
        host, port, _ = address.split(" ")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        assert await good.ask("stops", 7) == ["stops", 7]
        good.close()


async def test_answers_are_the_same_over_the_line_and_through_ray(
    stores: Stores, tenant: str, prefix: str, ray_session: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=3, count=1) as fleet, supervised(fleet) as (_, engine):
        await fleet.reached(await fleet.drive(0, 5))
        assert await eventually(lambda: fleet.redis.hexists(lines_key(prefix), "0"))
        questions = [("live", fleet.numbers), ("nearest", tenant, 41.0, -8.0, 2), ("stops", fleet.numbers[0])]
        directly = [await engine.shards.ask(0, *question) for question in questions]
        await fleet.redis.hset(lines_key(prefix), "0", "127.0.0.1 1 nobody-listens-here")
        through_ray = ShardDirectory(fleet.redis, fleet.settings)
        await through_ray.start()
        assert [await through_ray.ask_all(*question) for question in questions] == [[(0, each)] for each in directly]
        assert len(directly[0]) > 0
        await through_ray.stop()
