"""Every statement on savings.pins; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_PIN: Final[LiteralString] = """
    SELECT hash, version, wrong_tries, locked_until, set_at FROM savings.pins WHERE saver_id = $1
"""

LOCK_PIN: Final[LiteralString] = """
    SELECT hash, version, wrong_tries, locked_until, set_at FROM savings.pins WHERE saver_id = $1 FOR UPDATE
"""

INSERT_PIN: Final[LiteralString] = """
    INSERT INTO savings.pins (saver_id, hash, version, set_at) VALUES ($1, $2, 1, $3)
    ON CONFLICT (saver_id) DO NOTHING
    RETURNING saver_id
"""

REPLACE_PIN: Final[LiteralString] = """
    UPDATE savings.pins
       SET hash = $2, version = version + 1, set_at = $3, reset_at = coalesce($4, reset_at),
           wrong_tries = 0, locked_until = NULL
     WHERE saver_id = $1
"""

NOTE_TRIES: Final[LiteralString] = """
    UPDATE savings.pins SET wrong_tries = $2, locked_until = $3 WHERE saver_id = $1
"""


@dataclass(frozen=True, slots=True)
class PinRow:
    """A PIN as stored: the hash still encrypted."""

    hash: bytes
    version: int
    wrong_tries: int
    locked_until: datetime | None
    set_at: datetime


async def find_pin(tx: Tx, *, saver_id: UUID) -> PinRow | None:
    return await tx.fetch_one(PinRow, FIND_PIN, saver_id)


async def lock_pin(tx: Tx, *, saver_id: UUID) -> PinRow | None:
    """Read a PIN FOR UPDATE: whoever holds it is the only one who counts a try."""
    return await tx.fetch_one(PinRow, LOCK_PIN, saver_id)


async def insert_pin(tx: Tx, *, saver_id: UUID, sealed_hash: bytes, set_at: datetime) -> bool:
    """Set a first PIN; False when there is one. Waits for a rival's commit before it answers."""
    return await tx.fetch_value(UUID, INSERT_PIN, saver_id, sealed_hash, set_at) is not None


async def replace_pin(
    tx: Tx, *, saver_id: UUID, sealed_hash: bytes, set_at: datetime, reset_at: datetime | None
) -> None:
    await tx.execute(REPLACE_PIN, saver_id, sealed_hash, set_at, reset_at)


async def note_tries(tx: Tx, *, saver_id: UUID, wrong_tries: int, locked_until: datetime | None) -> None:
    await tx.execute(NOTE_TRIES, saver_id, wrong_tries, locked_until)
