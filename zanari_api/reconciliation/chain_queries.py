"""Every statement on runtime.chain_verification; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

FIND_VERIFICATION: Final[LiteralString] = """
    SELECT bad_rows, finished_at FROM runtime.chain_verification WHERE id = 1
"""

UPDATE_VERIFICATION: Final[LiteralString] = """
    UPDATE runtime.chain_verification SET bad_rows = $1, finished_at = $2 WHERE id = 1
"""

NOTE_BAD: Final[LiteralString] = """
    UPDATE runtime.chain_verification SET bad_rows = greatest(bad_rows, $1) WHERE id = 1
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """What stands: bad rows of the last whole pass, or of the running one if those are more; when one was whole."""

    bad_rows: int
    finished_at: datetime | None


async def find_verification(tx: Tx) -> Verification:
    found = await tx.fetch_one(Verification, FIND_VERIFICATION)
    assert found is not None  # noqa: S101 (a migration made the row, and nobody may delete it)
    return found


async def update_verification(tx: Tx, verification: Verification) -> None:
    await tx.execute(UPDATE_VERIFICATION, verification.bad_rows, verification.finished_at)


async def note_bad(tx: Tx, *, rows: int) -> None:
    await tx.execute(NOTE_BAD, rows)
