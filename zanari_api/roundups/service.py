"""Records spends: dedupe, decide, post, explain, in the caller's transaction and a constant number of statements."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.goals import service as goals
from zanari_api.kit.ids import new_id
from zanari_api.ledger import balances
from zanari_api.roundups import accrual_queries, own_reversal_queries, queries, rule_service, undoing, writing
from zanari_api.roundups.deciding import Decided, Fold, Question, window
from zanari_api.roundups.queries import SpendRow
from zanari_api.roundups.registers import Registers, read_registers
from zanari_api.roundups.spends import Discrepancy, Policy, Recorded, RecordStatus, Source, Spend
from zanari_api.roundups.undoing import Cause
from zanari_api.runtime.db import Rerun, Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.transactions.schemas import RoundUp
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow


async def record_spends(tx: Tx, spends: Sequence[Spend], *, policy: Policy) -> list[Recorded]:
    """Record spends and the reversals of spends; return what came of each, in input order.

    Locks the savers by id, then the receipts, in sorted order. Per saver, spends are decided in the order
    (event_at, receipt), whatever their place in the list; the same receipt twice is decided once. Runs as
    Role.SYSTEM. Raises Rerun when somebody whose money a reversal touches was not known in time.
    """
    savers = await users.lock_savers(tx, saver_ids=await _involved(tx, spends))
    registers = await _claim(tx, spends)
    _ensure_locked(spends, registers, savers)
    fresh = _fresh(spends, registers, savers)
    decided = await _decide(tx, fresh, registers, policy)
    await writing.write(tx, decided, policy=policy)
    recorded = _recorded(spends, registers, decided)
    for place, spend in enumerate(spends):
        if spend.is_reversal:
            recorded[place] = await _take_back(tx, spend, registers, decided, policy)
    return recorded


async def undo_for_deposit(tx: Tx, *, receipt: str, locked: set[UUID], policy: Policy) -> None:
    """Undo the round-ups of a receipt that turned out to be a deposit with us: saving it again would be a loop.

    The receipt and the savers in `locked` must be locked. Raises Rerun when another saver told us of it.
    """
    for spend in await queries.find_spends_of_receipts(tx, receipts=[receipt]):
        if spend.saver_id not in locked:
            raise Rerun
        await undoing.undo(tx, spend, cause=Cause.OWN_SHORTCODE, policy=policy)


async def savers_of_receipt(tx: Tx, *, receipt: str) -> set[UUID]:
    """Return who told us of a spend with this receipt."""
    return {spend.saver_id for spend in await queries.find_spends_of_receipts(tx, receipts=[receipt])}


async def waiting_cents(tx: Tx, *, saver_id: UUID) -> int:
    """Return what a saver's round-ups come to that still wait for money."""
    return await accrual_queries.sum_waiting(tx, saver_id=saver_id)


async def _involved(tx: Tx, spends: Sequence[Spend]) -> list[UUID]:
    """Return whose money these spends touch: their own savers', and those whose spends are taken back."""
    involved = {spend.saver_id for spend in spends if spend.saver_id is not None}
    targets = _targets(spend for spend in spends if not spend.source.is_own)
    if targets:
        taken_back = await queries.find_spends_of_receipts(tx, receipts=targets)
        involved |= {spend.saver_id for spend in taken_back}
    return sorted(involved)


async def _claim(tx: Tx, spends: Sequence[Spend]) -> Registers:
    """Lock and claim the receipts, then read what is known of them; nobody can add to it until we commit."""
    wanted = sorted({spend.receipt for spend in spends}.union(_targets(spends)))
    await receipts.lock(tx, wanted)
    counted = [
        Claim(spend.receipt, spend.saver_id)
        for spend in sorted(spends, key=lambda spend: (spend.event_at, spend.receipt))
        if spend.source is Source.WEBHOOK and spend.saver_id is not None and spend.reverses is None
    ]
    await receipts.claim(tx, ReceiptRole.SIGNED_SPEND, counted)
    own = sorted({spend.receipt for spend in spends if spend.source.is_own})
    return await read_registers(tx, wanted, own=own)


def _targets(spends: Iterable[Spend]) -> list[str]:
    return [spend.reversed_receipt for spend in spends if spend.reversed_receipt is not None]


def _ensure_locked(spends: Iterable[Spend], registers: Registers, savers: Mapping[UUID, SaverRow]) -> None:
    """Raise Rerun when a spend that is taken back was recorded after we looked for its saver."""
    for target in _targets(spend for spend in spends if not spend.source.is_own):
        if any(spend.saver_id not in savers for spend in registers.spends_of(target)):
            raise Rerun


def _fresh(
    spends: Sequence[Spend], registers: Registers, savers: Mapping[UUID, SaverRow]
) -> list[tuple[SaverRow, Spend]]:
    """Return the spends to decide, in the order they happened, each receipt of a saver once."""
    fresh: dict[tuple[UUID, str], tuple[SaverRow, Spend]] = {}
    for spend in sorted(spends, key=lambda spend: (spend.event_at, spend.receipt)):
        owner = registers.owner(spend)
        is_new = spend.reverses is None and registers.known(spend) is None
        if is_new and owner is not None and owner == spend.saver_id and owner in savers:
            fresh.setdefault((owner, spend.receipt), (savers[owner], spend))
    return list(fresh.values())


