"""Who is asked for one kind of condition: the provider behind its breaker, then what it said before, then nobody.

What it says is kept in memory and in a folder that all processes share, a file a cell: one of them asks for all, and
after a restart there is something to fall back on.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Literal

import msgspec
import structlog

from engine.conditions.answers import Cell, ConditionProvider, ConditionT, Known, middle_of
from engine.providers.breaker import Breaker
from models.errors import ProviderDown
from models.replacing import replacing

__all__ = ["ConditionSource"]

log = structlog.get_logger(__name__)

_MOST = 5_000  # cells in memory, some kB each
_AT_ONCE = 8


class ConditionSource(Generic[ConditionT]):
    """Asks for one kind of condition.

    Parameters
    ----------
    provider, breaker
        Who knows, and what guards the calls.
    folder
        Where what it said is kept.
    fresh_s
        For how long an answer is as good as new, seconds.
    kept_s
        For how long it counts while the provider is away.
    clock
        Epoch seconds.
    """

    def __init__(
        self,
        provider: ConditionProvider[ConditionT],
        breaker: Breaker,
        folder: Path,
        *,
        fresh_s: float,
        kept_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.kind = provider.name, provider.answers
        self._provider, self._breaker, self._folder = provider, breaker, folder
        self._fresh_s, self._kept_s, self._clock = fresh_s, kept_s, clock
        self._held: OrderedDict[Cell, ConditionT] = OrderedDict()

    async def of(self, cells: list[Cell]) -> dict[Cell, Known[ConditionT]]:
        """Return what is known of cells; those of which nobody knows are not in it."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def asked(cell: Cell) -> Known[ConditionT] | None:
            async with room:
                return await self._of(cell)

        found = await asyncio.gather(*(asked(cell) for cell in cells))
        return {cell: known for cell, known in zip(cells, found, strict=True) if known is not None}

    async def close(self) -> None:
        """Let go of the provider's connections."""
        await self._provider.close()

    async def _of(self, cell: Cell) -> Known[ConditionT] | None:
        held = self._held.get(cell)
        if held is None or self._age_s(held) > self._fresh_s:
            held = await asyncio.to_thread(self._read, cell) or held
        if held is not None and self._age_s(held) <= self._fresh_s:
            return self._hold(cell, held, "provider")
        try:
            async with self._breaker:
                said = await self._provider.ask(*middle_of(self.kind, cell))
        except ProviderDown as fault:
            log.warning("conditions.provider_failed", provider=self.name, error=str(fault))
            if held is None or self._age_s(held) > self._kept_s:
                return None
            return self._hold(cell, held, "cache")
        await asyncio.to_thread(self._write, cell, said)
        return self._hold(cell, said, "provider")

    def _hold(self, cell: Cell, held: ConditionT, source: Literal["provider", "cache"]) -> Known[ConditionT]:
        self._held[cell] = held
        self._held.move_to_end(cell)
        if len(self._held) > _MOST:
            self._held.popitem(last=False)
        return Known(held, self.name, source)

    def _age_s(self, held: ConditionT) -> float:
        return abs(self._clock() - held.said_s)  # a clock that was put back makes nothing new

    def _read(self, cell: Cell) -> ConditionT | None:
        try:
            return msgspec.json.decode(self._file(cell).read_bytes(), type=self.kind)
        except (OSError, msgspec.MsgspecError):  # not there, or of another release
            return None

    def _write(self, cell: Cell, said: ConditionT) -> None:
        try:
            with replacing(self._file(cell)) as partial:
                partial.write_bytes(msgspec.json.encode(said))
        except OSError as fault:
            log.warning("conditions.not_kept", error=str(fault))

    def _file(self, cell: Cell) -> Path:
        return self._folder / f"{self.name}_{cell[0]}_{cell[1]}.json"
