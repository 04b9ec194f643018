"""Asks the database to prove the promises of the books again. Repairs nothing: people judge a break."""

from dataclasses import dataclass
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

CHECK_BOOKS: Final[LiteralString] = """
    SELECT c.invariant, c.subject, c.detail
      FROM ledger.check() AS c
     ORDER BY c.invariant, c.subject, c.detail
"""

COUNT_TRANSFERS: Final[LiteralString] = "SELECT count(*) AS transfers FROM ledger.transfers"

PATIENCE_S: Final = 1_800
"""How long the check may take. It reads every entry in one statement, which a command's usual timeout would cut off."""


@dataclass(frozen=True, slots=True)
class BrokenInvariant:
    """One promise found broken: which, on what, and how. Holds ids and amounts only."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Counted:
    transfers: int


async def count_transfers(tx: Tx) -> int:
    """Return how many transfers the books hold. Reads all of them."""
    (counted,) = await tx.fetch_all(_Counted, COUNT_TRANSFERS, patience_s=PATIENCE_S)
    return counted.transfers


async def check(tx: Tx) -> list[BrokenInvariant]:
    """Return every broken promise of the books; an empty list means they are in order.

    Reads every entry, in one statement with one view of the database: postings may go on meanwhile.
    """
    return await tx.fetch_all(BrokenInvariant, CHECK_BOOKS, patience_s=PATIENCE_S)
