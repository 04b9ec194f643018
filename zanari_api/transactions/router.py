"""The feed over HTTP: a page, and one row with its explanation."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from zanari_api.kit.schema import Text
from zanari_api.runtime.db import Tx
from zanari_api.runtime.deps import CurrentSaver
from zanari_api.runtime.problems import refuses
from zanari_api.transactions import service
from zanari_api.transactions.errors import InvalidCursor, TransactionNotFound
from zanari_api.transactions.schemas import ItemDetail, Page, Status, Type
from zanari_api.users import service as users

router = APIRouter(prefix="/api/v1/transactions", tags=["transactions"])


@router.get("", response_model=Page, responses=refuses(InvalidCursor))
async def list_transactions(
    saver: CurrentSaver,
    type_: Annotated[Type | None, Query(alias="type")] = None,
    status: Status | None = None,
    category: Annotated[Text | None, Query(max_length=40)] = None,
    from_: Annotated[date | None, Query(alias="from", description="First day, in Nairobi.")] = None,
    to: Annotated[date | None, Query(description="Last day, in Nairobi, included.")] = None,
    updated_since: Annotated[AwareDatetime | None, Query(description="For sync: rows changed since.")] = None,
    q: Annotated[Text | None, Query(max_length=100, description="Text in the title.")] = None,
    cursor: Annotated[str | None, Query(max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List what happened, newest first. Pages are stable while new rows arrive."""
    wanted = service.Wanted(
        cursor=cursor,
        type=type_,
        status=status,
        category=category,
        first_day=from_,
        last_day=to,
        updated_since=updated_since,
        text=q,
        limit=limit,
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
