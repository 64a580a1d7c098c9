"""A circuit breaker and a time limit around the calls of one provider.

`purgatory` counts failures and keeps the three states. Added here: a time limit; one probe alone while the circuit is
half open, so that a provider that just recovers is not flooded; what was begun before the circuit opened no longer
moves it; and a cancelled call says nothing of the provider.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from purgatory import AsyncCircuitBreakerFactory, ContextChanged, Event
from purgatory.domain.model import OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker

from engine.providers.circuits import SharedCircuits
from engine.telemetry.metrics import PROVIDER_CALLS, PROVIDER_CIRCUIT
from models.errors import CircuitOpen, OutcomeUnknown

__all__ = ["Breaker"]

log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")

_STATES = {"closed": 0, "half-opened": 1, "opened": 2}  # as `outrider_provider_circuit` tells them
_SOONEST_S = 1.0  # of what a refused caller is told to wait


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is under way."""

    circuit: AsyncCircuitBreaker
    probes: bool
    """Whether it is the one that tries out a provider that was down."""
    limit: asyncio.Timeout


class Breaker:
    """Guards the calls of one provider.

    Parameters
    ----------
    name
        Of the provider, for metrics and errors.
    failures
        Failures in a row after which calls are refused at once.
    recovery_s
        Time after which one call may try again, seconds.
    timeout_s
        Time limit of one call, seconds.
    answers
        Errors that are answers: the provider works and says no. They count as a success.
    circuits
        Through which other processes hear that the circuit has opened, and this one of theirs; None for this alone.
    """

    def __init__(
        self,
        name: str,
        failures: int,
        recovery_s: float,
        timeout_s: float,
        answers: tuple[type[Exception], ...] = (),
        circuits: SharedCircuits | None = None,
    ) -> None:
        self.name = name
        self._recovery_s, self._timeout_s, self._answers = recovery_s, timeout_s, answers
        unit = None if circuits is None else circuits.unit_of_work()
        self._factory = AsyncCircuitBreakerFactory(default_threshold=failures, default_ttl=recovery_s, uow=unit)
        self._factory.add_listener(self._on_event)
        self._probing = asyncio.Lock()
        self._calls: dict[asyncio.Task[Any] | None, _Call] = {}
        PROVIDER_CIRCUIT.labels(name).set(_STATES["closed"])

    async def call(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Return what `work` returns, if the circuit lets it through and it keeps the time limit.

        Raises
        ------
        CircuitOpen
            If the provider is left alone: nothing was begun.
        OutcomeUnknown
            If `work` took too long: it may have been done. Other errors of `work` come out as they are.
        """
        async with self:
            return await work()

    async def __aenter__(self) -> Self:
        """Begin a call; raises as `call` does. A task makes one call at a time."""
        circuit = await self._factory.get_breaker(self.name)
        PROVIDER_CIRCUIT.labels(self.name).set(_STATES[circuit.context.state])
        probes = await self._let_through(circuit)
        limit = asyncio.timeout(self._timeout_s)
        await limit.__aenter__()
        self._calls[asyncio.current_task()] = _Call(circuit, probes, limit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End this task's call and count how it went."""
        call = self._calls.pop(asyncio.current_task())
        try:
            await call.limit.__aexit__(kind, fault, trace)
        except TimeoutError as late:
            fault = late
        try:
            await self._count(call, fault)
        finally:
            if call.probes:
                self._probing.release()
        if isinstance(fault, TimeoutError):
            raise OutcomeUnknown(f"{self.name} took longer than {self._timeout_s:g} s", _SOONEST_S) from fault

    async def _let_through(self, circuit: AsyncCircuitBreaker) -> bool:
        """Let a call through or refuse it; return whether it is a probe."""
        probes = circuit.context.state != "closed"
        if probes and self._probing.locked():
            raise self._refused(self._timeout_s)
        try:
            await circuit.__aenter__()
        except OpenedState as opened:
            opened.with_traceback(None)  # the same object each time: its trace would grow
            raise self._refused(opened.opened_at + self._recovery_s - time.time()) from None
        if probes:
            await self._probing.acquire()  # free, as seen above, so this does not wait
        return probes

    def _refused(self, waits_s: float) -> CircuitOpen:
        PROVIDER_CALLS.labels(self.name, "refused").inc()
        return CircuitOpen(f"{self.name} does not work at the moment", max(waits_s, _SOONEST_S))

    async def _count(self, call: _Call, fault: BaseException | None) -> None:
        is_ours = isinstance(fault, self._answers)
        is_failure = isinstance(fault, Exception) and not is_ours
        PROVIDER_CALLS.labels(self.name, "failed" if is_failure else "ok").inc()
        if call.probes or (call.circuit.context.state == "closed" and (fault is None or is_failure or is_ours)):
            # a probe that was cancelled found nothing out: the circuit opens again until the next one
            counted = None if is_ours else fault
            await call.circuit.__aexit__(type(counted) if counted else None, counted, None)

    def _on_event(self, name: str, _: str, event: Event) -> None:
        if isinstance(event, ContextChanged):
            PROVIDER_CIRCUIT.labels(name).set(_STATES[event.state])
            log.warning("provider.circuit_changed", provider=name, state=event.state)
