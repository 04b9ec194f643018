"""Statements on payouts in doubt that are asked about before their time; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Claim

# Whatever is due when: but never what somebody works on, what was given up, or what was asked about a moment ago.
# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_IN_DOUBT: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT doubted.saver_id, doubted.id
          FROM savings.payouts AS doubted
         WHERE doubted.due_at > '-infinity' AND doubted.dead_at IS NULL
           AND (doubted.lease_until IS NULL OR doubted.lease_until <= $2)
           AND doubted.state IN ('submitted', 'unknown') AND NOT doubted.resend_wanted
           AND doubted.submitting_at <= $5 AND doubted.id <> ALL ($7::uuid[])
           AND NOT EXISTS (
                   SELECT
                     FROM savings.status_queries AS q
                    WHERE q.saver_id = doubted.saver_id AND q.payout_id = doubted.id AND q.asked_at > $6
               )
         ORDER BY doubted.due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.payouts AS p
       SET lease_id = $1, lease_until = $3, attempts = p.attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE p.saver_id = leased.saver_id AND p.id = leased.id
    RETURNING p.saver_id, p.id, p.lease_id, p.attempts
"""

COUNT_IN_DOUBT: Final[LiteralString] = """
    SELECT count(*)
      FROM savings.payouts
     WHERE due_at IS NOT NULL AND state IN ('submitted', 'unknown') AND NOT resend_wanted AND submitting_at <= $1
"""

COUNT_QUESTIONS: Final[LiteralString] = """
    SELECT q.state, count(*) AS questions
      FROM unnest($1::uuid[], $2::uuid[]) AS asked (saver_id, payout_id)
     CROSS JOIN LATERAL (
               SELECT newest.state
                 FROM savings.status_queries AS newest
                WHERE newest.saver_id = asked.saver_id AND newest.payout_id = asked.payout_id
                  AND newest.asked_at >= $3
                ORDER BY newest.asked_at, newest.id
                LIMIT 1
           ) AS q
     GROUP BY q.state
"""


@dataclass(frozen=True, slots=True)
class QuestionsSo:
    """How many questions stand so."""

    state: str
    questions: int


async def claim_in_doubt(
    tx: Tx, claim: Claim, *, sent_before: datetime, not_asked_since: datetime, but: Sequence[UUID]
) -> list[ClaimedPayout]:
    return await tx.fetch_all(
        ClaimedPayout,
        CLAIM_IN_DOUBT,
        claim.lease_id,
        claim.now,
        claim.lease_until,
        claim.limit,
        sent_before,
        not_asked_since,
        list(but),
    )


async def count_in_doubt(tx: Tx, *, sent_before: datetime) -> int:
    return await tx.fetch_value(int, COUNT_IN_DOUBT, sent_before) or 0


async def count_questions(tx: Tx, *, about: Sequence[ClaimedPayout], since: datetime) -> list[QuestionsSo]:
    return await tx.fetch_all(
        QuestionsSo, COUNT_QUESTIONS, [row.saver_id for row in about], [row.id for row in about], since
    )
