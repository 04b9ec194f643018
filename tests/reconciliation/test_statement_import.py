"""Importing the emulator's statements of closed days: what matches, what differs by name, and what is recovered."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.mpesa.reversing import take
from tests.reconciliation.conftest import Reconcile, open_breaks
from tests.support.app import B2C_SHORTCODE, SHORTCODE, Api
from tests.support.payouts import withdraw
from tests.support.pins import with_pin
from tests.support.savers import Saver, answered, new_receipt
from tests.support.two_books import assert_books_agree
from zanari_api.kit.clock import eat_date
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service
from zanari_api.mpesa.float_service import Move, Place
from zanari_api.reconciliation.statement_file import read_statement
from zanari_api.reconciliation.statement_service import (
    DayNotOver,
    Imported,
    Importing,
    OtherDay,
    import_statement,
)
from zanari_api.runtime.db import Role, Tx
from zanari_api.sandbox.safaricom.tariff import REVERSAL_FEE_CENTS

UTILITY = Place(SHORTCODE, FloatAccount.UTILITY)
PAYING = Place(B2C_SHORTCODE, FloatAccount.UTILITY)
CHARGES = Place(B2C_SHORTCODE, FloatAccount.CHARGES_PAID)

Import = Callable[..., Awaitable[Imported]]


@pytest.fixture
def imported(fresh: Api) -> Import:
    """Import the emulator's statement of today, as of tomorrow."""

    async def run(place: Place = UTILITY, *, apply: bool = False, data: bytes | None = None) -> Imported:
        today = eat_date(fresh.clock.now() - timedelta(days=getattr(run, "days", 0)))
        text = fresh.emulator.statement_csv(place.shortcode, today, place.account)
        if not getattr(run, "days", 0):
            fresh.clock.advance(days=1)
            run.days = 1  # type: ignore[attr-defined]
        intake = await fresh.app.state.parts.intake()
        parts = Importing(database=fresh.db, clock=fresh.clock, intake=lambda: intake)
        body = data or text.encode()
        return await import_statement(
            parts, read_statement(body), data=body, place=place, on=today, operator="wanjiku", apply=apply
        )

    return run


async def pay(
    api: Api, cents: int, *, saver: Saver | None = None, lose: bool = False, reference: str | None = None
) -> str:
    saver = saver or await api.new_saver()
    if lose:
        api.emulator.faults.next("c2b", "lose_callback")
    payment = await api.emulator.pay_bill(
        amount_cents=cents, account_reference=reference or saver.member_code, msisdn="254712345678"
    )
    await api.emulator.quiet()
    return payment.receipt


async def paid_out(api: Api, cents: int) -> Saver:
    saver = await with_pin(await api.new_saver())
    await pay(api, cents + 10_000, saver=saver)
    answered(await withdraw(saver, cents), 202)
    await api.work()
    api.clock.advance(seconds=5)
    await api.work()
    return saver


def kinds(came: Imported) -> dict[str, int]:
    return {finding.kind.value: finding.cents for finding in came.findings}


async def test_a_day_that_matches_has_no_findings(fresh: Api, imported: Import) -> None:
    await pay(fresh, 50_000)
    await pay(fresh, 30_000, reference="nobody")
    saver = await fresh.new_saver()
    goal = await saver.goal()
    await pay(fresh, 12_000, saver=saver, reference=saver.member_code + goal["letter"])
    came = await imported()
    assert (came.lines, came.unread, list(came.findings), came.known) == (3, 0, [], False)
    assert await open_breaks(fresh) == []


async def test_payouts_their_charges_and_moves_match_too(fresh: Api, imported: Import) -> None:
    await paid_out(fresh, 200_000)
    receipt = await fresh.emulator.move_float(
        B2C_SHORTCODE, source="utility", target="working", amount_cents=70_000
    )
    move = Move(
        source=PAYING,
        target=Place(B2C_SHORTCODE, FloatAccount.WORKING),
        amount_cents=70_000,
        receipt=receipt,
        event_at=fresh.clock.now(),
    )

    async def book(tx: Tx) -> None:
        await float_service.book(tx, move, operator="wanjiku")

    await fresh.db.unit_of_work(book, role=Role.SYSTEM)
    assert list((await imported(PAYING)).findings) == []
    assert list((await imported(CHARGES)).findings) == []
    assert list((await imported(Place(B2C_SHORTCODE, FloatAccount.WORKING))).findings) == []


