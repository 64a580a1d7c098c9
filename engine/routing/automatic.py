"""Re-optimisation by itself: a delivery at risk of being late is answered by a proposal, within a company's limits."""

import datetime
from collections.abc import Sequence
from typing import Literal

import structlog

from engine.routing.proposals import ProposalCommands
from models.documents.document import now
from models.documents.event import Event
from models.documents.proposal import Cause, Proposal
from models.documents.task import Task
from models.documents.tenant import Replanning
from models.errors import Conflict, InvalidInput, NotFound
from models.ids import derived_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.proposals import ProposalRepository
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session

__all__ = ["REPLAN", "AutomaticReplanning", "ReplanFollower", "fault_of"]

log = structlog.get_logger(__name__)

REPLAN = "replan"
"""Kind of the tasks."""

_ACTOR = "engine"
_AT_RISK = "delivery.late_risk"
_GATHER_S = 10
"""What comes within so many seconds is answered together: one van held up is late at all of its stops."""
_PAUSE_S = 2.0  # until the other risks of the same hold-up are known as well
_HOUR = datetime.timedelta(hours=1)


class ReplanFollower:
    """Asks for a plan when a delivery is at risk, where the company wants that."""

    name = "replanning"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 0.5

    def __init__(self, database: Database) -> None:
        self._tasks, self._accounts = TaskRepository(database), AccountRepository(database)

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return risks of companies that want them answered."""
        risks = [event for event in events if event.type == _AT_RISK]
        wanted = {tenant: await self._wants(tenant) for tenant in {event.tenant for event in risks}}
        return [event for event in risks if wanted[event.tenant]]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Put one task for all risks of a company that come together."""
        await self._tasks.put([_task(event) for event in events], session)

    async def _wants(self, tenant: str) -> bool:
        try:
            return (await self._accounts.tenant(Scope(tenant, _ACTOR))).settings.replanning.mode != "off"
        except NotFound:
            return False


class AutomaticReplanning:
    """Does the tasks: proposes, and accepts what keeps the limits where the company lets it."""

    def __init__(self, database: Database, commands: ProposalCommands) -> None:
        self._accounts, self._proposals = AccountRepository(database), ProposalRepository(database)
        self._commands = commands

    async def handle(self, task: Task) -> None:
        """Answer one task. That nothing helps is an answer too."""
        scope = Scope(task.tenant, _ACTOR)
        limits = (await self._accounts.tenant(scope)).settings.replanning
        if limits.mode == "off" or await self._is_spent(scope, limits):
            return
        trace = task.payload.get("trace")
        try:
            found = await self._commands.find(scope, Cause(), trace, quiet_stops=limits.quiet_stops)
        except InvalidInput:
            return  # no route is under way any more
        if not found.routes or not any(route.mended for route in found.routes):
            log.info("replanning.idle", tenant=task.tenant, trace=trace)
            return
        fault = fault_of(found, limits)
        proposal = await self._commands.store(scope, found)
        log.info("replanning.proposed", tenant=task.tenant, proposal=proposal.id, trace=trace, refused=fault)
        if limits.mode == "accept" and fault is None:
            try:
                await self._commands.accept(scope, proposal.id, proposal.version)
            except Conflict as moved_on:  # it stays open for people to see; the next risk asks anew
                log.info("replanning.outdated", tenant=task.tenant, proposal=proposal.id, error=str(moved_on))

    async def _is_spent(self, scope: Scope, limits: Replanning) -> bool:
        """Tell whether enough was changed within the last hour, or the last answer still waits for somebody."""
        recent = await self._proposals.made_since(scope, _ACTOR, now() - _HOUR)
        done = sum(one.state == "accepted" for one in recent)
        is_waiting = any(one.state == "open" and one.expires_at > now() for one in recent)
        return done >= limits.changes_per_hour or (limits.mode == "propose" and is_waiting)


def fault_of(proposal: Proposal, limits: Replanning) -> str | None:
    """Return which of a company's limits a proposal breaks; None if it may be carried out by itself."""
    if proposal.unserved:
        return "unserved"
    if any(route.broken for route in proposal.routes):
        return "broken_promise"
    if proposal.duration_s > limits.max_detour_s:
        return "detour"
    shifts = [abs(stop.shift_s) for route in proposal.routes for stop in route.changes if stop.shift_s is not None]
    if max(shifts, default=0.0) > limits.max_shift_s:
        return "shift"
    return None


def _task(event: Event) -> Task:
    begin = datetime.datetime.fromtimestamp(int(event.time.timestamp()) // _GATHER_S * _GATHER_S, datetime.UTC)
    due = now() + datetime.timedelta(seconds=_PAUSE_S)
    payload = {"delivery": event.aggregate, "event": event.id, "trace": event.data.get("traceId") or event.id}
    identifier = derived_id("tsk", begin, REPLAN, event.tenant)
    return Task(id=identifier, tenant=event.tenant, kind=REPLAN, payload=payload, due=due)
