"""What many callers ask of a store at once goes there together: one command for all of them, not one for each.

The first goes at once. Who comes while it is out waits and goes with all the others who came meanwhile, so the busier
the store is, the more go together. Databases commit to their journals that way (group commit), and GraphQL servers read
that way (data loaders). Nobody gets an answer to a question that was put before his own.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Gathering"]

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


@dataclass(slots=True, eq=False)
class _Asker(Generic[AskedT, AnswerT]):
    """Somebody who waits."""

    asked: AskedT
    answer: "asyncio.Future[AnswerT]"
    context: contextvars.Context
    """Of the request that asks."""

    def tell(self, answer: "AnswerT | Exception") -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Gathering(Generic[AskedT, AnswerT]):
    """Calls that do their work together.

    Parameters
    ----------
    work
        Does what some callers ask, and returns for each, in their order, an answer, an error, or a task that will have
        one: its caller alone waits for that. What it raises all of them get. It is cancelled when nobody waits for it
        any more.
    most
        Most callers who go together.
    patience_s
        How long who waits is held up by those who are out; a store that hangs holds up nobody for longer.
    pause_s
        How long those who wait let others join them once those before are back. Where it is busy, more go together
        then, and each command costs both sides less; who finds nobody before him waits for nobody.
    """

    def __init__(
        self,
        work: Callable[[Sequence[AskedT]], Awaitable[Sequence[AnswerT | Exception | asyncio.Task[AnswerT]]]],
        *,
        most: int,
        patience_s: float,
        pause_s: float = 0.0,
    ) -> None:
        self._work, self._most, self._patience_s, self._pause_s = work, most, patience_s, pause_s
        self._waiting: list[_Asker[AskedT, AnswerT]] = []
        self._out: dict[asyncio.Task[None], Sequence[_Asker[AskedT, AnswerT]]] = {}
        self._due: asyncio.Handle | None = None

    async def ask(self, asked: AskedT) -> AnswerT:
        """Return the answer; an error that is the caller's own, or everybody's, is raised."""
        loop = asyncio.get_running_loop()
        asker = _Asker[AskedT, AnswerT](asked, loop.create_future(), contextvars.copy_context())
        self._waiting.append(asker)
        if self._due is None:  # not at once, so that those of the same turn of the loop go together
            self._due = loop.call_later(self._patience_s, self._go) if self._out else loop.call_soon(self._go)
        try:
            return await asker.answer
        except asyncio.CancelledError:
            for task, together in self._out.items():
                if all(one.answer.cancelled() for one in together):
                    task.cancel()
            raise

    def _go(self) -> None:
        """Let those who wait go, as many as may."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        # who has given up meanwhile is not asked for
        waiting = [one for one in self._waiting if not one.answer.done()]
        together, self._waiting = waiting[: self._most], waiting[self._most :]
        if not together:
            return
        loop = asyncio.get_running_loop()
        if self._waiting:
            self._due = loop.call_later(self._patience_s, self._go)
        task = loop.create_task(self._answer(together), context=together[0].context)
        self._out[task] = together
        task.add_done_callback(self._back)

    def _back(self, task: "asyncio.Task[None]") -> None:
        del self._out[task]
        if not self._waiting or self._out:
            return
        if not self._pause_s or len(self._waiting) >= self._most:
            self._go()
            return
        if self._due is not None:
            self._due.cancel()
        self._due = asyncio.get_running_loop().call_later(self._pause_s, self._go)

    async def _answer(self, together: Sequence[_Asker[AskedT, AnswerT]]) -> None:
        try:
            answers = await self._work([one.asked for one in together])
            told = list(zip(together, answers, strict=True))
        except Exception as fault:  # noqa: BLE001 - it is told to everybody who waits
            for one in together:
                one.tell(fault)
        except asyncio.CancelledError:
            for one in together:
                one.answer.cancel()
            raise
        else:
            for one, answer in told:
                if isinstance(answer, asyncio.Task):
                    _follow(answer, one)
                else:
                    one.tell(answer)


def _follow(task: "asyncio.Task[AnswerT]", asker: "_Asker[AskedT, AnswerT]") -> None:
    """Tell somebody what a task comes to, and let it go when he waits no more."""

    def ended(done: "asyncio.Task[AnswerT]") -> None:
        if done.cancelled():
            asker.answer.cancel()
        elif isinstance(fault := done.exception(), Exception):
            asker.tell(fault)
        elif fault is None:
            asker.tell(done.result())

    task.add_done_callback(ended)
    asker.answer.add_done_callback(lambda answer: task.cancel() if answer.cancelled() else None)
