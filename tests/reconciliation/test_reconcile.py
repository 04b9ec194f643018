"""Reconciling with Safaricom's emulator: agreement, each difference by its name, and breaks that close themselves."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.reconciliation.conftest import Reconcile, open_breaks
from tests.support.app import B2C_SHORTCODE, SHORTCODE, Api
from tests.support.prompts import Prompter
from tests.support.savers import new_receipt
from tests.support.two_books import assert_books_agree
from zanari_api.daraja.errors import DarajaUnavailable, Hindrance, Operation
from zanari_api.kit.clock import eat_date
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import callback_jobs, fees, float_service, reversal_acts
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.callback_jobs import CallbackWork
from zanari_api.mpesa.float_service import Booked, Move, Place
from zanari_api.mpesa.reversal_acts import Asked
from zanari_api.reconciliation.service import Reconciling, reconcile
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import run_round
from zanari_api.sandbox.safaricom.tariff import REVERSAL_FEE_CENTS

UTILITY = Place(SHORTCODE, FloatAccount.UTILITY)
PAYING = Place(B2C_SHORTCODE, FloatAccount.UTILITY)
WORKING = Place(B2C_SHORTCODE, FloatAccount.WORKING)


async def move(
    api: Api,
    cents: int,
    *,
    source: Place | None = None,
    target: Place | None = None,
    receipt: str | None = None,
) -> Booked:
    booking = Move(
        source=source,
        target=target,
        amount_cents=cents,
        receipt=receipt or new_receipt(),
        event_at=api.clock.now(),
    )

    async def book(tx: Tx) -> Booked:
        return await float_service.book(tx, booking, operator="wanjiku")

    return await api.db.unit_of_work(book, role=Role.SYSTEM)


async def pay(api: Api, cents: int, *, lose: bool = False) -> str:
    """Have a customer pay our paybill in the emulator by a new saver's code."""
    saver = await api.new_saver()
    if lose:
        api.emulator.faults.next("c2b", "lose_callback")
    payment = await api.emulator.pay_bill(
        amount_cents=cents, account_reference=saver.member_code, msisdn="254712345678"
    )
    await api.emulator.quiet()
    return payment.receipt


async def test_books_that_agree_leave_no_break(fresh: Api, compare: Reconcile) -> None:
    await pay(fresh, 50_000)
    report = await compare()
    assert report.is_clean
    assert report.unanswered == []
    assert {str(each.place) for each in report.compared} == {
        f"{shortcode}:{account}"
        for shortcode in (SHORTCODE, B2C_SHORTCODE)
        for account in ("utility", "working", "charges_paid")
    }
    assert all(each.difference_cents == 0 for each in report.compared)
    await assert_books_agree(fresh)


async def test_money_from_the_bank_that_nobody_booked_is_a_break_with_its_command(
    fresh: Api, compare: Reconcile
) -> None:
    receipt = await fresh.emulator.deposit_float(B2C_SHORTCODE, 250_000)
    report = await compare()
    (found,) = report.breaks
    assert (found.kind, found.subject) == ("float_differs", f"float:{PAYING}")
    assert (found.shortcode, found.account, found.amount_cents) == (B2C_SHORTCODE, "utility", 250_000)
    assert "from the bank" in found.suspected_cause
    assert found.command == f"zanari float fund {PAYING} --amount 2500 --receipt RECEIPT"
    assert await move(fresh, 250_000, target=PAYING, receipt=receipt) is Booked.BOOKED
    after = await compare()
    assert after.is_clean
    (closed,) = after.closed
    assert closed.id == found.id
    assert closed.closed_because is not None
    assert closed.closed_because.startswith("both books say KES 1,002,500")


async def test_a_break_that_is_seen_again_keeps_its_age_and_takes_the_newest_amount(
    fresh: Api, compare: Reconcile
) -> None:
    await fresh.emulator.deposit_float(B2C_SHORTCODE, 1_000)
    (first,) = (await compare()).breaks
    await fresh.emulator.deposit_float(B2C_SHORTCODE, 2_000)
    (again,) = (await compare()).breaks
    assert (again.id, again.opened_at) == (first.id, first.opened_at)
    assert again.last_seen_at > first.last_seen_at
    assert again.amount_cents == 3_000


async def test_a_move_between_our_own_accounts_that_nobody_booked_is_told_as_one(
    fresh: Api, compare: Reconcile
) -> None:
    receipt = await fresh.emulator.move_float(
        B2C_SHORTCODE, source="utility", target="working", amount_cents=70_000
    )
    report = await compare()
    # Both were found at once: neither comes first.
    assert sorted(found.amount_cents for found in report.breaks) == [-70_000, 70_000]
    command = f"zanari float move --from {PAYING} --to {WORKING} --amount 700 --receipt RECEIPT"
    assert {found.command for found in report.breaks} == {command}
    await move(fresh, 70_000, source=PAYING, target=WORKING, receipt=receipt)
    assert (await compare()).is_clean
    await assert_books_agree(fresh)


