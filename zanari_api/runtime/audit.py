"""The record of what operators did, written in the transaction of the act itself. Never changes or deletes a line."""

from collections.abc import Mapping
from typing import Final, LiteralString

import orjson

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx

INSERT_ACT: Final[LiteralString] = """
    INSERT INTO runtime.audit_log (id, operator, act, subject, reason, before, after)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)
"""


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
