"""`zanari payouts`: what an operator sees, and what an operator may decide, when and with whom."""

from uuid import UUID, uuid4

from tests.cli.conftest import CommandBeside
from tests.support.app import Api
from tests.support.payouts import (
    Withdrawing,
    in_flight_cents,
    open_breaks,
    payer,
    results_after_replies,
    until_it_ends,
    withdraw,
    withdrawing,
)
from tests.support.savers import answered, code_of, new_receipt
from zanari_api.sandbox.safaricom.faults import Fault, Flow

EVIDENCE = ("--evidence", "ticket 4711")


async def doubted(api: Api, cents: int = 50_000) -> Withdrawing:
    """Return a payout that M-PESA has never heard of, just after it was sent."""
    saver = await payer(api, cents=cents + 30_000)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    payout = await withdrawing(saver, cents)
    await api.work()
    assert await payout.state() == "unknown"
    return payout


async def missing(api: Api, cents: int = 50_000) -> Withdrawing:
    """Return one that M-PESA did not know twice, 30 minutes apart."""
    payout = await doubted(api, cents)
    assert await until_it_ends(payout) == "unknown"
    assert (await payout.row())["not_found_twice"]
    return payout


async def acts(api: Api, payout: Withdrawing) -> list[tuple[str, str]]:
    """Return (who, what) of the audit log about a payout."""
    rows = await api.rows(
        "SELECT operator, act FROM runtime.audit_log WHERE subject = $1 ORDER BY recorded_at",
        f"payout:{payout.id}",
    )
    return [(row["operator"], row["act"]) for row in rows]


# Looking -----------------------------------------------------------------------------------------------------


async def test_open_payouts_are_listed_with_why_and_all_of_them_on_request(
    api: Api, operator: CommandBeside
) -> None:
    payout = await doubted(api)
    done = await withdrawing(await payer(api))
    assert await until_it_ends(done) == "settled"
    listed = await operator("payouts", "list")
    assert listed.code == 0
    assert str(payout.id) in listed.out
    assert str(done.id) not in listed.out
    assert str(done.id) in (await operator("payouts", "list", "--state", "all")).out
    assert str(done.id) in (await operator("payouts", "list", "--state", "settled")).out
    assert "No payout is queued" in (await operator("payouts", "list", "--state", "queued")).out
    assert payout.saver.phone not in listed.out


async def test_one_payout_is_shown_with_its_steps_its_questions_and_what_to_do(
    api: Api, operator: CommandBeside
) -> None:
    payout = await missing(api)
    shown = await operator("payouts", "show", str(payout.id))
    assert shown.code == 0
    for expected in ("no_answer", "not_found", "resolvable since", "can be resolved", "--resend"):
        assert expected in shown.out
    assert payout.saver.phone not in shown.out
    early = await doubted(api)
    assert "M-PESA is being asked" in (await operator("payouts", "show", str(early.id))).out
    done = await withdrawing(await payer(api))
    assert await until_it_ends(done) == "settled"
    assert "Nothing is to be done" in (await operator("payouts", "show", str(done.id))).out
    assert "no payout" in (await operator("payouts", "show", str(uuid4()))).failure


# Resolving -----------------------------------------------------------------------------------------------------


async def test_what_is_missing_twice_is_given_back_by_an_operator(api: Api, operator: CommandBeside) -> None:
    payout = await missing(api)
    before = await in_flight_cents(api)
    done = await operator("payouts", "resolve", str(payout.id), "--outcome", "failed", *EVIDENCE)
    assert done.out == "KES 500 went back to the saver's wallet.\n"
    failed = await payout.read()
    assert (failed["state"], failed["reason"]) == ("failed", "operator")
    assert (await payout.saver.wallet())["balance_cents"] == 80_000
    assert await in_flight_cents(api) == before - 50_000
    assert await acts(api, payout) == [("wanjiku", "payout_resolved")]
    assert await open_breaks(payout) == set()
    (event,) = [each for each in await payout.events() if each["cause"] == "operator_failed"]
    assert (event["operator"], event["detail"]) == ("wanjiku", "ticket 4711")


async def test_what_was_paid_is_settled_by_its_receipt(api: Api, operator: CommandBeside) -> None:
    payout, receipt = await missing(api), new_receipt()
    done = await operator(
        "payouts", "resolve", str(payout.id), "--outcome", "settled", "--receipt", receipt, *EVIDENCE
    )
    assert done.out == f"KES 500 is booked as paid by {receipt}.\n"
    assert (await payout.read())["receipt"] == receipt
    again = await missing(api)
    taken = await operator(
        "payouts", "resolve", str(again.id), "--outcome", "settled", "--receipt", receipt, *EVIDENCE
    )
    assert "receipt is that of another payout" in taken.failure
    assert await again.state() == "unknown"
    assert await acts(api, again) == [("wanjiku", "payout_resolution_refused")]


