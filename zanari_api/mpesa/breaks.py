"""Differences between our books and M-PESA's, by name, from when they are seen until they are gone. Moves no money.

Whoever finds a difference notes it here, in the transaction that found it, and closes it when it is gone.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.mpesa import break_queries
from zanari_api.mpesa.break_queries import NewBreak, OpenBreaks
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.runtime import audit
from zanari_api.runtime.db import Tx

LISTED_MAX: Final = 1000


class BreakKind(StrEnum):
    """What differs, or has no known end."""

    WORK_GIVEN_UP = "work_given_up"
    "a row of money on which work failed so often that no worker tries again"

    FLOAT_DIFFERS = "float_differs"
    "Safaricom reports another balance for one of our accounts than our books"

    BALANCE_UNKNOWN = "balance_unknown"
    "Safaricom did not say what an account holds"

    FEES_NOT_COVERED = "fees_not_covered"
    "M-PESA's fees have come to more than the company has put in"

    BOOKS_BROKEN = "books_broken"
    "the books' own check found a broken promise; money out is frozen"

    CHAIN_BROKEN = "chain_broken"
    "a row of the books or of the audit log is not what was sealed; money out is frozen"

    SUSPENSE_OLD = "suspense_old"
    "a payment has been in suspense for too long"

    PROMPT_UNRESOLVED = "prompt_unresolved"
    "an STK push whose outcome stayed unknown"

    COLLECTION_UNRESOLVED = "collection_unresolved"
    "a collection whose outcome stayed unknown"

    PAYOUT_UNRESOLVED = "payout_unresolved"
    "a payout whose outcome stays unknown; its money is held"

    PAYOUT_PAID_AFTER_REFUND = "payout_paid_after_refund"
    "M-PESA paid out what we had already given back"

    REVERSAL_UNRESOLVED = "reversal_unresolved"
    "a reversal we asked for and whose outcome stays unknown"

    REVERSAL_FAILED = "reversal_failed"
    "a reversal we asked for and that Safaricom refused"

    MISSING_DEPOSIT = "missing_deposit"
    "a payment in a statement that our books do not have"

    UNKNOWN_WITHDRAWAL = "unknown_withdrawal"
    "money that left an account, by a statement, and that our books do not have"

    AMOUNT_DIFFERS = "amount_differs"
    "a statement and our books tell another amount for one receipt"

    FEE_UNPOSTED = "fee_unposted"
    "a charge in a statement that our books do not have"

    NOT_IN_STATEMENT = "not_in_statement"
    "something in our books that the statement of its day does not have"

    RECEIPT_AMOUNT_DIFFERS = "receipt_amount_differs"
    "a receipt in our books that M-PESA tells of with another amount"

    RECEIPT_BOOKED_AS_MOVE = "receipt_booked_as_move"
    "a receipt that we booked as a move of our own and that M-PESA tells of as a saver's payment"

    STATEMENT_BALANCE_DIFFERS = "statement_balance_differs"
    "a statement's last balance is not what our books say"


class Resolved(StrEnum):
    """What became of an operator's wish to close a break."""

    CLOSED = "closed"
    "it is closed, with the evidence as its reason"

    CLOSED_BEFORE = "closed_before"
    "somebody or the difference itself closed it before"

    UNKNOWN = "unknown"
    "there is no such break"


async def note_break(  # noqa: PLR0913 (a break is named by all of it, and each by its keyword)
    tx: Tx,
    *,
    kind: BreakKind,
    subject: str,
    amount_cents: int,
    suspected_cause: str,
    command: str,
    now: datetime,
    shortcode: str | None = None,
    account: str | None = None,
) -> UUID:
    """Note a break as seen now and return its id. The open one of this kind and subject keeps its age.

    `subject` is what it is about, `<kind>:<id>`; it and `suspected_cause` name ids, receipts and amounts, never
    a person. `command` is what an operator types to resolve it. `amount_cents` is positive where M-PESA has more
    than our books say, or for money whose place is unsure. Runs as Role.SYSTEM.
    """
    noted = NewBreak(
        id=new_id(),
        kind=kind.value,
        subject=subject,
        shortcode=shortcode,
        account=account,
        amount_cents=amount_cents,
        suspected_cause=suspected_cause,
        command=command,
        now=now,
    )
    return await break_queries.note_break(tx, noted)


async def close_break(tx: Tx, *, kind: BreakKind, subject: str, because: str, now: datetime) -> bool:
    """Close the break of this kind and subject; False when none was open. Safe to repeat. Runs as Role.SYSTEM."""
    closed = await break_queries.close_break(tx, kind=kind.value, subject=subject, because=because, now=now)
    return closed is not None


async def list_open(tx: Tx) -> list[BreakRow]:
    """Return the open breaks, the oldest first, a thousand at most: for people to read, and not to decide by."""
    return await break_queries.list_open(tx, limit=LISTED_MAX)


async def list_open_of(tx: Tx, kinds: Collection[BreakKind], *, subject_prefix: str = "") -> list[BreakRow]:
    """Return every open break of these kinds whose subject begins so, the oldest first, however many there are."""
    return await break_queries.list_open_of_kinds(
        tx, kinds=[kind.value for kind in kinds], subject_prefix=subject_prefix
    )


async def count_open(tx: Tx) -> list[OpenBreaks]:
    """Count the open breaks by kind; a kind of which none is open is left out."""
    return await break_queries.count_open(tx)


async def close_gone(
    tx: Tx, *, kind: BreakKind, still_there: Collection[str], because: str, now: datetime
) -> int:
    """Close the open breaks of a kind whose subject is not there any more; return how many."""
    closed = 0
    for each in await list_open_of(tx, [kind]):
        if each.subject not in still_there:
            closed += await close_break(tx, kind=kind, subject=each.subject, because=because, now=now)
    return closed


async def list_closed(tx: Tx, *, since: datetime) -> list[BreakRow]:
    """Return the breaks that were closed since then, in that order, a thousand at most."""
    return await break_queries.list_closed_since(tx, since=since, limit=LISTED_MAX)


async def lock(tx: Tx, *, break_id: UUID) -> BreakRow | None:
    """Lock a break and return it, whether open or closed; None when there is none with this id."""
    return await break_queries.lock_break(tx, break_id=break_id)


async def resolve(tx: Tx, *, break_id: UUID, evidence: str, operator: str, now: datetime) -> Resolved:
    """Close a break by an operator's word. Audited; moves no money. What still differs is noted anew."""
    found = await lock(tx, break_id=break_id)
    if found is None:
        return Resolved.UNKNOWN
    if found.closed_at is not None:
        return Resolved.CLOSED_BEFORE
    await close_break(
        tx, kind=BreakKind(found.kind), subject=found.subject, because=f"{operator}: {evidence}", now=now
    )
    await audit.record(
        tx,
        operator=operator,
        act="break_resolved",
        subject=f"break:{break_id}",
        reason=evidence,
        before={"kind": found.kind, "amount_cents": found.amount_cents},
        after={"closed": True},
    )
    return Resolved.CLOSED
