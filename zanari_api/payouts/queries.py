"""Every statement on savings.payouts and their events but those of the jobs; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.payouts.rows import OpenPayouts, Outstanding, Payout, PayoutEvent
from zanari_api.runtime.db import Tx

_COLUMNS: Final = """
    saver_id, id, amount_cents, goal_id, account_id, msisdn, originator_conversation_id, conversation_id, shortcode,
    state, reason, receipt, refunded_to, late_receipt, requested_at, submitting_at, submitted_at, unknown_at,
    settled_at, failed_at, event_at, definite_by, definite_code, definite_code_at, first_not_found_at,
    not_found_twice, ended, last_status_at, asked, resolvable_at, resends, resend_wanted, proposed_outcome,
    proposed_receipt, proposed_by, proposed_evidence, proposed_at, due_at, lease_id
"""

INSERT_PAYOUT: Final[LiteralString] = """
    INSERT INTO savings.payouts (
        saver_id, id, amount_cents, goal_id, account_id, msisdn, originator_conversation_id, state, requested_at,
        due_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested', $8, $8)
"""

FIND_PAYOUT: Final[LiteralString] = (
    "SELECT " + _COLUMNS + " FROM savings.payouts WHERE saver_id = $1 AND id = $2"
)

LIST_PAYOUTS: Final[LiteralString] = (
    "SELECT " + _COLUMNS + " FROM savings.payouts WHERE saver_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
)

LIST_NEWEST: Final[LiteralString] = (
    "SELECT "
    + _COLUMNS
    + """
      FROM savings.payouts
     WHERE requested_at >= $1 AND state = ANY ($2::text[])
     ORDER BY requested_at DESC, id DESC
     LIMIT $3
"""
)

FIND_BY_ID: Final[LiteralString] = "SELECT saver_id, id FROM savings.payouts WHERE id = $1"

FIND_BY_ORIGINATOR: Final[LiteralString] = """
    SELECT saver_id, id FROM savings.payouts WHERE originator_conversation_id = $1
"""

FIND_BY_CONVERSATION: Final[LiteralString] = """
    SELECT saver_id, id FROM savings.payouts WHERE conversation_id = $1 LIMIT 1
"""

# $33 is the lease that ends with this: nobody else's is touched.
SAVE_PAYOUT: Final[LiteralString] = """
    UPDATE savings.payouts
       SET conversation_id = $3, shortcode = $4, state = $5, reason = $6, receipt = $7, refunded_to = $8,
           late_receipt = $9, submitting_at = $10, submitted_at = $11, unknown_at = $12, settled_at = $13,
           failed_at = $14, event_at = $15, definite_by = $16, definite_code = $17, definite_code_at = $18,
           first_not_found_at = $19, not_found_twice = $20, ended = $21, last_status_at = $22, asked = $23,
           resolvable_at = $24, resends = $25, resend_wanted = $26, proposed_outcome = $27, proposed_receipt = $28,
           proposed_by = $29, proposed_evidence = $30, proposed_at = $31, due_at = $32, dead_at = NULL,
           attempts = $34, last_error = NULL,
           lease_until = CASE WHEN lease_id IS DISTINCT FROM $33 THEN lease_until END,
           lease_id = CASE WHEN lease_id IS DISTINCT FROM $33 THEN lease_id END
     WHERE saver_id = $1 AND id = $2
"""

NAME_PAYOUT: Final[LiteralString] = """
    UPDATE savings.payouts SET conversation_id = $3 WHERE saver_id = $1 AND id = $2
"""

IS_OPEN_FOR: Final[LiteralString] = """
    SELECT EXISTS (
        SELECT
          FROM savings.payouts
         WHERE saver_id = $1 AND account_id = $2 AND state NOT IN ('settled', 'failed')
    )
"""

HASTEN: Final[LiteralString] = """
    UPDATE savings.payouts
       SET due_at = $3
     WHERE saver_id = $1 AND account_id = $2 AND state IN ('requested', 'queued')
    RETURNING id
"""

HASTEN_ALL: Final[LiteralString] = """
    UPDATE savings.payouts SET due_at = $2 WHERE saver_id = $1 AND state IN ('requested', 'queued')
"""

INSERT_EVENT: Final[LiteralString] = """
    INSERT INTO savings.payout_events (
        saver_id, id, payout_id, state_before, state, cause, detail, callback_id, operator, happened_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

LIST_EVENTS: Final[LiteralString] = """
    SELECT state_before, state, cause, detail, callback_id, operator, happened_at
      FROM savings.payout_events
     WHERE saver_id = $1 AND payout_id = $2
     ORDER BY happened_at, id
"""

# What failed has come back, so it counts for no limit of amounts; but what M-PESA paid all the same went out.
LIST_REQUESTS: Final[LiteralString] = """
    SELECT requested_at, amount_cents, (state <> 'failed' OR late_receipt IS NOT NULL) AS counts
      FROM savings.payouts
     WHERE saver_id = $1 AND requested_at >= $2
     ORDER BY requested_at, id
"""

LIST_OUTSTANDING: Final[LiteralString] = """
    SELECT amount_cents, count(*) AS payouts
      FROM savings.payouts
     WHERE state IN ('submitting', 'submitted', 'unknown') AND shortcode = $1
     GROUP BY amount_cents
"""

COUNT_OPEN: Final[LiteralString] = """
    SELECT state, count(*) AS payouts, sum(amount_cents)::bigint AS cents,
           min(unknown_at) FILTER (WHERE state = 'unknown') AS oldest_unknown_at
      FROM savings.payouts
     WHERE state IN ('requested', 'queued', 'submitting', 'submitted', 'unknown')
     GROUP BY state
"""

LOCK_FLOAT: Final[LiteralString] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 20260107))"


