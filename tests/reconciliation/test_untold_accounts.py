"""An answer that leaves out one of our accounts: what nobody told is not taken for equal."""

import json
from uuid import UUID

from tests.reconciliation.conftest import Reconcile
from tests.support.app import B2C_SHORTCODE, Api
from tests.support.savers import new_receipt
from zanari_api.kit.clock import EAT, eat_date
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import balance_queries
from zanari_api.runtime.db import Role, Tx

UTILITY = "Utility Account|KES|1000000.00|1000000.00|0.00|0.00"
WORKING = "Working Account|KES|0.00|0.00|0.00|0.00"
CHARGES = "Charges Paid Account|KES|0.00|0.00|0.00|0.00"


async def answer(api: Api, *lines: str) -> None:
    """Have Safaricom answer a question for the paying shortcode's balances with these lines."""
    conversation_id, request_id = f"AG_20261125_{new_receipt().lower()}", new_id()
    await api.db.unit_of_work(lambda tx: _ask(tx, api, request_id, conversation_id), role=Role.SYSTEM)
    told = {
        "BOCompletedTime": f"{api.clock.now().astimezone(EAT):%Y%m%d%H%M%S}",
        "AccountBalance": "&".join(lines),
    }
    body = {
        "Result": {
            "ResultType": "0",
            "ResultCode": "0",
            "ResultDesc": "done",
            "ConversationID": conversation_id,
            "OriginatorConversationID": "1-2-3",
            "TransactionID": "OA90000000",
            "ResultParameters": {
                "ResultParameter": [{"Key": key, "Value": value} for key, value in told.items()]
            },
        }
    }
    assert (await api.call_back("/balance/result", json.dumps(body).encode())).status_code == 200


async def _ask(tx: Tx, api: Api, request_id: UUID, conversation_id: str) -> None:
    await balance_queries.insert_request(
        tx, request_id=request_id, shortcode=B2C_SHORTCODE, booked_since="0", now=api.clock.now()
    )
    await balance_queries.mark_submitted(
        tx,
        request_id=request_id,
        conversation_id=conversation_id,
        originator_conversation_id="1-2-3",
        now=api.clock.now(),
    )


async def unknown(api: Api, compare: Reconcile) -> set[str]:
    """Compare today's last answer; return what of the paying shortcode nobody told."""
    today = eat_date(api.clock.now())
    report = await compare(on=today)
    found = {each.subject: each for each in report.breaks if each.shortcode == B2C_SHORTCODE}
    assert all(each.kind == "balance_unknown" for each in found.values())
    assert not (found and report.is_clean)
    return {subject.removeprefix("balance:").removesuffix(f":{today}") for subject in found}


async def test_a_utility_account_that_is_not_in_the_answer_is_a_break_until_it_is_told(
    fresh: Api, compare: Reconcile
) -> None:
    await answer(fresh, WORKING, CHARGES)
    assert await unknown(fresh, compare) == {f"{B2C_SHORTCODE}:utility"}
    fresh.clock.advance(seconds=1)
    await answer(fresh, UTILITY, WORKING, CHARGES)
    assert await unknown(fresh, compare) == set()


async def test_a_line_that_cannot_be_read_is_a_break_of_every_account_without_one(
    fresh: Api, compare: Reconcile
) -> None:
    await answer(fresh, UTILITY, WORKING, CHARGES.replace("0.00", "nonsense"))
    assert await unknown(fresh, compare) == {f"{B2C_SHORTCODE}:charges_paid"}


async def test_an_account_that_a_shortcode_does_not_have_is_none(fresh: Api, compare: Reconcile) -> None:
    await answer(fresh, UTILITY)
    assert await unknown(fresh, compare) == set()


async def test_an_account_that_was_told_of_before_is_missed(fresh: Api, compare: Reconcile) -> None:
    await answer(fresh, UTILITY, WORKING)
    fresh.clock.advance(seconds=1)
    await answer(fresh, UTILITY)
    assert await unknown(fresh, compare) == {f"{B2C_SHORTCODE}:working"}


async def test_no_answer_at_all_names_the_shortcode_and_not_its_accounts(
    fresh: Api, compare: Reconcile
) -> None:
    assert await unknown(fresh, compare) == {B2C_SHORTCODE}
