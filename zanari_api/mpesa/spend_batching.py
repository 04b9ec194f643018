"""Takes concurrent signed spends in by batches: one transaction and one commit for all that arrived meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from zanari_api.mpesa.inbox import Intake
from zanari_api.mpesa.records import SpendRecord
from zanari_api.mpesa.spend_service import receive_spends
from zanari_api.roundups.spends import Recorded
from zanari_api.runtime.batching import Batcher
from zanari_api.runtime.db import Database, DatabaseUnavailable, Role, Tx
from zanari_api.runtime.metrics import Metrics

LOCK_PATIENCE_MS: Final = 500
"""A batch waits so long for the lock of somebody's money, which is held for milliseconds: all others wait as well."""

SpendBatcher = Batcher[SpendRecord, Recorded]


def batcher_of(
    database: Database, intake: Callable[[], Awaitable[Intake]], *, metrics: Metrics
) -> SpendBatcher:
    """Return what the signed webhook hands its spends to. `intake` tells what decisions taken now depend on.

    Spends of one batch are one call of `receive_spends`: of a saver's, the one that happened first is decided first.
    """

    async def receive(records: Sequence[SpendRecord]) -> list[Recorded]:
        now = await intake()

        async def work(tx: Tx) -> list[Recorded]:
            return await receive_spends(tx, records, index=now.keys.index, policy=now.policy)

        return await database.unit_of_work(
            work, role=Role.SYSTEM, lock_patience_ms=LOCK_PATIENCE_MS, reuse_plans=True
        )

    batcher: SpendBatcher = Batcher(
        receive, is_outage=_is_outage, on_batch=metrics.webhook_batch_size.observe
    )
    metrics.webhook_queue_length.set_function(batcher.waiting)
    return batcher


def _is_outage(error: Exception) -> bool:
    """Tell whether the database is away for everybody, and not one saver's lock held by somebody else."""
    return isinstance(error, DatabaseUnavailable) and not error.is_locked
