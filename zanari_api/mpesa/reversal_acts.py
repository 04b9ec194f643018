"""What operators do about reversals: have Safaricom asked for one, book one by evidence, say that none happened.

Each act is audited. Only `reverse` moves money here, and once per deposit.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from zanari_api.deposits import corrections
from zanari_api.deposits.correction_rows import Proof
from zanari_api.deposits.corrections import ReversalCause
from zanari_api.kit.ids import new_id
from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.mpesa import deposit_reversal, reversal_queries, taking_back
from zanari_api.mpesa.deposit_reversal import State
from zanari_api.mpesa.reversal_queries import NewReversal, ReversalEvent, ReversalRequest
from zanari_api.mpesa.taking_back import TakenBack
from zanari_api.runtime import audit
from zanari_api.runtime.db import Tx
from zanari_api.users import service as users

UNRESOLVED_AFTER: Final = timedelta(hours=1)
"""A result comes within seconds. One that has not come by then is for a person to look at."""

LISTED_MAX: Final = 200


class Asked(StrEnum):
    """What became of a wish to ask Safaricom for a reversal."""

    REQUESTED = "requested"
    "stored; the worker sends it"

    UNDER_WAY = "under_way"
    "one for this receipt is under way already"

    REVERSED_BEFORE = "reversed_before"
    "the payment was taken back before"

    UNKNOWN_RECEIPT = "unknown_receipt"
    "our books have no deposit with this receipt"

    NOT_WHOLE_SHILLINGS = "not_whole_shillings"
    "Safaricom takes whole shillings back only"


class Kept(StrEnum):
    """What became of an operator's word that a reversal did not happen."""

    KEPT = "kept"
    "it counts as failed, and the deposit stays"

    REVERSED_BEFORE = "reversed_before"
    "the deposit was taken back, which stays so"

    NOT_ASKED = "not_asked"
    "nobody asked for a reversal of this receipt"


async def request(tx: Tx, *, receipt: str, evidence: str, operator: str, now: datetime) -> Asked:
    """Store a wish to have a deposit taken back; the worker asks Safaricom for it, once. Audited."""
    deposit = await corrections.find_deposit(tx, receipt=receipt)
    if deposit is None:
        return Asked.UNKNOWN_RECEIPT
    if await corrections.find_reversal(tx, deposit) is not None:
        return Asked.REVERSED_BEFORE
    if deposit.amount_cents % CENTS_PER_SHILLING:
        return Asked.NOT_WHOLE_SHILLINGS
    new = NewReversal(
        id=new_id(),
        receipt=receipt,
        shortcode=deposit.shortcode,
        amount_cents=deposit.amount_cents,
        saver_id=deposit.saver_id,
        deposit_id=deposit.id,
        operator=operator,
        evidence=evidence,
        requested_at=now,
        expires_at=now + UNRESOLVED_AFTER,
    )
    if not await reversal_queries.insert_reversal(tx, new):
        return Asked.UNDER_WAY
    await reversal_queries.insert_event(
        tx, reversal_id=new.id, state=State.REQUESTED, cause="operator", now=now
    )
    await audit.record(
        tx,
        operator=operator,
        act="deposit_reversal_requested",
        subject=f"deposit:{deposit.id}",
        reason=evidence,
        before={},
        after={"reversal_id": new.id, "amount_cents": new.amount_cents},
    )
    return Asked.REQUESTED


async def reverse(
    tx: Tx, *, receipt: str, evidence: str, operator: str, event_at: datetime, now: datetime
) -> TakenBack:
    """Take a deposit back by an operator's evidence, and end the reversal that may be under way. Audited.

    `event_at` is when M-PESA took it back.
    """
    proof = Proof(
        cause=ReversalCause.OPERATOR,
        text=evidence,
        reversal_receipt=None,
        callback_id=None,
        event_at=event_at,
    )
    taken = await taking_back.take_back(tx, receipt=receipt, amount_cents=None, proof=proof, now=now)
    if taken.result is not taking_back.Result.TAKEN_BACK:
        return taken
    reversal = await _find_open(tx, receipt=receipt)
    if reversal is not None:
        await deposit_reversal.close(
            tx, reversal, state=State.SETTLED, because=f"{operator}: {evidence}", now=now
        )
    await audit.record(
        tx,
        operator=operator,
        act="deposit_reversed",
        subject=f"receipt:{receipt}",
        reason=evidence,
        before={},
        after={"owed_cents": taken.owed_cents, "reversal_id": reversal and reversal.id},
    )
    return taken


async def keep(tx: Tx, *, receipt: str, evidence: str, operator: str, now: datetime) -> Kept:
    """End a reversal that was asked for and did not happen. Audited; moves nothing."""
    deposit = await corrections.find_deposit(tx, receipt=receipt)
    if deposit is None:
        return Kept.NOT_ASKED
    await users.lock_saver(tx, saver_id=deposit.saver_id)
    if await corrections.find_reversal(tx, deposit) is not None:
        return Kept.REVERSED_BEFORE
    found = await reversal_queries.find_newest(tx, receipt=receipt)
    if found is None:
        return Kept.NOT_ASKED
    reversal = await deposit_reversal.lock(tx, found)
    await deposit_reversal.close(tx, reversal, state=State.FAILED, because=f"{operator}: {evidence}", now=now)
    await audit.record(
        tx,
        operator=operator,
        act="deposit_kept",
        subject=f"receipt:{receipt}",
        reason=evidence,
        before={"state": reversal.state},
        after={"state": State.FAILED.value},
    )
    return Kept.KEPT


async def list_recent(tx: Tx, *, since: datetime) -> list[ReversalRequest]:
    """Return the reversals asked for since then, the newest first."""
    return await reversal_queries.list_recent(tx, since=since, limit=LISTED_MAX)


async def find_steps(tx: Tx, *, receipt: str) -> list[ReversalEvent]:
    """Return every step of the newest reversal of a receipt, with its cause; none where nobody asked for one."""
    found = await reversal_queries.find_newest(tx, receipt=receipt)
    return [] if found is None else await reversal_queries.list_events(tx, reversal_id=found.id)


async def _find_open(tx: Tx, *, receipt: str) -> ReversalRequest | None:
    """Lock and return the reversal of a receipt that has not settled. The saver must be locked."""
    found = await reversal_queries.find_newest(tx, receipt=receipt)
    reversal = None if found is None else await deposit_reversal.lock(tx, found)
    return None if reversal is None or reversal.state == State.SETTLED else reversal
