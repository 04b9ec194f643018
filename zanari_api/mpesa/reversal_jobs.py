"""Sends the reversals that were asked for, each once, and gives up on results that do not come. Decides no outcome."""

from dataclasses import dataclass
from typing import Final

from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import DarajaRefused, DarajaUnavailable, DarajaUnresolved
from zanari_api.daraja.requests import Accepted
from zanari_api.kit.clock import Clock
from zanari_api.mpesa import deposit_reversal, reversal_queries
from zanari_api.mpesa.deposit_reversal import State
from zanari_api.mpesa.reversal_queries import ClaimedReversal
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import RowJob, backoff

REMARKS: Final = "Paid in error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversing:
    """What reversals are sent with. The two addresses are where Safaricom posts what became of one."""

    database: Database
    daraja: DarajaClient
    clock: Clock
    result_url: str
    timeout_url: str


def reversal_job(parts: Reversing) -> RowJob[ClaimedReversal]:
    """Return the job of reversals."""

    async def work(row: ClaimedReversal) -> None:
        await _work(parts, row)

    return RowJob(
        name="reversals",
        claim=reversal_queries.claim_reversals,
        work=work,
        postpone=reversal_queries.postpone_reversal,
        count=reversal_queries.count_reversals,
        list_dead=reversal_queries.list_dead,
        revive=reversal_queries.revive_reversal,
        idle_s=5,
        lease_s=120,
        batch=5,
    )


async def _work(parts: Reversing, row: ClaimedReversal) -> None:
    if row.state != State.REQUESTED:
        # Whoever sent it died over it, or its result has not come for too long: either way nobody knows.
        reason = "no_reply" if row.state == State.SUBMITTING else "no_result"
        await _doubt(parts, row, reason=reason)
        return

    async def submit(tx: Tx) -> bool:
        now = parts.clock.now()
        if not await reversal_queries.mark_submitting(tx, row, now=now):
            return False
        await reversal_queries.insert_event(
            tx, reversal_id=row.id, state=State.SUBMITTING, cause="worker", now=now
        )
        return True

    # Committed before the socket opens: a worker that dies now leaves a reversal that may have been heard.
    if not await parts.database.unit_of_work(submit, role=Role.SYSTEM):
        return
    try:
        accepted = await parts.daraja.reverse(
            receipt=row.receipt,
            amount_cents=row.amount_cents,
            shortcode=row.shortcode,
            result_url=parts.result_url,
            timeout_url=parts.timeout_url,
            remarks=REMARKS,
        )
    except DarajaUnavailable as error:
        await _ask_again_later(parts, row, error=error)
    except DarajaRefused as error:
        await _refuse(parts, row, reason=error.reason.value)
    except DarajaUnresolved as error:
        await _doubt(parts, row, reason=error.cause.value)
    else:
        await _accept(parts, row, accepted)


async def _accept(parts: Reversing, row: ClaimedReversal, accepted: Accepted) -> None:
    async def submitted(tx: Tx) -> None:
        now = parts.clock.now()
        state = await reversal_queries.mark_submitted(
            tx,
            row,
            conversation_id=accepted.conversation_id,
            originator_conversation_id=accepted.originator_conversation_id,
            now=now,
        )
        if state is not None:
            await reversal_queries.insert_event(
                tx, reversal_id=row.id, state=state, cause="accepted", now=now
            )

    await parts.database.unit_of_work(submitted, role=Role.SYSTEM)


async def _ask_again_later(parts: Reversing, row: ClaimedReversal, *, error: DarajaUnavailable) -> None:
    async def again(tx: Tx) -> None:
        due_at = parts.clock.now() + backoff(row.attempts)
        await reversal_queries.mark_requested(tx, row, due_at=due_at, error=error.cause.value)

    await parts.database.unit_of_work(again, role=Role.SYSTEM)


async def _refuse(parts: Reversing, row: ClaimedReversal, *, reason: str) -> None:
    async def refused(tx: Tx) -> None:
        held = await reversal_queries.lock_reversal(tx, reversal_id=row.id)
        if held is not None and held.held_by == row.lease_id and held.state == State.SUBMITTING:
            await deposit_reversal.fail(tx, held, reason=reason, cause="reply", now=parts.clock.now())

    await parts.database.unit_of_work(refused, role=Role.SYSTEM)


async def _doubt(parts: Reversing, row: ClaimedReversal, *, reason: str) -> None:
    async def doubt(tx: Tx) -> None:
        held = await reversal_queries.lock_reversal(tx, reversal_id=row.id)
        if held is not None and held.held_by == row.lease_id:
            await deposit_reversal.doubt(tx, held, reason=reason, cause="worker", now=parts.clock.now())

    await parts.database.unit_of_work(doubt, role=Role.SYSTEM)
