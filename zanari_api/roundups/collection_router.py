"""Collections, and paying for what waits, over HTTP: HTTP in, HTTP out, nothing decided."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from zanari_api.deposits.errors import PromptOpen
from zanari_api.ledger.errors import InsufficientFunds
from zanari_api.roundups import asking, collection_views, waiting_payments
from zanari_api.roundups.collection_schemas import (
    Collection,
    CollectionFilters,
    CollectionPage,
    WaitingPayment,
)
from zanari_api.roundups.collections import Terms
from zanari_api.roundups.errors import (
    CollectionAlreadyPrompted,
    CollectionNotFound,
    DebtFirst,
    NoNumberLinked,
    NothingWaiting,
)
from zanari_api.runtime.db import Tx
from zanari_api.runtime.deps import CurrentSaver, FeatureDisabled, Idempotent, RuntimeOf
from zanari_api.runtime.idempotency import IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress
from zanari_api.runtime.problems import refuses
from zanari_api.transactions.errors import InvalidCursor

router = APIRouter(prefix="/api/v1", tags=["mpesa"])

ONCE = (IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress)


async def terms_of(request: Request, runtime: RuntimeOf) -> Terms:
    """Return what collections depend on now. Refuses with FeatureDisabled while round-ups are switched off."""
    if not runtime.features.round_ups:
        raise FeatureDisabled
    terms = cast("Callable[[], Awaitable[Terms]]", request.app.state.collection_terms)
    return await terms()


CollectionTerms = Annotated[Terms, Depends(terms_of)]


@router.get("/mpesa/collections", responses=refuses(InvalidCursor))
async def list_collections(
    saver: CurrentSaver, filters: Annotated[CollectionFilters, Query()]
) -> CollectionPage:
    """List your collections, newest first: what was asked of your M-PESA for round-ups that waited."""
    now = saver.runtime.clock.now()
    return await saver.read(lambda tx: collection_views.page(tx, saver_id=saver.id, wanted=filters, now=now))


@router.post(
    "/mpesa/collections",
    status_code=202,
    response_model=Collection,
    responses=refuses(NothingWaiting, DebtFirst, NoNumberLinked, PromptOpen, FeatureDisabled, *ONCE),
)
async def request_collection(saver: CurrentSaver, terms: CollectionTerms, once: Idempotent) -> Response:
    """Ask for what waits to be collected now, as much of it as M-PESA takes at its best price.

    The prompt comes at once. Safe to retry with the same Idempotency-Key.
    """
    now = saver.runtime.clock.now()

    async def ask(tx: Tx) -> Collection:
        collection = await asking.ask(tx, saver_id=saver.id, terms=terms, now=now)
        return await collection_views.one(tx, collection, now=now)

    return await once(ask, status=202)


@router.post(
    "/mpesa/collections/{collection_id}/skip",
    responses=refuses(CollectionNotFound, CollectionAlreadyPrompted),
)
async def skip_collection(collection_id: UUID, saver: CurrentSaver) -> Collection:
    """Skip a collection before its prompt is sent: the round-ups wait, and no other comes by itself before tomorrow."""
    now = saver.runtime.clock.now()

    async def skip(tx: Tx) -> Collection:
        collection = await asking.skip(tx, saver_id=saver.id, collection_id=collection_id, now=now)
        return await collection_views.one(tx, collection, now=now)

    return await saver.write(skip)


@router.post(
    "/users/me/waiting/payment",
    status_code=201,
    response_model=WaitingPayment,
    responses=refuses(NothingWaiting, InsufficientFunds, *ONCE),
)
async def pay_waiting(saver: CurrentSaver, once: Idempotent) -> Response:
    """Pay for round-ups that wait from your wallet: whole ones, the oldest first, as far as it goes.

    Safe to retry with the same Idempotency-Key.
    """
    now = saver.runtime.clock.now()
    return await once(lambda tx: waiting_payments.pay(tx, saver_id=saver.id, now=now), status=201)
