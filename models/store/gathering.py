"""What many callers ask of a store at once goes there together: one command for all of them, not one for each.

The first goes at once. Who comes while it is out waits and goes with all the others who came meanwhile, so the busier
the store is, the more go together. Databases commit to their journals that way (group commit), and GraphQL servers read
that way (data loaders). Nobody gets an answer to a question that was put before his own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Gathering"]

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")


class Gathering(Generic[AskedT, AnswerT]):
    """Calls that do their work together.

    Parameters
    ----------
    work
        Does what some callers ask, and returns an answer or an error for each, in their order. What it raises all
        of them get.
    most
        Most callers who go together.
    patience_s
        How long who waits is held up by those who are out; a store that hangs holds up nobody for longer.
    """

    def __init__(
        self,
        work: Callable[[Sequence[AskedT]], Awaitable[Sequence[AnswerT | Exception]]],
        *,
        most: int,
        patience_s: float,
    ) -> None:
        self._work, self._most, self._patience_s = work, most, patience_s
        self._waiting: list[tuple[AskedT, asyncio.Future[AnswerT]]] = []
        self._out: set[asyncio.Task[None]] = set()
        self._due: asyncio.Handle | None = None

    async def ask(self, asked: AskedT) -> AnswerT:
        """Return the answer; an error that is the caller's own, or everybody's, is raised."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AnswerT] = loop.create_future()
        self._waiting.append((asked, answer))
        if self._due is None:  # not at once, so that those of the same turn of the loop go together
            self._due = loop.call_later(self._patience_s, self._go) if self._out else loop.call_soon(self._go)
        return await answer

    def _go(self) -> None:
        """Let those who wait go, as many as may."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        # who has given up meanwhile is not asked for
        waiting = [one for one in self._waiting if not one[1].done()]
        together, self._waiting = waiting[: self._most], waiting[self._most :]
        if not together:
            return
        loop = asyncio.get_running_loop()
        if self._waiting:
            self._due = loop.call_later(self._patience_s, self._go)
        task = loop.create_task(self._answer(together))
        self._out.add(task)
        task.add_done_callback(self._back)

    def _back(self, task: "asyncio.Task[None]") -> None:
        self._out.discard(task)
        if self._waiting and not self._out:
            self._go()

    async def _answer(self, together: Sequence[tuple[AskedT, "asyncio.Future[AnswerT]"]]) -> None:
        try:
            answers = await self._work([asked for asked, _ in together])
        except Exception as fault:  # noqa: BLE001 - it is told to everybody who waits
            answers = [fault] * len(together)
        except asyncio.CancelledError:
            for _, waiting in together:
                waiting.cancel()
            raise
        for (_, waiting), answer in zip(together, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
