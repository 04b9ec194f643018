"""A statement: one account, one Nairobi day, the newest movement first."""

import csv
from datetime import date
from typing import Any

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock
from zanari_api.sandbox.safaricom.statement import COLUMNS

TODAY = date(2026, 11, 25)


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(text.splitlines()))


async def test_a_day_of_payments_reads_like_the_portal(caller: Caller, clock: HandClock) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_050, account_reference='a, "b"', msisdn=WANJIKU)
    await clock.move(61)
    reversal = await caller.emulator.reverse(payment.receipt)
    last, first = rows(caller.emulator.statement_csv(PAYBILL, TODAY))
    assert first == {
        "Receipt No.": payment.receipt,
        "Completion Time": "2026-11-25 10:15:00",
        "Initiation Time": "2026-11-25 10:15:00",
        "Details": 'Pay Bill from 2547*****678 Acc. a, "b"',
        "Transaction Status": "Completed",
        "Paid In": "100.50",
        "Withdrawn": "",
        "Balance": "600.50",
        "Reason Type": "Pay Bill Online",
        "Other Party Info": f"254712***678 - {caller.emulator.handset(WANJIKU).name}",
        "Linked Transaction ID": "",
        "A/C No.": 'a, "b"',
    }
    assert (last["Receipt No."], last["Linked Transaction ID"]) == (reversal.receipt, payment.receipt)
    assert (last["Completion Time"], last["Withdrawn"]) == ("2026-11-25 10:16:01", "100.50")


async def test_a_payout_and_its_fee_are_on_two_accounts(caller: Caller) -> None:
    await caller.pay()
    await caller.heard()
    [paid] = rows(caller.emulator.statement_csv(PAYER, TODAY))
    [charged] = rows(caller.emulator.statement_csv(PAYER, TODAY, "charges_paid"))
    assert paid["Receipt No."] == charged["Receipt No."]
    assert (paid["Withdrawn"], charged["Withdrawn"], charged["Balance"]) == ("500.00", "5.00", "-15.00")
    assert rows(caller.emulator.statement_csv(PAYER, TODAY, "working")) == []


async def test_a_day_begins_at_midnight_in_nairobi(caller: Caller, clock: HandClock) -> None:
    await clock.move(13 * 3600 + 44 * 60 + 59)
    await caller.emulator.deposit_float(PAYBILL, 100)
    await clock.move(1)
    await caller.emulator.deposit_float(PAYBILL, 200)
    [today] = rows(caller.emulator.statement_csv(PAYBILL, TODAY))
    [tomorrow] = rows(caller.emulator.statement_csv(PAYBILL, date(2026, 11, 26)))
    assert (today["Paid In"], tomorrow["Paid In"]) == ("1.00", "2.00")
    assert tomorrow["Completion Time"] == "2026-11-26 00:00:00"


async def test_a_day_without_movements_is_a_header(caller: Caller) -> None:
    assert caller.emulator.statement_csv(PAYBILL, TODAY) == ",".join(COLUMNS) + "\r\n"
