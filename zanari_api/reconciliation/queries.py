"""Every statement on mpesa.statements; no decisions, no commits."""

from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

INSERT_STATEMENT: Final[LiteralString] = """
    INSERT INTO mpesa.statements (id, shortcode, account, day, digest, lines, operator, imported_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT ON CONSTRAINT statements_imported_once DO NOTHING
    RETURNING id
"""


async def insert_statement(  # noqa: PLR0913 (a row is all of it, each by its keyword)
    tx: Tx,
    *,
    statement_id: UUID,
    shortcode: str,
    account: str,
    day: date,
    digest: bytes,
    lines: int,
    operator: str,
    now: datetime,
) -> bool:
    """Note that a file was compared; False when this very file was before."""
    inserted = await tx.fetch_value(
        UUID, INSERT_STATEMENT, statement_id, shortcode, account, day, digest, lines, operator, now
    )
    return inserted is not None
