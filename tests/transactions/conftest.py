"""Rows for the feed, written as the slices write them but without an effect behind them."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from tests.support.app import Api
from tests.support.savers import Saver
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Role, Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.queries import FeedRow

Write = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def write(api: Api) -> Write:
    """Write one row for each instant, titled with its place unless `title` says otherwise; return their ids."""

    async def write(saver: Saver, instants: list[datetime], **fields: object) -> list[str]:
        rows = [
            FeedRow(
                **{
                    "saver_id": saver.id,
                    "id": new_id(),
                    "type": "deposit",
                    "status": "completed",
                    "direction": "in",
                    "amount_cents": 100,
                    "occurred_at": instant,
                    "title": f"row {place}",
                    "explanation": {"text": "Written by a test."},
                    **fields,
                }
            )
            for place, instant in enumerate(instants)
        ]

        async def record(tx: Tx) -> None:
            await feed.record(tx, rows)

        await api.db.unit_of_work(record, role=Role.SYSTEM)
        return [str(row.id) for row in rows]

    return write