async def test_a_payment_we_were_never_told_of_is_named_and_recovered_by_apply(
    fresh: Api, imported: Import
) -> None:
    saver = await fresh.new_saver()
    receipt = await pay(fresh, 45_600, saver=saver, lose=True)
    came = await imported()
    assert kinds(came) == {"missing_deposit": 45_600}
    (found,) = await open_breaks(fresh)
    assert found.subject.endswith(receipt)
    assert found.command.startswith(
        "zanari statement import FILE --shortcode 600000 --account utility --date "
    )
    assert found.command.endswith(" --apply")
    assert await saver.holds() == (0, 0, 0)
    after = await imported(apply=True)
    assert list(after.applied) == [receipt]
    assert list(after.findings) == []
    assert after.known
    assert await saver.holds() == (45_600, 0, 0)
    assert await open_breaks(fresh) == []
    await assert_books_agree(fresh)
    assert list((await imported(apply=True)).applied) == []
    assert await saver.holds() == (45_600, 0, 0)


async def test_one_for_nobody_is_recovered_into_suspense(fresh: Api, imported: Import) -> None:
    receipt = await pay(fresh, 5_000, lose=True, reference="rent")
    came = await imported(apply=True)
    assert list(came.applied) == [receipt]
    rows = await fresh.rows("SELECT amount_cents FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    assert [row["amount_cents"] for row in rows] == [5_000]


async def test_what_is_recovered_is_audited(fresh: Api, imported: Import) -> None:
    receipt = await pay(fresh, 5_000, lose=True)
    await imported(apply=True)
    acts = await fresh.rows(
        "SELECT act, operator FROM runtime.audit_log WHERE subject = $1", f"receipt:{receipt}"
    )
    assert [tuple(row) for row in acts] == [("statement_line_applied", "wanjiku")]
    (act,) = await fresh.rows(
        "SELECT reason, after::text FROM runtime.audit_log WHERE act = 'statement_imported'"
    )
    assert act["reason"] == "applied"
    assert receipt in act["after"]


async def test_a_reversal_by_safaricoms_own_hand_takes_the_deposit_back_by_apply(
    fresh: Api, imported: Import
) -> None:
    saver = await fresh.new_saver()
    receipt = await pay(fresh, 20_000, saver=saver)
    made = await fresh.emulator.reverse(receipt)
    came = await imported()
    assert kinds(came) == {"unknown_withdrawal": -20_000}
    (found,) = await open_breaks(fresh)
    assert f"M-PESA took back the payment {receipt}" in found.suspected_cause
    assert f"zanari deposits reverse {receipt} --evidence TEXT" in found.command
    after = await imported(apply=True)
    assert list(after.applied) == [made.receipt]
    assert list(after.findings) == []
    assert await saver.holds() == (0, 0, 0)
    # What Safaricom charged for it is told by the statement of another account.
    await imported(Place(SHORTCODE, FloatAccount.CHARGES_PAID), apply=True)
    await assert_books_agree(fresh)
    (row,) = await saver.feed()
    assert row["status"] == "reversed"


async def test_a_reversal_of_what_is_in_suspense_is_for_a_person(fresh: Api, imported: Import) -> None:
    receipt = await pay(fresh, 20_000, reference="rent")
    await fresh.emulator.reverse(receipt)
    came = await imported(apply=True)
    assert kinds(came) == {"unknown_withdrawal": -20_000}
    assert list(came.applied) == []


async def test_a_deposit_taken_back_by_hand_matches_its_line_without_knowing_its_receipt(
    fresh: Api, imported: Import
) -> None:
    saver = await fresh.new_saver()
    receipt = await pay(fresh, 20_000, saver=saver)
    await fresh.emulator.reverse(receipt)
    await take(fresh, receipt)
    assert list((await imported()).findings) == []


async def test_money_of_our_own_that_moved_is_named_with_the_float_verb(fresh: Api, imported: Import) -> None:
    receipt = await fresh.emulator.deposit_float(SHORTCODE, 90_000)
    out = await fresh.emulator.move_float(SHORTCODE, source="utility", target="working", amount_cents=40_000)
    came = await imported()
    found = {finding.line.receipt: finding for finding in came.findings if finding.line is not None}
    assert found[receipt].kind.value == "missing_deposit"
    assert f"zanari float fund {UTILITY} --amount 900 --receipt {receipt}" in found[receipt].command
    assert found[out].kind.value == "unknown_withdrawal"
    assert f"zanari float defund {UTILITY} --amount 400 --receipt {out}" in found[out].command
    assert list((await imported(apply=True)).applied) == []


async def test_another_amount_than_we_booked_is_named(fresh: Api, imported: Import) -> None:
    receipt = await pay(fresh, 50_000)
    await fresh.alter("UPDATE savings.deposits SET amount_cents = 49_900 WHERE receipt = $1", receipt)
    came = await imported()
    assert kinds(came)["amount_differs"] == 100
    (found,) = [each for each in came.findings if each.kind.value == "amount_differs"]
    assert found.cause == f"the statement says 500 for {receipt}, our books 499"


async def test_something_of_ours_without_a_line_is_named(fresh: Api, imported: Import) -> None:
    saver = await fresh.new_saver()
    receipt = await saver.deposit(7_700)
    came = await imported()
    assert kinds(came) == {"not_in_statement": -7_700}
    (deposit,) = await fresh.rows("SELECT id FROM savings.deposits WHERE receipt = $1", receipt)
    assert came.findings[0].subject.endswith(f"deposit:{deposit['id']}")


async def test_a_balance_that_is_off_from_before_is_named_as_such(fresh: Api, imported: Import) -> None:
    fresh.clock.advance(days=1)
    early = await fresh.new_saver()
    await pay(fresh, 50_000, saver=early)
    text = fresh.emulator.statement_csv(SHORTCODE, eat_date(fresh.clock.now()), FloatAccount.UTILITY)
    came = await imported(data=text.replace(",500.00,,500.00,", ",500.00,,800.00,").encode())
    assert kinds(came) == {"statement_balance_differs": 30_000}
    assert "before that day" in came.findings[0].cause


async def test_a_charge_we_have_not_posted_is_named_and_posted_by_apply(fresh: Api, imported: Import) -> None:
    await paid_out(fresh, 200_000)
    receipt, today = new_receipt(), eat_date(fresh.clock.now())
    # A payout that was settled without anybody posting its charge.
    await fresh.alter(
        """
        INSERT INTO savings.payouts (
            saver_id, id, amount_cents, account_id, msisdn, originator_conversation_id, shortcode, state, receipt,
            requested_at, submitting_at, settled_at
        )
        SELECT saver_id, gen_random_uuid(), 200000, account_id, msisdn, 'another', shortcode, state, $1,
               requested_at, submitting_at, settled_at
          FROM savings.payouts
        """,
        receipt,
    )
    text = fresh.emulator.statement_csv(B2C_SHORTCODE, today, FloatAccount.CHARGES_PAID)
    header, first = text.splitlines()
    second = first.replace(first.split(",")[0], receipt).replace("-9.00", "-18.00")
    data = f"{header}\n{second}\n{first}".encode()
    assert kinds(await imported(CHARGES, data=data)) == {"fee_unposted": -900}
    after = await imported(CHARGES, data=data, apply=True)
    assert list(after.applied) == [receipt]
    assert list(after.findings) == []


async def test_a_charge_that_was_dearer_than_the_tariff_posts_the_difference(
    fresh: Api, imported: Import
) -> None:
    await paid_out(fresh, 200_000)
    today = eat_date(fresh.clock.now())
    text = fresh.emulator.statement_csv(B2C_SHORTCODE, today, FloatAccount.CHARGES_PAID)
    dearer = text.replace(",9.00,-9.00,", ",22.40,-22.40,")
    assert dearer != text
    came = await imported(CHARGES, data=dearer.encode())
    assert kinds(came) == {"amount_differs": -1_340}
    after = await imported(CHARGES, data=dearer.encode(), apply=True)
    assert list(after.findings) == []
    assert (await fresh.rows("SELECT cents, source FROM mpesa.fees"))[0]["cents"] == 2_240


async def test_a_reversals_charge_is_named_and_posted_by_apply(fresh: Api, imported: Import) -> None:
    receipt = await pay(fresh, 50_000)
    # Safaricom's own hand: nobody tells us what it charged for it.
    await fresh.emulator.reverse(receipt)
    charges = Place(SHORTCODE, FloatAccount.CHARGES_PAID)
    before = await imported(charges)
    assert kinds(before) == {"fee_unposted": -REVERSAL_FEE_CENTS}
    assert before.findings[0].cause.startswith(f"the charge for taking back the payment {receipt}")
    assert f"zanari deposits reverse {receipt}" in before.findings[0].command
    assert list((await imported(UTILITY, apply=True)).findings) == []
    named = await imported(charges)
    assert kinds(named) == {"fee_unposted": -REVERSAL_FEE_CENTS}
    assert named.findings[0].cause.startswith("the charge for taking back the deposit ")
    assert named.findings[0].command.endswith("--apply")
    after = await imported(charges, apply=True)
    assert list(after.findings) == []
    assert len(after.applied) == 1
    await assert_books_agree(fresh)
    assert await open_breaks(fresh) == []


async def test_a_reversals_charge_is_found_by_the_payment_where_its_own_receipt_was_not_known(
    fresh: Api, imported: Import
) -> None:
    receipt = await pay(fresh, 50_000)
    await fresh.emulator.reverse(receipt)
    await take(fresh, receipt)
    came = await imported(Place(SHORTCODE, FloatAccount.CHARGES_PAID), apply=True)
    assert list(came.findings) == []
    assert len(came.applied) == 1
    await assert_books_agree(fresh)


async def test_a_charge_for_no_payout_of_ours_is_for_a_person(fresh: Api, imported: Import) -> None:
    today = eat_date(fresh.clock.now())
    header = fresh.emulator.statement_csv(B2C_SHORTCODE, today, FloatAccount.CHARGES_PAID).splitlines()[0]
    row = f"{new_receipt()},{today} 10:00:00,{today} 10:00:00,A charge,Completed,,9.00,-9.00,Charge,,,"
    came = await imported(CHARGES, data=f"{header}\n{row}\n".encode(), apply=True)
    assert kinds(came) == {"fee_unposted": -900}
    assert came.findings[0].cause == "a charge for something that is no payout of ours"
    assert list(came.applied) == []


async def test_a_payout_whose_result_was_lost_is_told_by_its_line(
    fresh: Api, imported: Import, compare: Reconcile
) -> None:
    saver = await with_pin(await fresh.new_saver())
    await pay(fresh, 100_000, saver=saver)
    fresh.emulator.faults.always("b2c", "lose_callback")
    answered(await withdraw(saver, 60_000), 202)
    fresh.emulator.faults.always("status", "lose_callback")
    await fresh.work()
    (payout,) = await fresh.rows("SELECT id, state FROM savings.payouts WHERE saver_id = $1", saver.id)
    assert payout["state"] in {"submitted", "unknown"}
    differing = [each for each in (await compare()).breaks if each.kind == "float_differs"]
    assert {each.account: each.amount_cents for each in differing} == {
        "utility": -60_000,
        "charges_paid": -500,
    }
    for each in differing:
        assert f"payout {payout['id']}, whose outcome is unknown, of just this amount" in each.suspected_cause
        assert each.command == f"zanari payouts show {payout['id']}"
    came = await imported(PAYING)
    (found,) = [each for each in came.findings if each.kind.value == "unknown_withdrawal"]
    assert found.line is not None
    assert found.command == (
        f"zanari payouts resolve {payout['id']} --outcome settled --receipt {found.line.receipt}"
        " --statement --evidence TEXT"
    )


async def test_a_better_file_closes_what_an_earlier_one_opened(fresh: Api, imported: Import) -> None:
    await pay(fresh, 50_000)
    await pay(fresh, 60_000)
    today = eat_date(fresh.clock.now())
    whole = fresh.emulator.statement_csv(SHORTCODE, today, FloatAccount.UTILITY).splitlines()
    half = "\n".join([whole[0], whole[2]]).encode()
    assert set(kinds(await imported(data=half))) == {"not_in_statement"}
    assert len(await open_breaks(fresh)) == 1
    assert list((await imported()).findings) == []
    assert await open_breaks(fresh) == []


async def test_a_day_that_is_not_over_and_lines_of_another_day_are_refused(fresh: Api) -> None:
    today = eat_date(fresh.clock.now())
    intake = await fresh.app.state.parts.intake()
    parts = Importing(database=fresh.db, clock=fresh.clock, intake=lambda: intake)
    await pay(fresh, 50_000)
    body = fresh.emulator.statement_csv(SHORTCODE, today, FloatAccount.UTILITY).encode()
    statement = read_statement(body)
    with pytest.raises(DayNotOver):
        await import_statement(parts, statement, data=body, place=UTILITY, on=today, operator="wanjiku")
    fresh.clock.advance(days=2)
    with pytest.raises(OtherDay):
        await import_statement(
            parts, statement, data=body, place=UTILITY, on=today + timedelta(days=1), operator="wanjiku"
        )
