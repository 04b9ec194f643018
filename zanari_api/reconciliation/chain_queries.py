"""Every statement on runtime.chain_verification; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

FIND_VERIFICATION: Final[LiteralString] = """
    SELECT verified_seq, verified_hash, bad_so_far, bad_rows, finished_at
      FROM runtime.chain_verification
     WHERE id = 1
"""

UPDATE_VERIFICATION: Final[LiteralString] = """
    UPDATE runtime.chain_verification
       SET verified_seq = $1, verified_hash = $2, bad_so_far = $3, bad_rows = $4, finished_at = $5
     WHERE id = 1
"""

NOTE_BAD: Final[LiteralString] = """
    UPDATE runtime.chain_verification SET bad_rows = greatest(bad_rows, $1) WHERE id = 1
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """How far verifying has come, and what stands of it. `verified_hash` None stands for the chain's beginning."""

    verified_seq: int
    verified_hash: bytes | None
    bad_so_far: int
    bad_rows: int
    finished_at: datetime | None


async def find_verification(tx: Tx) -> Verification:
    found = await tx.fetch_one(Verification, FIND_VERIFICATION)
    assert found is not None  # noqa: S101 (a migration made the row, and nobody may delete it)
    return found


async def update_verification(tx: Tx, verification: Verification) -> None:
    await tx.execute(
        UPDATE_VERIFICATION,
        verification.verified_seq,
        verification.verified_hash,
        verification.bad_so_far,
        verification.bad_rows,
        verification.finished_at,
    )


async def note_bad(tx: Tx, *, rows: int) -> None:
    await tx.execute(NOTE_BAD, rows)
