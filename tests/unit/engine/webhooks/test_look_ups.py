"""Names of webhooks are looked up without holding up others, and what they led to is not believed a second time."""

import asyncio
import itertools
import socket
import threading

import pytest
import uvloop

from engine.webhooks.look_ups import LookUps, asking_for


class NameServer:
    """Says of names that begin with `dead` that it did not find them, but not before it may; knows all others."""

    def __init__(self):
        self.may_answer, self.asked, self.time_s = threading.Event(), [], 0.0
        self.was_asked = threading.Event()

    def __call__(self, name):
        self.asked.append(name)
        self.was_asked.set()
        if name.startswith("dead"):
            self.may_answer.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return ["192.0.2.1"]


@pytest.fixture
def names():
    server = NameServer()
    yield server
    server.may_answer.set()


@pytest.fixture
def look_ups(names):
    return LookUps(names, lambda: names.time_s)


def some_asked(look_ups, tenant, count):
    with asking_for(tenant):
        return [asyncio.create_task(look_ups.addresses_of(f"dead-{number}.test")) for number in range(count)]


def test_names_that_nobody_waits_for_any_more_are_not_looked_up(names, look_ups):
    async def mine():
        waiting = some_asked(look_ups, "ten_1", 200)
        await asyncio.sleep(0)  # each has asked by then
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        names.may_answer.set()
        with asking_for("ten_1"):
            return await look_ups.addresses_of("mine.test")

    assert uvloop.run(mine()) == ["192.0.2.1"]  # the host's loop
    assert len(names.asked) < 20


async def test_a_company_with_many_dead_names_holds_up_no_other(names, look_ups):
    theirs = some_asked(look_ups, "ten_1", 50)
    await asyncio.sleep(0)
    with asking_for("ten_2"):
        assert await look_ups.addresses_of("ours.test") == ["192.0.2.1"]
    assert not any(task.done() for task in theirs)
    names.may_answer.set()
    answers = await asyncio.gather(*theirs, return_exceptions=True)
    assert {str(answer) for answer in answers} == {"[Errno -3] no answer"}
    assert len(names.asked) == 51


async def test_a_dead_name_is_asked_for_again_after_a_pause_that_grows(names, look_ups):
    names.may_answer.set()
    asked_at = []
    for names.time_s in range(0, 1200, 4):
        before = len(names.asked)
        with pytest.raises(OSError, match=r"no answer|a moment ago"):
            await look_ups.addresses_of("dead.test")
        asked_at += [names.time_s] * (len(names.asked) - before)
    assert [after - before for before, after in itertools.pairwise(asked_at)] == [4, 12, 36, 108, 300, 300, 300]


async def test_of_those_who_ask_for_a_dead_name_after_its_pause_one_tries(names, look_ups):
    names.may_answer.set()
    with pytest.raises(OSError, match="no answer"):
        await look_ups.addresses_of("dead.test")
    names.may_answer.clear()
    names.was_asked.clear()
    names.time_s = 5.0
    tries = asyncio.create_task(look_ups.addresses_of("dead.test"))
    await asyncio.to_thread(names.was_asked.wait, 30)
    with pytest.raises(OSError, match="a moment ago"):
        await look_ups.addresses_of("dead.test")
    names.may_answer.set()
    with pytest.raises(OSError, match="no answer"):
        await tries


async def test_what_a_name_leads_to_is_asked_for_every_time():
    leads_to = iter([["93.184.216.34"], ["169.254.169.254"]])
    look_ups = LookUps(lambda _: next(leads_to))
    assert [await look_ups.addresses_of("name.test") for _ in range(2)] == [["93.184.216.34"], ["169.254.169.254"]]


async def test_a_name_that_was_found_again_is_as_good_as_any(names):
    known = []

    def found(_):
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return known

    look_ups = LookUps(found, lambda: names.time_s)
    for names.time_s, is_known in ((0, False), (4, True), (5, False), (9, True)):
        known[:] = ["192.0.2.1"] * is_known
        if is_known:
            assert await look_ups.addresses_of("name.test") == known
        else:
            with pytest.raises(OSError, match="not known"):
                await look_ups.addresses_of("name.test")


async def test_what_can_be_no_name_leads_nowhere():
    with pytest.raises(OSError, match="not a name"):
        await LookUps().addresses_of("ü" * 100 + ".test")
