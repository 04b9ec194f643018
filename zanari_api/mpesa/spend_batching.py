"""Takes concurrent signed spends in by batches: one transaction and one commit for all that arrived meanwhile."""

from collections.abc import Sequence
from typing import Final

from zanari_api.mpesa.config import MpesaConfig, policy_of
from zanari_api.mpesa.records import SpendRecord
from zanari_api.mpesa.spend_service import receive_spends
from zanari_api.roundups.spends import Recorded
from zanari_api.runtime.batching import Batcher
from zanari_api.runtime.db import DatabaseUnavailable, Role, Tx
from zanari_api.runtime.deps import Runtime

LOCK_PATIENCE_MS: Final = 2_000
"""A batch waits so long for the lock of somebody's money, not longer: everybody else in it waits as well."""

SpendBatcher = Batcher[SpendRecord, Recorded]


def batcher_of(runtime: Runtime, config: MpesaConfig) -> SpendBatcher:
    """Return what the signed webhook hands its spends to.

    Spends of one batch are one call of `receive_spends`: of a saver's, the one that happened first is decided first.
    """

    async def receive(records: Sequence[SpendRecord]) -> list[Recorded]:
        keys = await runtime.service_keys.keys()
        policy = policy_of(runtime, config, runtime.clock.now())

        async def work(tx: Tx) -> list[Recorded]:
            return await receive_spends(tx, records, index=keys.index, policy=policy)

        return await runtime.database.unit_of_work(work, role=Role.SYSTEM, lock_patience_ms=LOCK_PATIENCE_MS)

    batcher: SpendBatcher = Batcher(
        receive, is_outage=_is_outage, on_batch=runtime.metrics.webhook_batch_size.observe
    )
    runtime.metrics.webhook_queue_length.set_function(batcher.waiting)
    return batcher


def _is_outage(error: Exception) -> bool:
    """Tell whether the database is away for everybody, and not one saver's lock held by somebody else."""
    return isinstance(error, DatabaseUnavailable) and not error.is_locked
