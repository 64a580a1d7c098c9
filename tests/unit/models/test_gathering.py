"""Calls that do their work together: who goes with whom, and what each is told."""

import asyncio
import contextvars

import pytest

from models.store.gathering import Gathering

SOON_S = 0.02
NEVER_S = 600.0


class Store:
    """Answers with ten times what it is asked, when the test lets it."""

    def __init__(self, *, most=100, patience_s=NEVER_S, pause_s=0.0):
        self.gathering = Gathering(self._work, most=most, patience_s=patience_s, pause_s=pause_s)
        self.batches = []
        self.came = asyncio.Event()
        self.open = asyncio.Event()

    async def _work(self, asked):
        self.batches.append(list(asked))
        self.came.set()
        await self.open.wait()
        if "broken" in asked:
            raise ConnectionError("the store is away")
        return [KeyError(one) if one == "bad" else one * 10 for one in asked]

    def ask(self, *all_asked):
        return [asyncio.ensure_future(self.gathering.ask(asked)) for asked in all_asked]


async def test_those_of_one_turn_go_together_and_each_gets_its_own_answer():
    store = Store()
    store.open.set()
    assert await asyncio.gather(*store.ask(1, 2, 3)) == [10, 20, 30]
    assert store.batches == [[1, 2, 3]]


async def test_who_comes_while_others_are_out_goes_with_the_next_ones():
    store = Store()
    first = store.ask(1)
    await store.came.wait()
    later = store.ask(2, 3)
    await asyncio.sleep(0)
    later += store.ask(4)
    store.open.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40]
    assert store.batches == [[1], [2, 3, 4]]


async def test_who_comes_in_the_pause_goes_with_those_who_waited():
    store = Store(pause_s=SOON_S)
    first = store.ask(1)
    await store.came.wait()
    later = store.ask(2)
    store.open.set()
    await first[0]
    later += store.ask(3)
    assert await asyncio.gather(*later) == [20, 30]
    assert store.batches == [[1], [2, 3]]


async def test_no_pause_is_made_once_as_many_wait_as_may_go():
    store = Store(most=2, pause_s=NEVER_S)
    first = store.ask(1)
    await store.came.wait()
    later = store.ask(2, 3)
    store.open.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30]
    assert store.batches == [[1], [2, 3]]


async def test_no_more_go_together_than_may():
    store = Store(most=2, patience_s=SOON_S)
    store.open.set()
    assert await asyncio.gather(*store.ask(*range(5))) == [0, 10, 20, 30, 40]
    assert [len(batch) for batch in store.batches] == [2, 2, 1]


async def test_an_error_of_one_is_its_own():
    store = Store()
    store.open.set()
    good, bad = store.ask(1, "bad")
    assert await good == 10
    with pytest.raises(KeyError):
        await bad


async def test_an_error_of_the_store_is_told_to_all_and_the_next_ask_anew():
    store = Store()
    store.open.set()
    for told in await asyncio.gather(*store.ask(1, "broken"), return_exceptions=True):
        assert isinstance(told, ConnectionError)
    assert await store.gathering.ask(2) == 20


async def test_one_that_gives_up_takes_nobody_along_and_is_not_asked_for():
    store = Store()
    first, other = store.ask(1, 2)
    await store.came.wait()
    waiting, gone = store.ask(3, 4)
    await asyncio.sleep(0)
    first.cancel()
    gone.cancel()
    store.open.set()
    assert await asyncio.gather(other, waiting) == [20, 30]
    assert store.batches == [[1, 2], [3]]


async def test_work_that_nobody_waits_for_is_broken_off():
    store = Store()
    first, other = store.ask(1, 2)
    await store.came.wait()
    (later,) = store.ask(3)
    first.cancel()
    other.cancel()
    store.came.clear()
    await store.came.wait()  # it went although the store has answered nobody
    assert store.batches == [[1, 2], [3]]
    store.open.set()
    assert await later == 30


async def test_an_answer_that_takes_longer_holds_up_its_own_caller_alone():
    slow = asyncio.Event()

    async def in_a_while(asked):
        await slow.wait()
        if asked == "bad":
            raise KeyError(asked)
        return asked

    async def work(asked):
        return [one if isinstance(one, int) else asyncio.create_task(in_a_while(one)) for one in asked]

    gathering = Gathering(work, most=9, patience_s=NEVER_S)
    quick, late, bad, gone = (asyncio.ensure_future(gathering.ask(one)) for one in (1, "late", "bad", "gone"))
    assert await quick == 1
    assert await gathering.ask(2) == 2
    gone.cancel()
    slow.set()
    assert await late == "late"
    with pytest.raises(KeyError):
        await bad


async def test_too_few_answers_are_a_fault_that_all_are_told():
    async def work(asked):
        return asked[:1]

    gathering = Gathering(work, most=9, patience_s=NEVER_S)
    told = await asyncio.gather(gathering.ask(1), gathering.ask(2), return_exceptions=True)
    assert [type(one) for one in told] == [ValueError, ValueError]


async def test_work_is_done_with_the_request_of_one_who_asked_for_it():
    request = contextvars.ContextVar("request")
    seen, began, may_end = [], asyncio.Event(), asyncio.Event()

    async def work(asked):
        seen.append(request.get())
        began.set()
        await may_end.wait()
        return asked

    gathering = Gathering(work, most=9, patience_s=NEVER_S)

    async def ask(name):
        request.set(name)
        await gathering.ask(name)

    first = asyncio.ensure_future(ask("first"))
    await began.wait()
    second = asyncio.ensure_future(ask("second"))
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(first, second)
    assert seen == ["first", "second"]


async def test_a_store_that_hangs_holds_up_others_no_longer_than_their_patience():
    store = Store(patience_s=SOON_S)
    store.ask(1)
    await store.came.wait()
    store.came.clear()
    store.ask(2)
    await store.came.wait()
    assert store.batches == [[1], [2]]
    store.open.set()
