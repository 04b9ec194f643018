"""The register of M-PESA receipts: each counts once in each role it can play, across every channel and for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx


class ReceiptRole(StrEnum):
    """What a receipt was counted as."""

    DEPOSIT = "deposit"
    "money that came in to us"

    PAYOUT = "payout"
    "money we sent out"

    SIGNED_SPEND = "signed_spend"
    "a spend told by the signed webhook; a saver's own SMS is counted per saver, in savings.spends"

    REVERSAL = "reversal"
    "claimed under the receipt that was reversed, so that a spend which arrives after its reversal is known"

    OWN_MOVE = "own_move"
    "a move of our own money, or the return of a payment from suspense: no saver's, in any other role"


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish to count a receipt for a saver; None where it belongs to nobody yet."""

    receipt: str
    saver_id: UUID | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A receipt that was counted."""

    role: str
    receipt: str
    saver_id: UUID | None


# The roles of one receipt know of each other (a deposit undoes a spend, a reversal too), so claims in any role
# wait for each other until commit. Sorted: batches wait in one order, never in a circle.
LOCK_RECEIPTS: Final[LiteralString] = """
    SELECT pg_advisory_xact_lock(hashtextextended(receipt, 20260102))
      FROM (SELECT DISTINCT receipt FROM unnest($1::text[]) AS claim (receipt) ORDER BY receipt) AS sorted
"""

CLAIM_RECEIPTS: Final[LiteralString] = """
    INSERT INTO mpesa.receipts (role, receipt, saver_id)
    SELECT DISTINCT ON (claim.receipt) $1, claim.receipt, claim.saver_id
      FROM unnest($2::text[], $3::uuid[]) WITH ORDINALITY AS claim (receipt, saver_id, place)
     ORDER BY claim.receipt, claim.place
    ON CONFLICT ON CONSTRAINT receipts_claimed_once DO NOTHING
    RETURNING role, receipt, saver_id
"""

FIND_RECEIPTS: Final[LiteralString] = """
    SELECT role, receipt, saver_id FROM mpesa.receipts WHERE receipt = ANY ($1::text[])
"""


async def lock(tx: Tx, receipts: Sequence[str]) -> None:
    """Hold these receipts until the transaction ends: nobody else claims them, in any role. After the savers."""
    await tx.execute(LOCK_RECEIPTS, list(receipts))


async def claim(tx: Tx, role: ReceiptRole, claims: Sequence[Claim]) -> set[str]:
    """Count receipts in a role; return those that had not been counted. Lock them first."""
    if not claims:
        return set()
    won = await tx.fetch_all(
        Claimed,
        CLAIM_RECEIPTS,
        role.value,
        [claim.receipt for claim in claims],
        [claim.saver_id for claim in claims],
    )
    return {claimed.receipt for claimed in won}


async def find(tx: Tx, receipts: Sequence[str]) -> list[Claimed]:
    """Return everything these receipts were counted as."""
    return await tx.fetch_all(Claimed, FIND_RECEIPTS, list(receipts))


async def is_counted(tx: Tx, receipt: str, *, role: ReceiptRole) -> bool:
    """Tell whether a receipt was counted in this role. Lock it to decide by the answer."""
    return any(claimed.role == role for claimed in await find(tx, [receipt]))