async def test_money_that_left_unexplained_is_a_break_too(fresh: Api, compare: Reconcile) -> None:
    receipt = await pay(fresh, 50_000)
    await fresh.emulator.reverse(receipt)
    found, charged = sorted((await compare()).breaks, key=lambda each: each.amount_cents)
    assert (charged.account, charged.amount_cents) == ("charges_paid", -REVERSAL_FEE_CENTS)
    assert "zanari statement import" in charged.command
    assert found.amount_cents == -50_000
    assert "a reversal that we were never told of" in found.suspected_cause
    assert found.command == f"zanari float defund {UTILITY} --amount 500 --receipt RECEIPT"


async def test_a_lost_confirmation_is_a_break_until_it_is_recovered(
    fresh: Api, parts: Reconciling, compare: Reconcile
) -> None:
    await pay(fresh, 12_345, lose=True)
    (found,) = (await compare()).breaks
    assert found.amount_cents == 12_345
    (delivery,) = [one for one in fresh.emulator.deliveries if one.kind == "c2b_confirmation"]
    assert (await fresh.client.post(delivery.url, content=delivery.body)).status_code == 200
    assert (await compare()).is_clean
    await assert_books_agree(fresh)


async def test_an_answer_that_never_comes_is_a_break_of_its_own(fresh: Api, compare: Reconcile) -> None:
    fresh.emulator.faults.next("balance", "lose_callback")
    report = await compare()
    assert report.unanswered == [SHORTCODE]
    (found,) = report.breaks
    assert (found.kind, found.subject) == ("balance_unknown", f"balance:{SHORTCODE}")
    assert found.suspected_cause == "the answer never came"
    assert {each.place.shortcode for each in report.compared} == {B2C_SHORTCODE}
    assert (await compare()).is_clean


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("http_error", "Safaricom refused: DarajaUnresolved"),
        ("cut_before", "Safaricom refused: DarajaUnresolved"),
        ("fail_with", "Safaricom refused: initiator_invalid"),
    ],
)
async def test_an_answer_that_cannot_come_says_why(
    fresh: Api, compare: Reconcile, fault: str, cause: str
) -> None:
    code = {"http_error": "500.002.1001", "fail_with": "18"}.get(fault)
    fresh.emulator.faults.next("balance", fault, code=code)
    (found,) = (await compare()).breaks
    assert (found.kind, found.suspected_cause) == ("balance_unknown", cause)


@pytest.mark.parametrize(
    "fault", ["duplicate_callback", "garbage_callback", "forged_unknown", "other_code_type"]
)
async def test_an_answer_that_comes_oddly_is_an_answer(fresh: Api, compare: Reconcile, fault: str) -> None:
    fresh.emulator.faults.always("balance", fault)
    report = await compare()
    assert report.unanswered == []
    assert report.is_clean


async def test_an_answer_that_overtakes_the_reply_is_found_by_the_worker(
    fresh: Api, parts: Reconciling
) -> None:
    fresh.emulator.faults.next("balance", "result_first")
    running = asyncio.create_task(reconcile(replace(parts, answer_within=timedelta(seconds=20))))
    (job,) = callback_jobs.jobs(
        CallbackWork(database=fresh.db, intake=fresh.app.state.parts.intake, metrics=fresh.runtime.metrics)
    )
    while not running.done():
        await run_round(job, database=fresh.db, clock=fresh.clock)
        await asyncio.sleep(0.1)
    assert (await running).is_clean


async def test_what_happened_after_the_report_does_not_count_against_it(
    fresh: Api, compare: Reconcile, parts: Reconciling
) -> None:
    """The balance is of one moment; a payment that comes while the answer is on its way is no difference."""
    fresh.emulator.faults.next("balance", "delay_callback", seconds=1.3)

    async def recover() -> None:
        return None

    slow = replace(parts, answer_within=timedelta(seconds=10), recover=recover)
    running = asyncio.create_task(reconcile(slow))
    await asyncio.sleep(1.2)
    await pay(fresh, 99_900)
    assert (await running).is_clean


async def test_a_payment_booked_late_counts_for_when_it_happened(fresh: Api, compare: Reconcile) -> None:
    await pay(fresh, 5_000, lose=True)
    (found,) = (await compare()).breaks
    today = eat_date(fresh.clock.now())
    (dated,) = [each for each in (await compare(on=today)).breaks if each.subject.endswith(str(today))]
    assert dated.amount_cents == found.amount_cents == 5_000
    (delivery,) = [one for one in fresh.emulator.deliveries if one.kind == "c2b_confirmation"]
    await fresh.client.post(delivery.url, content=delivery.body)
    # The day's last answer stands, and what is booked by now makes it right.
    report = await compare(on=today)
    assert [each.subject for each in report.closed] == [f"float:{UTILITY}:{today}"]
    assert [each.subject for each in report.breaks] == [f"float:{UTILITY}"]