async def test_before_its_time_only_a_line_of_the_statement_decides(
    api: Api, operator: CommandBeside
) -> None:
    payout = await doubted(api)
    refused = await operator("payouts", "resolve", str(payout.id), "--outcome", "failed", *EVIDENCE)
    assert "too early" in refused.failure
    assert (await payout.saver.wallet())["balance_cents"] == 30_000
    assert await acts(api, payout) == [("wanjiku", "payout_resolution_refused")]
    assert "--outcome settled --receipt ... --statement" in refused.failure
    shown = (await operator("payouts", "show", str(payout.id))).out
    assert "--statement --outcome settled" in " ".join(shown.split())
    receipt = new_receipt()
    settled = ("--outcome", "settled", "--receipt", receipt)
    assert "too early" in (await operator("payouts", "resolve", str(payout.id), *settled, *EVIDENCE)).failure
    done = await operator("payouts", "resolve", str(payout.id), *settled, "--statement", *EVIDENCE)
    assert done.code == 0
    assert await payout.state() == "settled"


async def test_no_line_of_the_statement_shows_that_it_was_not_paid(api: Api, operator: CommandBeside) -> None:
    payout = await doubted(api)
    failed = ("payouts", "resolve", str(payout.id), "--outcome", "failed", "--statement", *EVIDENCE)
    refused = await operator(*failed)
    assert refused.code == 1
    assert "no line of a statement shows that it was not paid" in refused.failure
    assert "nothing moved" in refused.failure
    assert await payout.state() == "unknown"
    assert (await payout.saver.wallet())["balance_cents"] == 30_000
    assert await acts(api, payout) == [("wanjiku", "payout_resolution_refused")]
    assert await until_it_ends(payout) == "unknown"
    assert (await payout.row())["not_found_twice"]
    assert (await operator(*failed)).out == "KES 500 went back to the saver's wallet.\n"


async def test_what_is_not_in_doubt_is_not_resolved(api: Api, operator: CommandBeside) -> None:
    payout = await withdrawing(await payer(api))
    for state in ("requested", "settled"):
        refused = await operator(
            "payouts", "resolve", str(payout.id), "--outcome", "failed", "--statement", *EVIDENCE
        )
        assert f"it is {state}" in refused.failure
        await until_it_ends(payout)
    unknown = await operator("payouts", "resolve", str(uuid4()), "--outcome", "failed", *EVIDENCE)
    assert "no payout" in unknown.failure


async def test_more_than_ten_thousand_takes_two_operators(api: Api, operator: CommandBeside) -> None:
    payout = await missing(api, 1_000_100)
    resolve = ("payouts", "resolve", str(payout.id), *EVIDENCE)
    first = await operator(*resolve, "--outcome", "failed")
    assert first.code == 0
    assert "Proposed, nothing moved" in first.out
    assert await payout.state() == "unknown"
    assert "proposed" in (await operator("payouts", "show", str(payout.id))).out
    same = await operator(*resolve, "--outcome", "failed", "--operator", " Wanjiku ")
    assert "another operator has to confirm" in same.failure
    other_wish = await operator(
        *resolve, "--outcome", "settled", "--receipt", new_receipt(), "--operator", "otieno"
    )
    assert "Proposed" in other_wish.out
    assert await payout.state() == "unknown"
    second = await operator(*resolve, "--outcome", "failed", "--operator", "achieng")
    assert "Proposed" in second.out
    third = await operator(*resolve, "--outcome", "failed")
    assert third.out == "KES 10,001 went back to the saver's wallet.\n"
    assert await acts(api, payout) == [
        ("wanjiku", "payout_resolution_proposed"),
        ("Wanjiku", "payout_resolution_refused"),
        ("otieno", "payout_resolution_proposed"),
        ("achieng", "payout_resolution_proposed"),
        ("wanjiku", "payout_resolved"),
    ]
    row = await payout.row()
    assert row["proposed_by"] is None


async def test_ten_thousand_takes_one(api: Api, operator: CommandBeside) -> None:
    payout = await missing(api, 1_000_000)
    done = await operator("payouts", "resolve", str(payout.id), "--outcome", "failed", *EVIDENCE)
    assert "went back" in done.out


async def test_what_never_arrived_is_sent_once_more_under_the_same_id(
    api: Api, operator: CommandBeside
) -> None:
    payout = await missing(api)
    ours = (await payout.row())["originator_conversation_id"]
    done = await operator("payouts", "resolve", str(payout.id), "--resend", *EVIDENCE)
    assert "has not been sent yet" in done.out
    assert "sent once more" in (await operator("payouts", "show", str(payout.id))).out
    with results_after_replies(api):
        assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1
    assert (await payout.row())["originator_conversation_id"] == ours
    assert await payout.steps() == [
        "requested",
        "submitting",
        "unknown",
        "submitting",
        "submitted",
        "settled",
    ]


async def test_what_had_arrived_after_all_is_not_paid_twice(api: Api, operator: CommandBeside) -> None:
    saver = await payer(api, cents=80_000)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_AFTER)
    api.emulator.faults.next(Flow.B2C, Fault.LOSE_CALLBACK)
    api.emulator.faults.always(Flow.STATUS, Fault.NOT_FOUND)
    payout = await withdrawing(saver)
    assert await until_it_ends(payout) == "unknown"
    api.emulator.faults.clear()
    done = await operator("payouts", "resolve", str(payout.id), "--resend", *EVIDENCE)
    assert done.code == 0
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1
    assert "already_known" in [each["cause"] for each in await payout.events()]


