"""Every statement on balance requests and reports; no decisions, no commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

INSERT_REQUEST: Final[LiteralString] = """
    INSERT INTO mpesa.balance_requests (id, shortcode, state, booked_since, requested_at)
    VALUES ($1, $2, 'requested', $3::text::xid8, $4)
"""

# The result may have come before the reply to the question: what it said stays.
MARK_SUBMITTED: Final[LiteralString] = """
    UPDATE mpesa.balance_requests
       SET state = CASE state WHEN 'requested' THEN 'submitted' ELSE state END,
           conversation_id = $2, originator_conversation_id = $3, submitted_at = $4
     WHERE id = $1
"""

MARK_FINISHED: Final[LiteralString] = """
    UPDATE mpesa.balance_requests SET state = $2, reason = $3, finished_at = $4
     WHERE id = $1 AND state IN ('requested', 'submitted')
    RETURNING id
"""

LOCK_REQUEST: Final[LiteralString] = """
    SELECT id, shortcode, state, reason, booked_since::text AS booked_since, requested_at
      FROM mpesa.balance_requests
     WHERE conversation_id = $1
       FOR UPDATE
"""

FIND_REQUEST: Final[LiteralString] = """
    SELECT id, shortcode, state, reason, booked_since::text AS booked_since, requested_at
      FROM mpesa.balance_requests
     WHERE id = $1
"""

# Its reply was lost, and with it the id that its result comes under.
FIND_UNNAMED: Final[LiteralString] = """
    SELECT id FROM mpesa.balance_requests
     WHERE conversation_id IS NULL AND requested_at >= $1 AND submitted_at IS NULL
     LIMIT 1
"""

INSERT_REPORTS: Final[LiteralString] = """
    INSERT INTO mpesa.balance_reports (
        request_id, account, shortcode, balance_cents, requested_at, reported_at, callback_id
    )
    SELECT $1, told.account, $2, told.balance_cents, $3, $4, $5
      FROM unnest($6::text[], $7::bigint[]) AS told (account, balance_cents)
"""

LIST_REPORTS: Final[LiteralString] = """
    SELECT request_id, account, shortcode, balance_cents, requested_at, reported_at
      FROM mpesa.balance_reports
     WHERE request_id = $1
"""

FIND_LAST_REPORTED: Final[LiteralString] = """
    SELECT r.id, r.shortcode, r.state, r.reason, r.booked_since::text AS booked_since, r.requested_at
      FROM mpesa.balance_requests AS r
     WHERE r.id = (
               SELECT told.request_id
                 FROM mpesa.balance_reports AS told
                WHERE told.shortcode = $1 AND told.reported_at >= $2 AND told.reported_at < $3
                ORDER BY told.reported_at DESC, told.requested_at DESC
                LIMIT 1
           )
"""

LIST_TOLD_ACCOUNTS: Final[LiteralString] = """
    SELECT known.account
      FROM unnest('{utility,working,charges_paid}'::text[]) AS known (account)
     WHERE EXISTS (
               SELECT FROM mpesa.balance_reports AS told
                WHERE told.shortcode = $1 AND told.account = known.account
           )
"""

FIND_HORIZON: Final[LiteralString] = """
    SELECT booked_since::text
      FROM mpesa.balance_requests
     WHERE shortcode = $1 AND requested_at <= $2
     ORDER BY requested_at DESC
     LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class BalanceRequest:
    """A question for a shortcode's balances. `booked_since` is the ledger's horizon when it was asked."""

    id: UUID
    shortcode: str
    state: str
    reason: str | None
    booked_since: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """What Safaricom said that one of our accounts held, at a moment of its own clock."""

    request_id: UUID
    account: str
    shortcode: str
    balance_cents: int
    requested_at: datetime
    reported_at: datetime


async def insert_request(
    tx: Tx, *, request_id: UUID, shortcode: str, booked_since: str, now: datetime
) -> None:
    await tx.execute(INSERT_REQUEST, request_id, shortcode, booked_since, now)


async def mark_submitted(
    tx: Tx,
    *,
    request_id: UUID,
    conversation_id: str | None,
    originator_conversation_id: str | None,
    now: datetime,
) -> None:
    await tx.execute(MARK_SUBMITTED, request_id, conversation_id, originator_conversation_id, now)


async def mark_finished(tx: Tx, *, request_id: UUID, state: str, reason: str | None, now: datetime) -> bool:
    """End a question; False when it has an end already."""
    return await tx.fetch_value(UUID, MARK_FINISHED, request_id, state, reason, now) is not None


async def lock_request(tx: Tx, *, conversation_id: str) -> BalanceRequest | None:
    return await tx.fetch_one(BalanceRequest, LOCK_REQUEST, conversation_id)


async def find_unnamed(tx: Tx, *, since: datetime) -> UUID | None:
    """Return a question since then to which no reply came."""
    return await tx.fetch_value(UUID, FIND_UNNAMED, since)


async def find_request(tx: Tx, *, request_id: UUID) -> BalanceRequest | None:
    return await tx.fetch_one(BalanceRequest, FIND_REQUEST, request_id)


async def insert_reports(
    tx: Tx,
    request: BalanceRequest,
    *,
    balances: Mapping[str, int],
    reported_at: datetime,
    callback_id: UUID,
) -> None:
    await tx.execute(
        INSERT_REPORTS,
        request.id,
        request.shortcode,
        request.requested_at,
        reported_at,
        callback_id,
        list(balances),
        list(balances.values()),
    )


async def list_reports(tx: Tx, *, request_id: UUID) -> list[BalanceReport]:
    return await tx.fetch_all(BalanceReport, LIST_REPORTS, request_id)


async def find_last_reported(
    tx: Tx, *, shortcode: str, since: datetime, until: datetime
) -> BalanceRequest | None:
    return await tx.fetch_one(BalanceRequest, FIND_LAST_REPORTED, shortcode, since, until)


async def find_horizon(tx: Tx, *, shortcode: str, moment: datetime) -> str | None:
    return await tx.fetch_value(str, FIND_HORIZON, shortcode, moment)


@dataclass(frozen=True, slots=True)
class _Told:
    account: str


async def list_told_accounts(tx: Tx, *, shortcode: str) -> set[str]:
    """Return the accounts of a shortcode that Safaricom ever told a balance of."""
    return {told.account for told in await tx.fetch_all(_Told, LIST_TOLD_ACCOUNTS, shortcode)}
