"""The record of what operators did, written in the transaction of the act itself. Never changes or deletes a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

import orjson

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx

INSERT_ACT: Final[LiteralString] = """
    INSERT INTO runtime.audit_log (id, operator, act, subject, reason, before, after)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)
"""

# The newest first. A null stands for any; the index on time is read from its end until there are enough.
LIST_ACTS: Final[LiteralString] = """
    SELECT a.id, a.operator, a.act, a.subject, a.reason, a.before::text AS before, a.after::text AS after, a.recorded_at
      FROM runtime.audit_log AS a
     WHERE a.recorded_at <= now()
       AND ($1::text IS NULL OR a.operator = $1)
       AND ($2::text IS NULL OR a.act = $2)
       AND ($3::text IS NULL OR a.subject = $3)
     ORDER BY a.recorded_at DESC
     LIMIT $4
"""

FIND_ACT: Final[LiteralString] = """
    SELECT a.id, a.operator, a.act, a.subject, a.reason, a.before::text AS before, a.after::text AS after, a.recorded_at
      FROM runtime.audit_log AS a
     WHERE a.id = $1
"""


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator did. `before` and `after` are JSON text: ids and amounts."""

    id: UUID
    operator: str
    act: str
    subject: str
    reason: str
    before: str
    after: str
    recorded_at: datetime


async def list_acts(
    tx: Tx, *, limit: int, operator: str | None = None, act: str | None = None, subject: str | None = None
) -> list[Act]:
    """Return the newest acts, the newest first; what is None stands for any."""
    return await tx.fetch_all(Act, LIST_ACTS, operator, act, subject, limit)


async def find_act(tx: Tx, act_id: UUID) -> Act | None:
    """Return one act; None where there is none with this id."""
    return await tx.fetch_one(Act, FIND_ACT, act_id)


async def record(
    tx: Tx,
    *,
    operator: str,
    act: str,
    subject: str,
    reason: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> None:
    """Write down an act of an operator. Ids and amounts only: the record outlives erasure.

    `act` is one constant word such as `suspense_assigned`; `subject` what it was done to, `<kind>:<id>`.
    """
    await tx.execute(
        INSERT_ACT,
        new_id(),
        operator,
        act,
        subject,
        reason,
        orjson.dumps(before, default=str).decode(),
        orjson.dumps(after, default=str).decode(),
    )
