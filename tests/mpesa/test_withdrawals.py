"""Withdrawals over HTTP, from the request to the money in M-PESA, against the emulated Safaricom."""

from tests.support.app import Api
from tests.support.payouts import assert_nothing_is_in_flight, in_flight_cents, payer, withdrawing


async def test_a_withdrawal_is_set_aside_sent_once_and_paid(api: Api) -> None:
    saver = await payer(api, cents=80_000)
    payout = await withdrawing(saver, 50_000)

    assert (await payout.read())["state"] == "requested"
    assert (await saver.wallet())["balance_cents"] == 30_000
    assert await in_flight_cents(api) == 50_000

    await api.work()

    paid = await payout.read()
    assert paid["state"] == "settled"
    assert paid["receipt"] in paid["text"]
    assert await payout.steps() == ["requested", "submitting", "submitted", "settled"]
    assert payout.paid_by_safaricom() == 1
    assert (await saver.wallet())["balance_cents"] == 30_000
    row = await payout.feed_row()
    assert (row["type"], row["status"], row["direction"]) == ("payout", "completed", "out")
    assert row["receipt"] == paid["receipt"]
    await assert_nothing_is_in_flight(api)