async def test_it_is_sent_again_once_only(api: Api, operator: CommandBeside) -> None:
    payout = await missing(api)
    resend = ("payouts", "resolve", str(payout.id), "--resend", *EVIDENCE)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    assert (await operator(*resend)).code == 0
    assert await until_it_ends(payout) == "unknown"
    assert (await payout.row())["resends"] == 1
    assert "not sent again" in (await operator(*resend)).failure
    early = await doubted(api)
    assert (
        "not sent again"
        in (await operator("payouts", "resolve", str(early.id), "--resend", *EVIDENCE)).failure
    )


async def test_a_number_lost_meanwhile_ends_the_wish_to_send_again(api: Api, operator: CommandBeside) -> None:
    payout = await missing(api)
    assert (await operator("payouts", "resolve", str(payout.id), "--resend", *EVIDENCE)).code == 0
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = clock_timestamp(), unlinked_because = 'removed_by_saver'"
        " WHERE saver_id = $1",
        payout.saver.id,
    )
    await api.work()
    row = await payout.row()
    assert (row["state"], row["resend_wanted"], row["resends"]) == ("unknown", False, 0)
    assert payout.paid_by_safaricom() == 0


async def test_a_payment_told_after_an_operator_gave_it_back_is_owed(
    api: Api, operator: CommandBeside
) -> None:
    saver = await payer(api, cents=80_000)
    api.emulator.faults.next(Flow.B2C, Fault.LOSE_CALLBACK)
    api.emulator.faults.always(Flow.STATUS, Fault.NOT_FOUND)
    payout = await withdrawing(saver)
    assert await until_it_ends(payout) == "unknown"
    api.emulator.faults.clear()
    await operator("payouts", "resolve", str(payout.id), "--outcome", "failed", *EVIDENCE)
    ours = (await payout.row())["originator_conversation_id"]
    (movement,) = [
        each
        for each in api.emulator.books.movements
        if each.story.msisdn == saver.phone and each.story.kind == "payout"
    ]
    body = (
        b'{"Result": {"ResultCode": 0, "OriginatorConversationID": "%s", "ResultParameters": {"ResultParameter": ['
        b'{"Key": "TransactionAmount", "Value": 500}, {"Key": "TransactionReceipt", "Value": "%s"}]}}}'
        % (ours.encode(), movement.receipt.encode())
    )
    await api.call_back("/b2c/result", body)
    assert (await payout.row())["late_receipt"] == movement.receipt
    assert code_of(await withdraw(saver, 1_000)) == (409, "money_owed")
    assert "the saver owes it" in (await operator("payouts", "show", str(payout.id))).out


# What the command refuses -------------------------------------------------------------------------------------


async def test_a_resolution_is_asked_for_whole(api: Api, operator: CommandBeside) -> None:
    resolve = ("payouts", "resolve", str(UUID(int=7)))
    assert "either --outcome or --resend" in (await operator(*resolve, *EVIDENCE)).failure
    both = await operator(*resolve, *EVIDENCE, "--outcome", "failed", "--resend")
    assert "either --outcome or --resend" in both.failure
    assert "--receipt goes with" in (await operator(*resolve, *EVIDENCE, "--outcome", "settled")).failure
    given = await operator(*resolve, *EVIDENCE, "--outcome", "failed", "--receipt", new_receipt())
    assert "--receipt goes with" in given.failure
    bad = await operator(*resolve, *EVIDENCE, "--outcome", "settled", "--receipt", "x")
    assert "not an M-PESA receipt" in bad.failure
    assert "evidence" in (await operator(*resolve, "--evidence", " ", "--outcome", "failed")).failure
    nobody = await operator(*resolve, *EVIDENCE, "--outcome", "failed", "--operator", " ")
    assert "say who you are" in nobody.failure


# All of them --------------------------------------------------------------------------------------------------


async def test_money_out_is_paused_and_resumed_with_a_trace(api: Api, operator: CommandBeside) -> None:
    saver = await payer(api)
    assert "was not paused" in (await operator("payouts", "resume", *EVIDENCE)).failure
    assert (await operator("payouts", "pause", *EVIDENCE)).code == 0
    assert (await operator("payouts", "pause", "--evidence", "still so")).code == 0
    assert code_of(await withdraw(saver, 1_000)) == (503, "payouts_paused")
    assert "PAUSED" in (await operator("payouts", "list")).out
    assert (await operator("payouts", "resume", *EVIDENCE)).code == 0
    answered(await withdraw(saver, 1_000), 202)
    rows = await api.rows(
        "SELECT act FROM runtime.audit_log WHERE subject = 'payouts:all' ORDER BY recorded_at"
    )
    assert [row["act"] for row in rows] == ["payouts_paused", "payouts_paused", "payouts_resumed"]
