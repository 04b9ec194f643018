"""Takes a deposit back that M-PESA took back: out of the wallet, then the goals; what is missing is owed. Asks nobody.

Nothing is undone: it is one more transfer, once per deposit, and the feed's row says what happened.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.deposits import corrections, receivables
from zanari_api.deposits.correction_rows import DepositRow, Proof, ReversalRow
from zanari_api.goals import service as goals
from zanari_api.kit.money import format_kes
from zanari_api.ledger import accounts, balances, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.mpesa.reversal_rules import Taken, take
from zanari_api.payouts import service as payouts
from zanari_api.runtime.db import Rerun, Tx
from zanari_api.transactions import outcomes, receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import service as users


class Result(StrEnum):
    """What became of a wish to take a payment back."""

    TAKEN_BACK = "taken_back"
    "it is in the books now"

    ALREADY = "already"
    "it was taken back before; nothing moved again"

    UNKNOWN_RECEIPT = "unknown_receipt"
    "our books have no deposit with this receipt"

    AMOUNT_DIFFERS = "amount_differs"
    "the deposit is of another amount; nothing moved"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of it, whose deposit it is and which, and the cents that the saver owes by it."""

    result: Result
    saver_id: UUID | None = None
    owed_cents: int = 0
    deposit_id: UUID | None = None


async def take_back(
    tx: Tx, *, receipt: str, amount_cents: int | None, proof: Proof, now: datetime
) -> TakenBack:
    """Take back the deposit with this receipt, once. `amount_cents` None: whatever it was credited with.

    Locks the saver, then the receipt. Raises Rerun when the deposit was made while we looked. Runs as Role.SYSTEM.
    """
    deposit = await corrections.find_deposit(tx, receipt=receipt)
    if deposit is None:
        await receipts.lock(tx, [receipt])
        if await corrections.find_deposit(tx, receipt=receipt) is not None:
            raise Rerun
        return TakenBack(Result.UNKNOWN_RECEIPT)
    saver = await users.lock_saver(tx, saver_id=deposit.saver_id)
    await receipts.lock(tx, [receipt])
    before = await corrections.find_reversal(tx, deposit)
    if before is not None:
        return TakenBack(Result.ALREADY, saver.saver_id, before.owed_cents, deposit.id)
    if amount_cents not in {None, deposit.amount_cents}:
        return TakenBack(Result.AMOUNT_DIFFERS, saver.saver_id, deposit_id=deposit.id)
    taken = await _decide(tx, deposit, wallet_account_id=saver.wallet_account_id, now=now)
    await _post(tx, deposit, taken, wallet_account_id=saver.wallet_account_id, proof=proof)
    if taken.owed_cents:
        await payouts.stop_for_debt(tx, saver_id=saver.saver_id, now=now)
    # A spend with this receipt that we are told of later was reversed with it.
    await receipts.claim(tx, ReceiptRole.REVERSAL, [Claim(receipt, saver.saver_id)])
    reversal = ReversalRow(
        saver_id=saver.saver_id,
        deposit_id=deposit.id,
        amount_cents=deposit.amount_cents,
        wallet_cents=taken.wallet_cents,
        goals_cents=taken.goals_cents,
        owed_cents=taken.owed_cents,
    )
    await corrections.record_reversal(tx, reversal, proof=proof)
    await outcomes.mark(
        tx,
        saver_id=saver.saver_id,
        transaction_id=deposit.id,
        status="reversed",
        explanation={
            "text": _told(deposit, taken),
            "reason": "reversed",
            "wallet_cents": taken.wallet_cents,
            "goals": [{"goal_id": str(goal.id), "amount_cents": cents} for goal, cents in taken.goals],
            "owed_cents": taken.owed_cents,
        },
    )
    return TakenBack(Result.TAKEN_BACK, saver.saver_id, taken.owed_cents, deposit.id)


async def _decide(tx: Tx, deposit: DepositRow, *, wallet_account_id: UUID, now: datetime) -> Taken:
    """Look at what the saver has, by new statements under the saver's lock."""
    wallet = (await balances.balances(tx, [wallet_account_id]))[wallet_account_id]
    held = (await goals.list_by_saver(tx, saver_ids=[deposit.saver_id]))[deposit.saver_id]
    return take(
        deposit.amount_cents,
        wallet_cents=wallet,
        goals=[goal for goal in held if goal.saved_cents],
        paid_into=deposit.goal_id,
        now=now,
    )


async def _post(tx: Tx, deposit: DepositRow, taken: Taken, *, wallet_account_id: UUID, proof: Proof) -> None:
    entries = [(accounts.float_id(deposit.shortcode), deposit.amount_cents)]
    if taken.wallet_cents:
        entries.append((wallet_account_id, -taken.wallet_cents))
    entries += [(goal.account_id, -cents) for goal, cents in taken.goals]
    if taken.owed_cents:
        owed = await receivables.receivable_account(tx, saver_id=deposit.saver_id)
        entries.append((owed, -taken.owed_cents))
    await posting.post_one(
        tx,
        Transfer(
            key=f"deposit_reversal:{deposit.id}",
            kind="deposit_reversal",
            event_at=proof.event_at,
            entries=entries,
            metadata={"deposit_id": str(deposit.id), "cause": proof.cause},
        ),
    )


def _told(deposit: DepositRow, taken: Taken) -> str:
    """Return the sentences that tell the saver what happened to this deposit."""
    places = [(taken.wallet_cents, "your wallet")] if taken.wallet_cents else []
    places += [(cents, goal.name) for goal, cents in taken.goals]
    text = f"M-PESA took this payment of {format_kes(deposit.amount_cents)} back."
    if places:
        text += f" {_and([f'{format_kes(cents)} came from {place}' for cents, place in places])}."
    if taken.owed_cents:
        text += (
            f" {format_kes(taken.owed_cents)} is no longer here, so you owe it to Zanari:"
            " your next deposits repay it first, and nothing can be withdrawn until then."
        )
    return text


def _and(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
