"""Every fault that Safaricom can have with a payout: it is paid once or comes back once, and both books agree.

What nobody can know stays held, and is named as a break that an operator sees.
"""

from datetime import timedelta

import pytest

from tests.support.app import Api
from tests.support.payouts import (
    Withdrawing,
    assert_nothing_is_in_flight,
    assert_payout_floats_agree,
    in_flight_cents,
    open_breaks,
    payer,
    until_it_ends,
    withdrawing,
)
from zanari_api.sandbox.safaricom.faults import Fault, Flow

CENTS = 50_000

PAID_ALL_THE_SAME = [
    (Fault.HTTP_ERROR_AFTER, {"code": "500.002.1001"}),
    (Fault.HTTP_ERROR_AFTER, {"code": "500.003.03", "message": "System is busy. Please try again."}),
    (Fault.REVOKE_TOKEN, {}),
    (Fault.SLOW_REPLY, {"seconds": 0.2}),
    (Fault.CUT_AFTER, {}),
    (Fault.RESULT_FIRST, {}),
    (Fault.OTHER_CODE_TYPE, {}),
    (Fault.LOSE_CALLBACK, {}),
    (Fault.DUPLICATE_CALLBACK, {"times": 4}),
    (Fault.DELAY_CALLBACK, {"seconds": 0.2}),
    (Fault.REORDER_CALLBACK, {"seconds": 0.2}),
    (Fault.GARBAGE_CALLBACK, {}),
    (Fault.FAILURE_THEN_SUCCESS, {}),
    (Fault.SUCCESS_THEN_FAILURE, {}),
    (Fault.TIMEOUT_ECHO, {}),
    (Fault.TIMEOUT_THEN_RESULT, {"seconds": 0.2}),
    (Fault.FORGED_UNKNOWN, {}),
    (Fault.FORGED_AMOUNT, {}),
]

THROTTLED = [
    (Fault.HTTP_ERROR, {"code": "500.003.02"}),
    (Fault.HTTP_ERROR, {"code": "500.003.03", "message": "Quota Violation"}),
]

GIVEN_BACK = [
    (Fault.HTTP_ERROR, {"code": "400.002.02"}),
    (Fault.FAIL_WITH, {"code": "1"}),
    (Fault.FAIL_WITH, {"code": "8"}),
    (Fault.FAIL_WITH, {"code": "2040"}),
    (Fault.FAIL_WITH, {"code": "2001"}),
    (Fault.FAIL_WITH, {"code": "SFC_IC0003"}),
]

NOBODY_KNOWS = [
    (Fault.HTTP_ERROR, {"code": "500.002.1001"}),
    (Fault.HTTP_ERROR, {"code": "500.001.1001"}),
    (Fault.CUT_BEFORE, {}),
    (Fault.FAIL_WITH, {"code": "17"}),
    (Fault.FAIL_WITH, {"code": "26"}),
]


def _named(case: tuple[Fault, dict[str, object]]) -> str:
    return "-".join([case[0], *map(str, case[1].values())])


async def _under(api: Api, fault: Fault, particulars: dict[str, object]) -> Withdrawing:
    saver = await payer(api, cents=80_000)
    api.emulator.faults.next(Flow.B2C, fault, **particulars)
    return await withdrawing(saver, CENTS)


@pytest.mark.parametrize("case", PAID_ALL_THE_SAME, ids=_named)
async def test_what_safaricom_paid_is_settled_once(api: Api, case: tuple[Fault, dict[str, object]]) -> None:
    payout = await _under(api, *case)
    assert await until_it_ends(payout) == "settled"
    await api.work()
    assert payout.paid_by_safaricom() == 1
    assert (await payout.read())["receipt"] is not None
    assert (await payout.feed_row())["status"] == "completed"
    assert (await payout.saver.wallet())["balance_cents"] == 30_000
    assert await open_breaks(payout) == set()
    await assert_nothing_is_in_flight(api)


@pytest.mark.parametrize("case", THROTTLED, ids=_named)
async def test_what_safaricom_had_no_time_for_is_sent_again_under_the_same_id_once_it_is_not_known(
    api: Api, case: tuple[Fault, dict[str, object]]
) -> None:
    payout = await _under(api, *case)
    ours = (await payout.row())["originator_conversation_id"]
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1
    assert (await payout.row())["originator_conversation_id"] == ours
    steps = await payout.steps()
    assert steps[:5] == ["requested", "submitting", "unknown", "requested", "submitting"]
    assert (await _questions(payout))[0]["answer"] == "not_found"
    assert (await payout.saver.wallet())["balance_cents"] == 30_000
    await assert_nothing_is_in_flight(api)


@pytest.mark.parametrize("case", GIVEN_BACK, ids=_named)
async def test_what_safaricom_refused_comes_back_once_it_is_confirmed(
    api: Api, case: tuple[Fault, dict[str, object]]
) -> None:
    payout = await _under(api, *case)
    assert await until_it_ends(payout) == "failed"
    assert payout.paid_by_safaricom() == 0
    assert {row["answer"] for row in await _questions(payout)} & {"ended", "not_found"}
    row = await payout.feed_row()
    assert row["status"] == "failed"
    assert "back in your wallet" in row["explanation"]["text"]
    assert (await payout.saver.wallet())["balance_cents"] == 80_000
    await assert_nothing_is_in_flight(api)


@pytest.mark.parametrize("case", NOBODY_KNOWS, ids=_named)
async def test_what_nobody_knows_is_held_asked_about_and_named(
    api: Api, case: tuple[Fault, dict[str, object]]
) -> None:
    before = await in_flight_cents(api)
    payout = await _under(api, *case)
    assert await until_it_ends(payout) == "unknown"
    assert payout.paid_by_safaricom() == 0
    assert "not sent twice" in (await payout.read())["text"]
    assert (await payout.saver.wallet())["balance_cents"] == 30_000
    assert await in_flight_cents(api) == before + CENTS
    assert await open_breaks(payout) == {"payout_unresolved"}
    assert len(await _questions(payout)) > 2
    assert (await payout.row())["due_at"] > api.clock.now() - timedelta(minutes=5)
    await assert_payout_floats_agree(api)


async def _questions(payout: Withdrawing) -> list[dict[str, object]]:
    rows = await payout.api.rows(
        "SELECT * FROM savings.status_queries WHERE payout_id = $1 ORDER BY asked_at", payout.id
    )
    return [dict(row) for row in rows]
