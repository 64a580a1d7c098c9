"""Proposals: what to do about an urgent order, a delay, a breakdown or a stop less, seen before it is done."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.routing.proposals import ProposalCommands
from models.documents.document import Instant, Shape
from models.documents.job import Unserved
from models.documents.proposal import Cause, Proposal, ProposalState, ProposedRoute
from models.store.proposals import ProposalRepository

__all__ = ["router"]

router = APIRouter(prefix="/routes/proposals", tags=["routes"])
Planner = Annotated[Principal, Depends(allowed("routes.manage"))]


class ProposalRequest(Cause):
    """What has happened to routes that are planned or under way."""

    trace_id: Annotated[str, Field(max_length=80)] | None = None
    """What this follows from, for whoever looks for it later."""


class ProposalAnswer(Shape):
    """Which state of a proposal is meant."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class ProposalView(Shape):
    """What would change, and for whom."""

    id: str
    version: int
    state: ProposalState
    by: str
    cause: Cause
    trace_id: str | None
    routes: tuple[ProposedRoute, ...]
    """Those that would change; none if nothing is better than things are."""
    unserved: tuple[Unserved, ...]
    """Deliveries that no vehicle can take, each with the reason."""
    distance_m: float
    """Added by all of it together; less than 0 where it gets shorter."""
    duration_s: float
    cost: float
    """Added, by the vehicles' own rates."""
    elapsed_s: float
    """How long it took to find."""
    created_at: Instant
    expires_at: Instant
    """After this it can't be accepted."""
    ended_at: Instant | None
    ended_by: str | None


@router.post("", status_code=201, response_model=ProposalView)
async def propose_changes(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    body: ProposalRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask what to do about what has happened. Nothing changes until the answer is accepted.

    The next stop of a vehicle on the road stays, locked stops stay, and goods on board stay with their vehicle.
    """

    async def create() -> ProposalView:
        cause = Cause.model_validate(body.model_dump(exclude={"trace_id"}))
        return _view(await _commands(services).propose(principal.scope, cause, body.trace_id))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[ProposalView])
async def list_proposals(
    services: ServicesOf,
    principal: Planner,
    page: Paging,
    state: Annotated[ProposalState | None, Query()] = None,
) -> dict[str, Any]:
    """Return proposals, newest first."""
    return page_of(await ProposalRepository(services.database).page(principal.scope, page, state), _view)


@router.get("/{proposal_id}")
async def get_proposal(response: Response, services: ServicesOf, principal: Planner, proposal_id: str) -> ProposalView:
    """Return one proposal, with its version as `ETag`."""
    return _tagged(response, await ProposalRepository(services.database).get(principal.scope, proposal_id))


@router.post("/{proposal_id}/accept")
async def accept_proposal(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    proposal_id: str,
    body: ProposalAnswer | None = None,
    if_match: IfMatch = None,
) -> ProposalView:
    """Carry out a proposal, all or none. If the fleet has moved on, the answer is 409: ask for another."""
    seen = seen_version(if_match, body.version if body else None)
    return _tagged(response, await _commands(services).accept(principal.scope, proposal_id, seen))


@router.post("/{proposal_id}/reject")
async def reject_proposal(
    response: Response,
    services: ServicesOf,
    principal: Planner,
    proposal_id: str,
    body: ProposalAnswer | None = None,
    if_match: IfMatch = None,
) -> ProposalView:
    """Say no to a proposal; its routes stay as they are."""
    seen = seen_version(if_match, body.version if body else None)
    return _tagged(response, await _commands(services).reject(principal.scope, proposal_id, seen))


def _view(proposal: Proposal) -> ProposalView:
    return ProposalView(**{name: getattr(proposal, name) for name in ProposalView.model_fields})


def _tagged(response: Response, proposal: Proposal) -> ProposalView:
    tag(response, proposal.version)
    return _view(proposal)


def _commands(services: Services) -> ProposalCommands:
    return ProposalCommands(services.database, services.settings.log.partitions, services.engine, services.travel)
