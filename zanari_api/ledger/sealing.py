"""Seals the books and the audit log into the hash chain, behind the postings and apart from them. Verifies nothing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, LiteralString

from zanari_api.ledger.chain import Head
from zanari_api.runtime.db import Database, Role, Tx

BATCH_ROWS: Final = 2_000
"""Sealed in one transaction: some dozens of milliseconds."""

LAG_COUNTED_MAX: Final = 20_000
"""More unsealed rows than this are not counted: it stands for that many or more."""

DIFFERS: Final = "differs"
"""The outcome of a call that found another last seal than the head that was left."""

SEAL: Final[LiteralString] = "SELECT s.outcome, s.looked_at, s.sealed FROM ledger.seal($1) AS s"

FIND_HEAD: Final[LiteralString] = "SELECT s.length AS count, s.hash FROM ledger.sealing AS s WHERE s.id = 1"

# Rows beyond where sealing stands, and of those the ones without a seal: after a restore they may have one.
# A count, not EXISTS: the planner may answer that one from a hash of the whole table.
FIND_LAG: Final[LiteralString] = """
    SELECT count(*) AS rows, coalesce(clock_timestamp() - min(u.written_at), '0') AS age
      FROM ledger.sealing AS s
     CROSS JOIN LATERAL (
               (SELECT 'transfer' AS kind, t.id, t.posted_at AS written_at
                  FROM ledger.transfers AS t
                 WHERE (t.xact, t.id) > (s.transfer_xact, s.transfer_id)
                 ORDER BY t.xact, t.id
                 LIMIT $1)
               UNION ALL
               (SELECT 'act', a.id, a.recorded_at
                  FROM runtime.audit_log AS a
                 WHERE (a.xact, a.id) > (s.act_xact, s.act_id)
                 ORDER BY a.xact, a.id
                 LIMIT $1)
           ) AS u
     WHERE s.id = 1
       AND (SELECT count(*) FROM ledger.seals AS l WHERE l.subject_id = u.id AND l.kind = u.kind) = 0
"""


class ChainDiffers(Exception):  # noqa: N818 (reads as what it says)
    """The last seal is not the head as sealing left it: somebody cut the chain, and nothing is sealed on top of it."""

    def __init__(self) -> None:
        super().__init__(
            "the chain's last seal is not where sealing left it; zanari ledger verify says what is bad"
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one call did: how many rows it passed, and how many of them it sealed. None where another is sealing."""

    outcome: str
    looked_at: int
    sealed: int


@dataclass(frozen=True, slots=True)
class Lag:
    """What is written and not sealed yet, and for how long the oldest of it has been."""

    rows: int
    age: timedelta


async def seal(tx: Tx, *, rows_max: int = BATCH_ROWS) -> Sealed:
    """Seal up to so many rows that no running transaction can add to.

    Locks the row of sealing, and does nothing where somebody else holds it. Raises ChainDiffers. Runs as Role.SYSTEM.
    """
    done = await tx.fetch_one(Sealed, SEAL, rows_max)
    assert done is not None  # noqa: S101 (the function always answers)
    if done.outcome == DIFFERS:
        raise ChainDiffers
    return done


async def seal_all(database: Database, *, batches_max: int, rows_max: int = BATCH_ROWS) -> int:
    """Seal batch by batch, each its own transaction, until nothing is left or so many were done; return the rows."""
    sealed = 0
    for _ in range(batches_max):
        done = await database.unit_of_work(lambda tx: seal(tx, rows_max=rows_max), role=Role.SYSTEM)
        sealed += done.sealed
        if done.looked_at == 0:
            break
    return sealed


async def find_head(tx: Tx) -> Head:
    """Return the head of the chain, as sealing left it."""
    head = await tx.fetch_one(Head, FIND_HEAD)
    assert head is not None  # noqa: S101 (its row cannot be deleted)
    return head


async def find_lag(tx: Tx) -> Lag:
    """Return what waits to be sealed. Reads no more than LAG_COUNTED_MAX rows of each kind."""
    lag = await tx.fetch_one(Lag, FIND_LAG, LAG_COUNTED_MAX)
    assert lag is not None  # noqa: S101 (a count always answers)
    return lag