async def _decide(
    tx: Tx,
    fresh: Sequence[tuple[SaverRow, Spend]],
    registers: Registers,
    policy: Policy,
) -> list[Decided]:
    if not fresh:
        return []
    rules = await rule_service.in_force(
        tx, moments=[(saver.saver_id, spend.event_at) for saver, spend in fresh]
    )
    questions = [
        Question(
            id=new_id(),
            spend=spend,
            saver=saver,
            rule=rule,
            was_reversed=registers.was_reversed(spend),
            booked_as_deposit=spend.receipt in registers.deposits,
        )
        for (saver, spend), rule in zip(fresh, rules, strict=True)
    ]
    windows = _windows(questions)
    involved = {question.saver.saver_id: question.saver for question in questions}
    wallets = await balances.balances(tx, [saver.wallet_account_id for saver in involved.values()])
    fold = Fold(
        policy=policy,
        wallets={saver_id: wallets[saver.wallet_account_id] for saver_id, saver in involved.items()},
        goals=await goals.list_by_saver(tx, saver_ids=list(involved)),
        used=await queries.sum_used(tx, windows=windows) if windows else [],
    )
    return [fold.answer(question) for question in questions]


def _windows(questions: Sequence[Question]) -> list[tuple[UUID, datetime, datetime]]:
    """Return for each saver with caps the one stretch of time that all of their questions' caps look at."""
    spans: dict[UUID, tuple[datetime, datetime]] = {}
    for question in questions:
        span = window(question.rule, question.spend.event_at)
        if span is not None:
            since, until = spans.get(question.saver.saver_id, span)
            spans[question.saver.saver_id] = (min(since, span[0]), max(until, span[1]))
    return [(saver_id, since, until) for saver_id, (since, until) in spans.items()]


def _recorded(spends: Sequence[Spend], registers: Registers, decided: Sequence[Decided]) -> list[Recorded]:
    """Return what came of each delivery: decided now, known from before or from this very call, or unmatched."""
    by_receipt = {(item.question.saver.saver_id, item.question.spend.receipt): item for item in decided}
    recorded: list[Recorded] = []
    answered: set[UUID] = set()
    for spend in spends:
        known = registers.known(spend)
        owner = registers.owner(spend)
        item = None if owner is None else by_receipt.get((owner, spend.receipt))
        if known is not None:
            first = RoundUp.model_validate_json(known.answer)
            came = Recorded(RecordStatus.DUPLICATE, first, discrepancy=_discrepancy(spend, known))
        elif item is None:
            came = Recorded(RecordStatus.UNMATCHED)
        elif item.question.spend is spend and item.question.id not in answered:
            answered.add(item.question.id)
            came = Recorded(RecordStatus.PROCESSED, item.answer, item.decision)
        else:
            discrepancy = _discrepancy(spend, item.question.spend)
            came = Recorded(RecordStatus.DUPLICATE, item.answer, discrepancy=discrepancy)
        recorded.append(came)
    return recorded


async def _take_back(
    tx: Tx, spend: Spend, registers: Registers, decided: Sequence[Decided], policy: Policy
) -> Recorded:
    """Undo every spend of the reversed receipt, once. One that is not known yet will find itself reversed.

    A saver's own word undoes nothing but what that saver's own word recorded.
    """
    target = spend.reversed_receipt or spend.receipt
    if spend.source.is_own:
        return await _take_back_own(tx, spend, target=target, policy=policy)
    known = registers.spends_of(target)
    just_recorded = any(item.question.spend.receipt == target for item in decided)
    if spend.saver_id is None and not known and not just_recorded:
        return Recorded(RecordStatus.UNMATCHED)
    if not await receipts.claim(tx, ReceiptRole.REVERSAL, [Claim(target, spend.saver_id)]):
        return Recorded(RecordStatus.DUPLICATE)
    if just_recorded:
        known = await queries.find_spends_of_receipts(tx, receipts=[target])
    for row in known:
        await undoing.undo(tx, row, cause=Cause.REVERSED, policy=policy)
    return Recorded(RecordStatus.PROCESSED)


async def _take_back_own(tx: Tx, spend: Spend, *, target: str, policy: Policy) -> Recorded:
    """Undo what this saver's own messages recorded under a receipt, once. Signed spends and other savers' stay."""
    if spend.saver_id is None:
        return Recorded(RecordStatus.UNMATCHED)
    if not await own_reversal_queries.note_own_reversal(tx, saver_id=spend.saver_id, receipt=target):
        return Recorded(RecordStatus.DUPLICATE)
    for row in await queries.find_spends_of_receipts(tx, receipts=[target]):
        if row.saver_id == spend.saver_id and Source(row.source).is_own:
            await undoing.undo(tx, row, cause=Cause.REVERSED, policy=policy)
    return Recorded(RecordStatus.PROCESSED)


_CONTENT: Final = ("amount_cents", "kind", "event_at")


def _discrepancy(spend: Spend, known: SpendRow | Spend) -> Discrepancy | None:
    if spend.is_reversal or spend.content_digest == known.content_digest:
        return None
    differs = tuple(name for name in _CONTENT if getattr(spend, name) != getattr(known, name))
    return Discrepancy(
        receipt=spend.receipt,
        content_digest=spend.content_digest,
        first_amount_cents=known.amount_cents,
        later_amount_cents=spend.amount_cents,
        differs=differs or ("details",),
    )
