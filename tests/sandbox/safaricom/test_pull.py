"""Pull transactions: registered once, the last 48 hours, a hundred rows at a time."""

from typing import Any

import httpx
import pytest

from tests.sandbox.safaricom.caller import OTIENO, PAYBILL, WANJIKU, Caller, HandClock

DAY = ("2026-11-25 00:00:00", "2026-11-25 23:59:59")


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200
    body = response.json()
    assert body["ResponseCode"] == "1000"
    [listed] = body["Response"]
    return listed


async def paid(caller: Caller, cents: int = 10_000, *, msisdn: str = WANJIKU) -> str:
    made = await caller.emulator.pay_bill(amount_cents=cents, account_reference="12345674", msisdn=msisdn)
    return made.receipt


async def test_registration_says_when_it_was_there_before(caller: Caller) -> None:
    first, second = (await caller.register_pull()).json(), (await caller.register_pull()).json()
    assert (first["ResponseStatus"], second["ResponseStatus"]) == ("1000", "1001")
    assert set(first) == {"ResponseRefID", "ResponseStatus", "ShortCode", "ResponseDescription"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_payments_are_listed_either_way_of_asking(caller: Caller, method: str) -> None:
    await caller.register_pull()
    receipt = await paid(caller)
    [row] = rows(await caller.pull(*DAY, method=method))
    assert row == {
        "transactionId": receipt,
        "trxDate": "2026-11-25T07:15:00Z",
        "msisdn": "2547 ***** 678",
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": "12345674",
        "amount": "100.00",
        "organizationname": "ZANARI",
    }


async def test_prompted_payments_are_listed_and_payouts_are_not(caller: Caller) -> None:
    await caller.register_pull()
    await caller.push()
    await caller.pay(PartyA=PAYBILL, Amount=10)
    await caller.emulator.deposit_float(PAYBILL, 100)
    await caller.heard()
    [row] = rows(await caller.pull(*DAY))
    assert row["billreference"] == "12345674"


async def test_nothing_to_list_is_a_text_of_brackets(caller: Caller) -> None:
    await caller.register_pull()
    answer = (await caller.pull(*DAY)).json()
    assert (answer["ResponseCode"], answer["Response"]) == ("1001", "[[]]")


async def test_pages_hold_a_hundred_rows(caller: Caller) -> None:
    await caller.register_pull()
    receipts = [await paid(caller, 100 + number, msisdn=OTIENO) for number in range(130)]
    first = rows(await caller.pull(*DAY))
    second = rows(await caller.pull(*DAY, offset="100"))
    assert [row["transactionId"] for row in first + second] == receipts
    assert len(first) == 100
    assert (await caller.pull(*DAY, offset="130")).json()["ResponseCode"] == "1001"


async def test_the_window_is_east_africa_time_and_reaches_back_two_days(
    caller: Caller, clock: HandClock
) -> None:
    await caller.register_pull()
    receipt = await paid(caller)
    exact = await caller.pull("2026-11-25 10:15:00", "2026-11-25 10:15:00")
    assert [row["transactionId"] for row in rows(exact)] == [receipt]
    later = await caller.pull("2026-11-25 10:15:01", "2026-11-25 23:00:00")
    assert later.json()["ResponseCode"] == "1001"
    earlier = await caller.pull("2026-11-25 00:00:00", "2026-11-25 10:14:59")
    assert earlier.json()["ResponseCode"] == "1001"
    await clock.move(48 * 3600)
    await caller.log_in()
    assert len(rows(await caller.pull("2026-11-01 00:00:00", "2026-11-28 00:00:00"))) == 1
    await clock.move(1)
    old = await caller.pull("2026-11-01 00:00:00", "2026-11-28 00:00:00")
    assert old.json()["ResponseCode"] == "1001"


async def test_an_unregistered_shortcode_and_odd_windows_are_refused(caller: Caller) -> None:
    assert (await caller.pull(*DAY)).status_code == 400
    await caller.register_pull()
    for start, end, offset in [
        (DAY[1], DAY[0], "0"),
        ("25.11.2026", DAY[1], "0"),
        (DAY[0], DAY[1], "first"),
    ]:
        refused = await caller.pull(start, end, offset=offset)
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "400.002.02")
