"""The buttons under /control: what a person at a terminal can do, and what they are told when they cannot."""

import csv
from typing import Any

import pytest

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller
from zanari_api.sandbox.safaricom.wishes import HELP


async def press(caller: Caller, method: str, path: str, body: Any = None) -> Any:
    response = await caller.client.request(method, f"/control{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_buttons_are_listed_and_every_one_is_there(caller: Caller) -> None:
    assert set(await press(caller, "GET", "")) == set(HELP)
    for line in HELP:
        method, path = line.split("?")[0].split(" ")
        filled = path.replace("{msisdn}", WANJIKU).replace("{shortcode}", PAYBILL)
        assert (await caller.client.request(method, filled, json={})).status_code != 405
        assert "errorCode" not in (await caller.client.request(method, filled, json={})).text


async def test_an_open_prompt_is_listed_and_answered(caller: Caller) -> None:
    handset = await press(caller, "PATCH", f"/handsets/{WANJIKU}", {"behaviour": "ask"})
    assert handset["behaviour"] == "ask"
    await caller.push()
    assert await press(caller, "GET", "/prompts") == [
        {
            "msisdn": WANJIKU,
            "shortcode": PAYBILL,
            "amount_cents": 10_000,
            "account_reference": "12345674",
            "shown_at": "2026-11-25T07:15:00+00:00",
        }
    ]
    await press(caller, "POST", f"/prompts/{WANJIKU}", {"answer": "approve"})
    await caller.heard()
    assert await press(caller, "GET", "/prompts") == []
    assert (await press(caller, "GET", f"/handsets/{WANJIKU}"))["balance_cents"] == 14_990_000
    [delivery] = await press(caller, "GET", "/deliveries?last=5")
    assert (delivery["kind"], delivery["status"], delivery["path"]) == ("stk_callback", 200, "/stk")


async def test_a_handset_changes_in_what_is_said_alone(caller: Caller) -> None:
    wish = {"balance_cents": 5, "reachable": False, "registered": False}
    changed = await press(caller, "PATCH", f"/handsets/{WANJIKU}", wish)
    assert changed == {
        "msisdn": WANJIKU,
        "name": caller.emulator.handset(WANJIKU).name,
        "behaviour": "approve",
        **wish,
    }


async def test_the_paybill_is_paid_and_the_payment_reversed(caller: Caller) -> None:
    wish = {"amount_cents": 25_000, "account_reference": "12345674", "msisdn": WANJIKU}
    paid = await press(caller, "POST", "/payments", wish)
    assert (paid["shortcode"], paid["amount_cents"]) == (PAYBILL, 25_000)
    assert (await press(caller, "GET", "/books"))[PAYBILL]["utility_cents"] == 75_000
    reversed_ = await press(caller, "POST", "/reversals", {"receipt": paid["receipt"]})
    assert (reversed_["reverses"], reversed_["amount_cents"]) == (paid["receipt"], 25_000)
    assert (await press(caller, "GET", "/books"))[PAYBILL]["utility_cents"] == 50_000


async def test_float_is_deposited_and_moved_and_the_statement_shows_it(caller: Caller) -> None:
    deposit = await press(caller, "POST", "/deposits", {"shortcode": PAYER, "amount_cents": 100})
    move = {"shortcode": PAYER, "source": "utility", "target": "charges_paid", "amount_cents": 1_000}
    moved = await press(caller, "POST", "/moves", move)
    assert (await press(caller, "GET", "/books"))[PAYER] == {
        "utility_cents": 9_999_100,
        "working_cents": 300_000,
        "charges_paid_cents": 0,
    }
    response = await caller.client.get(f"/control/statements/{PAYER}", params={"day": "2026-11-25"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(response.text.splitlines()))
    assert [row["Receipt No."] for row in rows] == [moved["receipt"], deposit["receipt"]]
    today = await caller.client.get(f"/control/statements/{PAYER}?account=charges_paid")
    [row] = list(csv.DictReader(today.text.splitlines()))
    assert (row["Paid In"], row["Withdrawn"], row["Balance"]) == ("10.00", "", "0.00")


async def test_a_fault_is_armed_and_disarmed(caller: Caller) -> None:
    possible = await press(caller, "GET", "/faults")
    assert possible["lose_callback"]["place"] == "delivery"
    assert "stk" in possible["lose_callback"]["flows"]
    await press(caller, "POST", "/faults", {"flow": "stk", "fault": "lose_callback"})
    await press(caller, "POST", "/faults", {"flow": "c2b", "fault": "http_error", "always": True})
    assert (await caller.register()).status_code == 500
    await press(caller, "DELETE", "/faults")
    assert (await caller.register()).status_code == 200
    await caller.push()
    kinds = [kind for kind, _ in await caller.heard()]
    assert "stk_callback" in kinds


async def test_the_initiator_is_unlocked_and_the_certificate_shown(caller: Caller) -> None:
    for _ in range(5):
        await caller.ask_balance(Initiator="somebody")
    await caller.heard()
    await press(caller, "POST", "/initiator/unlock")
    await caller.ask_balance()
    assert (await caller.heard())[-1][1]["Result"]["ResultCode"] == "0"
    shown = await caller.client.get("/control/certificate")
    assert shown.text == caller.emulator.certificate_pem


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", f"/prompts/{WANJIKU}", {"answer": "approve"}, 404, "no open prompt"),
        ("POST", f"/prompts/{WANJIKU}", {"answer": "perhaps"}, 400, "answer"),
        ("POST", "/prompts/0712345678", {"answer": "approve"}, 400, "2547XXXXXXXX"),
        ("PATCH", f"/handsets/{WANJIKU}", {"colour": "red"}, 400, "colour"),
        ("PATCH", f"/handsets/{WANJIKU}", [], 400, "object"),
        ("POST", "/payments", {"amount_cents": 100, "account_reference": "A"}, 400, "msisdn"),
        (
            "POST",
            "/payments",
            {"amount_cents": 10**11, "account_reference": "A", "msisdn": WANJIKU},
            409,
            "enough money",
        ),
        ("POST", "/faults", {"flow": "oauth", "fault": "lose_callback"}, 400, "cannot befall"),
        ("POST", "/faults", {"flow": "stk", "fault": "fire"}, 400, "fault"),
        ("POST", "/deposits", {"shortcode": "174379", "amount_cents": 100}, 404, "no such shortcode"),
        (
            "POST",
            "/moves",
            {"shortcode": PAYBILL, "source": "working", "target": "utility", "amount_cents": 1},
            409,
            "does not hold",
        ),
        ("POST", "/reversals", {"receipt": "UKP1234567"}, 409, "invalid"),
        ("GET", "/statements/174379", None, 404, "no such shortcode"),
        ("GET", f"/statements/{PAYBILL}?day=25.11.2026", None, 400, "25.11.2026"),
        ("GET", f"/statements/{PAYBILL}?account=savings", None, 400, "savings"),
        ("GET", "/deliveries?last=all", None, 400, "number"),
    ],
)
async def test_a_wish_that_cannot_be_granted_is_answered_with_a_sentence(
    caller: Caller, method: str, path: str, body: Any, status: int, said: str
) -> None:
    response = await caller.client.request(method, f"/control{path}", json=body)
    assert response.status_code == status
    assert said in response.json()["error"]
