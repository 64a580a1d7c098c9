"""Long-lived tasks: again after a fault, over when done, ended together."""

import asyncio

from engine.supervisor import Supervisor
from tests.stack import eventually


async def test_a_failing_task_runs_again_and_its_neighbour_is_unharmed():
    tries, heard = [], []
    words: asyncio.Queue[str] = asyncio.Queue()

    async def fails_twice() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        await asyncio.Event().wait()

    async def listens() -> None:
        while True:
            heard.append(await words.get())

    supervisor = Supervisor("test")
    supervisor.run("fails", fails_twice)
    supervisor.run("listens", listens)
    await supervisor.start()
    await eventually(lambda: len(tries) == 3)
    words.put_nowait("after the faults")
    await eventually(lambda: heard == ["after the faults"])
    await supervisor.stop()


async def test_stop_lets_tasks_clean_up_and_may_be_called_twice():
    cleaned = asyncio.Event()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    supervisor = Supervisor("test")
    supervisor.run("works", works)
    await supervisor.start()
    await asyncio.sleep(0)
    await supervisor.stop()
    await supervisor.stop()
    assert cleaned.is_set()


async def test_a_task_that_returns_is_over():
    runs = []

    async def once() -> None:
        runs.append(1)

    supervisor = Supervisor("test")
    supervisor.run("once", once)
    await supervisor.start()
    await eventually(lambda: runs)
    await supervisor.stop()
    assert runs == [1]