@dataclass(frozen=True, slots=True)
class PayoutKey:
    """What a payout is found again by."""

    saver_id: UUID
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayout:
    """A payout to insert."""

    saver_id: UUID
    id: UUID
    amount_cents: int
    goal_id: UUID | None
    account_id: UUID
    msisdn: bytes
    originator_conversation_id: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """When a payout was asked for, how much, and whether it counts for limits of amounts."""

    requested_at: datetime
    amount_cents: int
    counts: bool


async def insert_payout(tx: Tx, new: NewPayout) -> None:
    await tx.execute(
        INSERT_PAYOUT,
        new.saver_id,
        new.id,
        new.amount_cents,
        new.goal_id,
        new.account_id,
        new.msisdn,
        new.originator_conversation_id,
        new.requested_at,
    )


async def find_payout(tx: Tx, *, saver_id: UUID, payout_id: UUID) -> Payout | None:
    return await tx.fetch_one(Payout, FIND_PAYOUT, saver_id, payout_id)


async def list_payouts(tx: Tx, *, saver_id: UUID, before: UUID, limit: int) -> list[Payout]:
    return await tx.fetch_all(Payout, LIST_PAYOUTS, saver_id, before, limit)


async def list_newest(tx: Tx, *, since: datetime, states: Sequence[str], limit: int) -> list[Payout]:
    return await tx.fetch_all(Payout, LIST_NEWEST, since, list(states), limit)


async def find_by_id(tx: Tx, *, payout_id: UUID) -> PayoutKey | None:
    return await tx.fetch_one(PayoutKey, FIND_BY_ID, payout_id)


async def find_by_originator(tx: Tx, *, originator_conversation_id: str) -> PayoutKey | None:
    return await tx.fetch_one(PayoutKey, FIND_BY_ORIGINATOR, originator_conversation_id)


async def find_by_conversation(tx: Tx, *, conversation_id: str) -> PayoutKey | None:
    return await tx.fetch_one(PayoutKey, FIND_BY_CONVERSATION, conversation_id)


async def save_payout(tx: Tx, payout: Payout, *, lease: UUID | None, attempts: int) -> None:
    """Write back what can change. `lease` is the one that ends with it."""
    await tx.execute(
        SAVE_PAYOUT,
        payout.saver_id,
        payout.id,
        payout.conversation_id,
        payout.shortcode,
        payout.state.value,
        payout.reason,
        payout.receipt,
        payout.refunded_to,
        payout.late_receipt,
        payout.submitting_at,
        payout.submitted_at,
        payout.unknown_at,
        payout.settled_at,
        payout.failed_at,
        payout.event_at,
        None if payout.definite_by is None else payout.definite_by.value,
        payout.definite_code,
        payout.definite_code_at,
        payout.first_not_found_at,
        payout.not_found_twice,
        payout.ended,
        payout.last_status_at,
        payout.asked,
        payout.resolvable_at,
        payout.resends,
        payout.resend_wanted,
        payout.proposed_outcome,
        payout.proposed_receipt,
        payout.proposed_by,
        payout.proposed_evidence,
        payout.proposed_at,
        payout.due_at,
        lease,
        attempts,
    )


async def name_payout(tx: Tx, *, saver_id: UUID, payout_id: UUID, conversation_id: str) -> None:
    await tx.execute(NAME_PAYOUT, saver_id, payout_id, conversation_id)


async def is_open_for(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    return bool(await tx.fetch_value(bool, IS_OPEN_FOR, saver_id, account_id))


async def hasten(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> int:
    """Have what was not sent to a number looked at now; return how many those are."""
    return len(await tx.fetch_all(_Hastened, HASTEN, saver_id, account_id, now))


async def hasten_all(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    """Have whatever of a saver's was not sent looked at now."""
    await tx.execute(HASTEN_ALL, saver_id, now)


async def insert_event(
    tx: Tx, event: PayoutEvent, *, saver_id: UUID, payout_id: UUID, event_id: UUID
) -> None:
    await tx.execute(
        INSERT_EVENT,
        saver_id,
        event_id,
        payout_id,
        event.state_before,
        event.state,
        event.cause,
        event.detail,
        event.callback_id,
        event.operator,
        event.happened_at,
    )


async def list_events(tx: Tx, *, saver_id: UUID, payout_id: UUID) -> list[PayoutEvent]:
    return await tx.fetch_all(PayoutEvent, LIST_EVENTS, saver_id, payout_id)


async def list_requests(tx: Tx, *, saver_id: UUID, since: datetime) -> list[Request]:
    return await tx.fetch_all(Request, LIST_REQUESTS, saver_id, since)


async def list_outstanding(tx: Tx, *, shortcode: str) -> list[Outstanding]:
    return await tx.fetch_all(Outstanding, LIST_OUTSTANDING, shortcode)


async def count_open(tx: Tx) -> list[OpenPayouts]:
    return await tx.fetch_all(OpenPayouts, COUNT_OPEN)


async def lock_float(tx: Tx, *, shortcode: str) -> None:
    """Wait for whoever else decides what to send from this shortcode's float. Until the transaction ends."""
    await tx.execute(LOCK_FLOAT, shortcode)


@dataclass(frozen=True, slots=True)
class _Hastened:
    id: UUID