async def test_a_day_without_an_answer_is_named(fresh: Api, compare: Reconcile) -> None:
    yesterday = eat_date(fresh.clock.now()) - timedelta(days=1)
    report = await compare(on=yesterday)
    assert {found.subject for found in report.breaks} == {
        f"balance:{shortcode}:{yesterday}" for shortcode in (SHORTCODE, B2C_SHORTCODE)
    }
    assert report.compared == []
    assert all("zanari statement import" in found.command for found in report.breaks)


async def test_fees_that_the_company_has_not_covered_are_a_break(fresh: Api, compare: Reconcile) -> None:
    payout_id = uuid4()

    async def charge(tx: Tx) -> None:
        await fees.post_fee(
            tx,
            fees.of_payout(payout_id),
            shortcode=B2C_SHORTCODE,
            cents=100_000_100,
            event_at=fresh.clock.now(),
        )

    await fresh.db.unit_of_work(charge, role=Role.SYSTEM)
    found = {each.kind: each for each in (await compare()).breaks}
    assert found["fees_not_covered"].amount_cents == -100
    # The charge is in our books alone, which is a break too.
    assert found["float_differs"].amount_cents == 100_000_100
    assert found["float_differs"].account == "charges_paid"
    await move(fresh, 100, target=UTILITY)
    kinds = {each.kind for each in (await compare()).breaks}
    assert "fees_not_covered" not in kinds


async def test_every_break_in_the_list_has_age_amount_cause_and_command(
    fresh: Api, compare: Reconcile
) -> None:
    await fresh.emulator.deposit_float(B2C_SHORTCODE, 1_000)
    fresh.emulator.faults.next("balance", "lose_callback")
    await compare()
    for found in await open_breaks(fresh):
        assert found.kind in set(BreakKind)
        assert found.opened_at <= fresh.clock.now()
        assert found.suspected_cause
        assert found.command.startswith("zanari ")


async def test_lost_payments_are_recovered_before_the_books_are_compared(
    fresh: Api, parts: Reconciling
) -> None:
    await pay(fresh, 12_345, lose=True)
    (delivery,) = [one for one in fresh.emulator.deliveries if one.kind == "c2b_confirmation"]

    async def recover() -> None:
        await fresh.client.post(delivery.url, content=delivery.body)

    said: list[str] = []
    report = await reconcile(replace(parts, recover=recover), progress=said.append)
    assert report.is_clean
    assert said[0] == "recovering payments whose confirmation never came"


async def test_where_nothing_can_be_recovered_the_books_are_compared_all_the_same(
    fresh: Api, parts: Reconciling
) -> None:
    async def recover() -> None:
        raise DarajaUnavailable(Operation.PULL_QUERY, Hindrance.NOT_REACHED)

    said: list[str] = []
    report = await reconcile(replace(parts, recover=recover), progress=said.append)
    assert report.is_clean
    assert "Safaricom did not list the payments; going on without" in said


async def test_a_prompt_whose_outcome_nobody_knows_is_suspected(fresh: Api, compare: Reconcile) -> None:
    saver = await fresh.new_saver()
    fresh.emulator.faults.always("stk", "lose_callback")
    fresh.emulator.faults.always("c2b", "lose_callback")
    asked = await Prompter(fresh).ask(saver, 70_000)
    await fresh.work()
    (found,) = (await compare()).breaks
    assert found.amount_cents == 70_000
    assert found.suspected_cause == f"prompt {asked['id']}, whose outcome is unknown, of just this amount"


async def test_a_reversal_whose_outcome_nobody_knows_is_suspected(fresh: Api, compare: Reconcile) -> None:
    receipt = await pay(fresh, 40_000)

    async def request(tx: Tx) -> Asked:
        return await reversal_acts.request(
            tx, receipt=receipt, evidence="in error", operator="wanjiku", now=fresh.clock.now()
        )

    assert await fresh.db.unit_of_work(request, role=Role.SYSTEM) is Asked.REQUESTED
    fresh.emulator.faults.next("reversal", "timeout_echo")
    await fresh.work()
    fresh.clock.advance(seconds=5)
    await fresh.work()
    report = await compare()
    found = {each.kind: each for each in report.breaks if each.account != "charges_paid"}
    assert set(found) == {"reversal_unresolved", "float_differs"}
    assert len(report.breaks) == 3
    assert found["float_differs"].suspected_cause.startswith("a reversal, whose outcome is unknown")
    assert found["float_differs"].command == found["reversal_unresolved"].command
