"""The feed over HTTP: a page, and one row with its explanation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from zanari_api.runtime.db import Tx
from zanari_api.runtime.deps import CurrentSaver
from zanari_api.runtime.problems import refuses
from zanari_api.transactions import service
from zanari_api.transactions.errors import InvalidCursor, TransactionNotFound
from zanari_api.transactions.schemas import Filters, ItemDetail, Page
from zanari_api.users import service as users

router = APIRouter(prefix="/api/v1/transactions", tags=["transactions"])


@router.get("", response_model=Page, responses=refuses(InvalidCursor))
async def list_transactions(saver: CurrentSaver, filters: Annotated[Filters, Query()]) -> Response:
    """List what happened, newest first. Pages are stable while new rows arrive."""
    wanted = service.Wanted(
        cursor=filters.cursor,
        type=filters.type,
        status=filters.status,
        category=filters.category,
        first_day=filters.from_,
        last_day=filters.to,
        updated_since=filters.updated_since,
        text=filters.q,
        limit=filters.limit,
    )
    page = await saver.read(lambda tx: service.page(tx, saver_id=saver.id, wanted=wanted))
    return Response(page, media_type="application/json")


@router.get("/{transaction_id}", response_model=ItemDetail, responses=refuses(TransactionNotFound))
async def read_transaction(transaction_id: UUID, saver: CurrentSaver) -> Response:
    """Read one row with its explanation: counted, waiting, or skipped and why."""

    async def find(tx: Tx) -> bytes:
        row = await users.find_saver(tx, saver_id=saver.id)
        data_key = users.data_key_of(row, saver.runtime.keyring)
        return await service.find(tx, saver_id=saver.id, transaction_id=transaction_id, data_key=data_key)

    return Response(await saver.read(find), media_type="application/json")
