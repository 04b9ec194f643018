"""One row with its explanation: counted, waiting, trimmed, or skipped and why; a person paid is named here only."""

import json
from uuid import uuid4

from tests.support.app import Api
from tests.support.savers import Json, Saver, code_of
from zanari_api.transactions.schemas import ItemDetail


async def test_a_saved_round_up_is_explained(saver: Saver) -> None:
    await saver.goal("School fees")
    await saver.deposit(1_000)
    detail = await detail_of_spend(saver, 14_700)
    assert detail["explanation"] == {
        "text": detail["explanation"]["text"],
        "outcome": "saved",
        "reason": None,
        "rule_version": 1,
        "round_up_cents": 300,
    }
    for told in ("KES 147", "KES 3", "School fees"):
        assert told in detail["explanation"]["text"]


async def test_a_waiting_round_up_is_explained(saver: Saver) -> None:
    detail = await detail_of_spend(saver, 14_700)
    assert (
        detail["explanation"].items() >= {"outcome": "waiting", "reason": None, "round_up_cents": 300}.items()
    )
    assert detail["round_up"]["outcome"] == "waiting"


async def test_a_trimmed_round_up_is_explained(saver: Saver) -> None:
    await saver.deposit(1_000)
    await saver.rule(cap_per_spend_cents=200)
    detail = await detail_of_spend(saver, 14_700)
    assert (
        detail["explanation"].items()
        >= {
            "outcome": "saved",
            "reason": "capped",
            "rule_version": 2,
            "round_up_cents": 200,
        }.items()
    )


async def test_a_skipped_spend_is_explained(saver: Saver) -> None:
    await saver.deposit(1_000)
    whole = await detail_of_spend(saver, 15_000)
    cash = await detail_of_spend(saver, 14_700, kind="withdraw")
    assert whole["explanation"].items() >= {"outcome": "skipped", "reason": "whole_amount"}.items()
    assert cash["explanation"].items() >= {"outcome": "skipped", "reason": "kind_not_counted"}.items()
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_detail_is_what_its_schema_says(saver: Saver) -> None:
    await saver.goal_holding(5_000)
    await saver.spend(14_700, kind="send_money", merchant_name="JOHN OTIENO", receipt="DETAIL0001")
    await saver.spend(
        14_700, kind="send_money", merchant_name="JOHN OTIENO", receipt="DETAIL0001", status="reversed"
    )
    rows = await saver.feed()
    assert len(rows) == 3
    for row in rows:
        response = await saver.get(f"/transactions/{row['id']}")
        ItemDetail.model_validate_json(response.content)
        assert response.json().keys() == ItemDetail.model_fields.keys()


async def test_a_person_paid_is_named_in_the_detail_only(api: Api, saver: Saver) -> None:
    detail = await detail_of_spend(saver, 14_700, kind="send_money", merchant_name="JOHN OTIENO")
    assert detail["counterparty"] == "JOHN OTIENO"
    assert detail["title"] == "Sent to a person"
    assert "OTIENO" not in detail["explanation"]["text"]
    page = await saver.get("/transactions")
    assert "OTIENO" not in page.text.upper()
    assert await saver.feed(q="otieno") == []
    stored = await everything_stored(api, saver)
    assert "OTIENO" not in stored.upper()
    assert b"OTIENO".hex() not in stored


async def test_a_business_is_named_in_clear_and_can_be_searched(saver: Saver) -> None:
    detail = await detail_of_spend(saver, 14_700, kind="pay_bill", merchant_name="KPLC PREPAID")
    assert (detail["title"], detail["counterparty"], detail["category"]) == ("KPLC PREPAID", None, "bills")
    assert len(await saver.feed(q="kplc")) == 1


async def test_whoever_may_be_a_person_is_not_named_in_clear(saver: Saver) -> None:
    for kind in ("pochi", "withdraw", "something new"):
        detail = await detail_of_spend(saver, 14_700, kind=kind, merchant_name="GRACE WAIRIMU")
        assert detail["counterparty"] == "GRACE WAIRIMU"
        assert "GRACE" not in detail["title"]


async def test_a_spend_without_a_name_has_a_title_all_the_same(saver: Saver) -> None:
    titles = {
        kind: (await detail_of_spend(saver, 14_700, kind=kind, merchant_name=None))["title"]
        for kind in ("buy_goods", "pay_bill", "send_money", "airtime", "fuliza")
    }
    assert titles == {
        "buy_goods": "Paid to a till",
        "pay_bill": "Paid to a paybill",
        "send_money": "Sent to a person",
        "airtime": "Airtime",
        "fuliza": "M-PESA payment",
    }


async def test_a_row_that_is_not_there_or_another_savers_is_not_found(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await other.spend(14_700)
    (row,) = await other.feed()
    for transaction_id in (row["id"], uuid4()):
        refused = await saver.get(f"/transactions/{transaction_id}")
        assert code_of(refused) == (404, "transaction_not_found")
    assert (await saver.get("/transactions/not-an-id")).status_code == 422


async def detail_of_spend(saver: Saver, cents: int, **details: object) -> Json:
    """Spend, and read the newest spend's row."""
    answer = await saver.spend(cents, **details)
    rows = [row for row in await saver.feed() if row["receipt"] == answer["transaction_id"]]
    assert len(rows) == 1
    return await saver.transaction(rows[0])


async def everything_stored(api: Api, saver: Saver) -> str:
    """Return whatever the tables hold of this saver's spends, as text."""
    rows = await api.rows(
        """
        SELECT t::text AS row FROM savings.transactions AS t WHERE saver_id = $1
         UNION ALL
        SELECT s::text FROM savings.spends AS s WHERE saver_id = $1
        """,
        saver.id,
    )
    assert len(rows) == 2
    return json.dumps([row["row"] for row in rows])
