"""Every statement on savings.notices, and which numbers are old; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement
from zanari_api.users.notice_rows import (
    AboutNumber,
    ClaimedNotice,
    Notice,
    NoticeKind,
    NoticeOutcome,
    Waiting,
)

# A number may have been linked, removed and linked again: its newest link speaks for it.
LIST_OLD_NUMBERS: Final[LiteralString] = """
    SELECT DISTINCT ON (blind_index) id
      FROM savings.mpesa_accounts
     WHERE saver_id = $1 AND blind_index IS DISTINCT FROM $3::bytea
       AND (unlinked_at IS NULL OR (unlinked_because = 'removed_by_saver' AND unlinked_at >= $2))
     ORDER BY blind_index, linked_at DESC, id DESC
"""

INSERT_NOTICES: Final[LiteralString] = """
    INSERT INTO savings.notices (
        saver_id, id, account_id, kind, about_account_id, hold_id, created_at, due_at
    )
    SELECT $1, told.id, told.account_id, $4, $5, $6, $7, $7
      FROM unnest($2::uuid[], $3::uuid[]) AS told (id, account_id)
     WHERE $4 <> 'pin_reset' OR NOT savings.was_told_of_reset(told.account_id, $7)
"""

# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_NOTICES: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT due.saver_id, due.id
          FROM savings.notices AS due
         WHERE due.due_at <= $2 AND due.dead_at IS NULL
           AND (due.lease_until IS NULL OR due.lease_until <= $2)
         ORDER BY due.due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.notices AS n
       SET lease_id = $1, lease_until = $3, attempts = n.attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE n.saver_id = leased.saver_id AND n.id = leased.id
    RETURNING n.saver_id, n.id, n.lease_id, n.attempts
"""

FIND_LEASED: Final[LiteralString] = """
    SELECT n.kind, n.created_at, h.held_until, n.account_id, told.msisdn,
           n.about_account_id, about.msisdn AS about_msisdn,
           EXISTS (
               SELECT FROM savings.mpesa_accounts AS held
                WHERE held.blind_index = told.blind_index AND held.unlinked_at IS NULL
                  AND held.saver_id <> n.saver_id
           ) AS is_anothers
      FROM savings.notices AS n
      JOIN savings.mpesa_accounts AS told ON told.saver_id = n.saver_id AND told.id = n.account_id
      LEFT JOIN savings.mpesa_accounts AS about ON about.saver_id = n.saver_id AND about.id = n.about_account_id
      LEFT JOIN savings.payout_holds AS h ON h.saver_id = n.saver_id AND h.id = n.hold_id
     WHERE n.saver_id = $1 AND n.id = $2 AND n.lease_id = $3
"""

FINISH_NOTICE: Final[LiteralString] = """
    UPDATE savings.notices
       SET outcome = $4, finished_at = $5, due_at = NULL, lease_id = NULL, lease_until = NULL, last_error = NULL
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3
    RETURNING id
"""

POSTPONE_NOTICE: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE savings.notices
           SET due_at = $4, last_error = $5, dead_at = CASE WHEN $6 THEN $4::timestamptz END,
               lease_id = NULL, lease_until = NULL
         WHERE saver_id = $1 AND id = $2 AND lease_id = $3
        RETURNING id, last_error, dead_at
    )
    SELECT id, 0::bigint AS amount_cents, last_error AS error, dead_at AS since
      FROM put_off
     WHERE dead_at IS NOT NULL
"""

LIST_DEAD: Final[LiteralString] = """
    SELECT id, 0::bigint AS amount_cents, last_error AS error, dead_at AS since
      FROM savings.notices
     WHERE dead_at > '-infinity'::timestamptz
     ORDER BY dead_at, id
"""

REVIVE_NOTICE: Final[LiteralString] = """
    UPDATE savings.notices SET due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE id = $1 AND dead_at > '-infinity'::timestamptz
    RETURNING id
"""

COUNT_DUE: Final[LiteralString] = """
    SELECT count(*) AS due, min(due_at) AS oldest_due_at, 0::bigint AS dead
      FROM savings.notices
     WHERE due_at <= $1 AND dead_at IS NULL
"""

COUNT_DEAD: Final[LiteralString] = (
    "SELECT count(*) FROM savings.notices WHERE dead_at > '-infinity'::timestamptz"
)

COUNT_WAITING: Final[LiteralString] = """
    SELECT count(*) AS waiting, min(created_at) AS oldest_at
      FROM savings.notices
     WHERE due_at > '-infinity'::timestamptz AND dead_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class OldNumber:
    """The link of a number that is told."""

    id: UUID


async def list_old_numbers(
    tx: Tx, *, saver_id: UUID, removed_since: datetime, but_index: bytes | None
) -> list[OldNumber]:
    """Return the numbers that a saver holds, and those they removed since then, but the one of this index."""
    return await tx.fetch_all(OldNumber, LIST_OLD_NUMBERS, saver_id, removed_since, but_index)


async def insert_notices(
    tx: Tx,
    *,
    saver_id: UUID,
    account_ids: Sequence[UUID],
    kind: NoticeKind,
    about: AboutNumber | None,
    hold_id: UUID | None,
    now: datetime,
) -> None:
    """Insert a notice for each number, but of a PIN reset for none that was told of one within the hour."""
    await tx.execute(
        INSERT_NOTICES,
        saver_id,
        [new_id() for _ in account_ids],
        list(account_ids),
        kind,
        about and about.account_id,
        hold_id,
        now,
    )


async def claim(tx: Tx, claim: Claim) -> list[ClaimedNotice]:
    return await tx.fetch_all(
        ClaimedNotice, CLAIM_NOTICES, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def find_leased(tx: Tx, row: ClaimedNotice) -> Notice | None:
    """Return a notice while this lease is on it."""
    return await tx.fetch_one(Notice, FIND_LEASED, row.saver_id, row.id, row.lease_id)


async def finish(tx: Tx, row: ClaimedNotice, *, outcome: NoticeOutcome, now: datetime) -> bool:
    """End a notice; False when the lease has become another's."""
    return (
        await tx.fetch_value(UUID, FINISH_NOTICE, row.saver_id, row.id, row.lease_id, outcome, now)
        is not None
    )


async def postpone(tx: Tx, row: ClaimedNotice, postponement: Postponement) -> DeadRow | None:
    return await tx.fetch_one(
        DeadRow,
        POSTPONE_NOTICE,
        row.saver_id,
        row.id,
        row.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
    )


async def list_dead(tx: Tx) -> list[DeadRow]:
    return await tx.fetch_all(DeadRow, LIST_DEAD)


async def revive(tx: Tx, notice_id: UUID, now: datetime) -> bool:
    return await tx.fetch_value(UUID, REVIVE_NOTICE, notice_id, now) is not None


async def count(tx: Tx, now: datetime) -> Backlog:
    due = await tx.fetch_one(Backlog, COUNT_DUE, now)
    assert due is not None  # noqa: S101 (an aggregate always returns a row)
    return Backlog(due.due, due.oldest_due_at, await tx.fetch_value(int, COUNT_DEAD) or 0)


async def count_waiting(tx: Tx) -> Waiting:
    found = await tx.fetch_one(Waiting, COUNT_WAITING)
    assert found is not None  # noqa: S101 (an aggregate always returns a row)
    return found
