"""`zanari suspense`: money that nobody could be matched to goes to whom it was meant for, or back. It is audited."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import Api
from tests.support.savers import Saver, new_receipt
from zanari_api.kit.damm import member_code
from zanari_api.ledger import accounts


async def held(api: Api, cents: int = 5_000, reference: str = "rent") -> str:
    """Have somebody pay whom nobody knows; return the receipt."""
    receipt = new_receipt()
    await api.pay_in(cents, account_reference=reference, receipt=receipt)
    return receipt


async def item(api: Api, receipt: str) -> dict[str, Any]:
    (row,) = await api.rows("SELECT * FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    return dict(row)


async def acts(api: Api, receipt: str) -> list[dict[str, Any]]:
    rows = await api.rows("SELECT * FROM runtime.audit_log WHERE subject = $1", f"receipt:{receipt}")
    return [dict(row) for row in rows]


async def test_what_is_held_is_listed_with_its_age_and_why(api: Api, operator: CommandBeside) -> None:
    rent = await held(api)
    stranger = await held(api, 700, member_code(9_999_999))
    await api.alter(
        "UPDATE mpesa.suspense_items SET event_at = event_at - interval '30 hours' WHERE receipt = $1", rent
    )
    await api.alter(
        "UPDATE mpesa.suspense_items SET event_at = event_at - interval '3 days' WHERE receipt = $1", stranger
    )
    done = await operator("suspense", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    (first,) = [line for line in lines if stranger in line]
    (second,) = [line for line in lines if rent in line]
    assert all(word in first for word in ("KES 7", "3 d", "unknown_member"))
    assert all(word in second for word in ("KES 50", "30 h", "no_reference"))
    assert lines.index(first) < lines.index(second)
    assert " held, KES " in lines[-1]


async def test_a_list_of_nothing_says_so(api: Api, operator: CommandBeside) -> None:
    await api.alter("DELETE FROM mpesa.suspense_items WHERE state = 'returned'")
    done = await operator("suspense", "list", "--state", "returned")
    assert (done.code, done.out) == (0, "Nothing is returned.\n")


async def test_an_assigned_payment_is_a_deposit_of_the_saver(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    receipt = await held(api)
    in_suspense = await api.books.balance(accounts.SUSPENSE)
    done = await operator("suspense", "assign", receipt, "--to", saver.member_code, "--evidence", "ticket 7")
    assert done.code == 0, done.err
    assert done.out.startswith(f"KES 50 of {receipt} went to the wallet of saver {saver.id}, as deposit ")
    assert await saver.holds() == (5_000, 0, 0)
    assert await api.books.balance(accounts.SUSPENSE) == in_suspense - 5_000
    (row,) = await saver.feed()
    assert (row["type"], row["amount_cents"], row["receipt"]) == ("deposit", 5_000, receipt)
    (deposit,) = await api.rows("SELECT * FROM savings.deposits WHERE receipt = $1", receipt)
    assert (deposit["saver_id"], deposit["channel"]) == (saver.id, "operator")
    resolved = await item(api, receipt)
    assert (resolved["state"], resolved["resolved_by"], resolved["evidence"]) == (
        "assigned",
        "wanjiku",
        "ticket 7",
    )
    assert deposit["event_at"] == resolved["event_at"]
    (act,) = await acts(api, receipt)
    assert (act["operator"], act["act"], act["reason"]) == ("wanjiku", "suspense_assigned", "ticket 7")
    assert json.loads(act["before"]) == {"state": "held", "amount_cents": 5_000}
    assert json.loads(act["after"])["saver_id"] == str(saver.id)
    listed = await operator("suspense", "list", "--state", "assigned")
    assert receipt in listed.out


async def test_a_goals_letter_sends_it_into_the_goal(api: Api, saver: Saver, operator: CommandBeside) -> None:
    goal = await saver.goal(target_cents=10_000)
    receipt = await held(api)
    to = f"{saver.member_code} {goal['letter'].lower()}"
    done = await operator("suspense", "assign", receipt.lower(), "--to", to, "--evidence", "ticket 8")
    assert f"went to goal {goal['id']} of saver" in done.out
    kept = await saver.read_goal(goal)
    assert (kept["saved_cents"], [each["percent"] for each in kept["milestones"]]) == (5_000, [25, 50])


async def test_the_receipt_stays_claimed_and_is_assigned_once(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    receipt = await held(api)
    to = ("--to", saver.member_code, "--evidence", "ticket 9")
    assert (await operator("suspense", "assign", receipt, *to)).code == 0
    again = await operator("suspense", "assign", receipt, *to)
    assert again.failure == f"{receipt} is assigned already, by wanjiku; nothing moved"
    await api.pay_in(5_000, account_reference=saver.member_code, receipt=receipt)
    assert await saver.holds() == (5_000, 0, 0)
    assert len(await acts(api, receipt)) == 1
    # It was money paid in to us, so it is no spend either.
    answer = await saver.spend(5_000, receipt=receipt)
    assert answer["round_up"]["reason"] == "own_shortcode"


async def test_what_cannot_be_assigned_moves_nothing(api: Api, saver: Saver, operator: CommandBeside) -> None:
    receipt = await held(api)
    for arguments, why in (
        ((receipt, "--to", "rent"), "rent is no member code"),
        ((receipt, "--to", member_code(9_999_999)), "no saver has that member code; nothing moved"),
        (
            ("QQQ51ZDR4X", "--to", saver.member_code),
            "no payment with the receipt QQQ51ZDR4X was ever held; nothing moved",
        ),
    ):
        done = await operator("suspense", "assign", *arguments, "--evidence", "ticket 10")
        assert done.failure == why
    assert (
        "not an M-PESA receipt"
        in (await operator("suspense", "assign", "?", "--to", saver.member_code, "--evidence", "x")).failure
    )
    empty = await operator("suspense", "assign", receipt, "--to", saver.member_code, "--evidence", " ")
    assert "the evidence has" in empty.failure
    assert (await item(api, receipt))["state"] == "held"
    assert await saver.holds() == (0, 0, 0)


async def test_a_returned_payment_leaves_suspense_and_float(api: Api, operator: CommandBeside) -> None:
    receipt, back = await held(api), new_receipt()
    in_suspense = await api.books.balance(accounts.SUSPENSE)
    in_float = await api.books.balance(accounts.float_id("600000"))
    arguments = ("suspense", "return", receipt, "--return-receipt", back, "--evidence", "portal, ticket 11")
    done = await operator(*arguments)
    assert done.code == 0, done.err
    assert done.out == f"KES 50 of {receipt} is recorded as given back by {back}.\n"
    assert await api.books.balance(accounts.SUSPENSE) == in_suspense - 5_000
    assert await api.books.balance(accounts.float_id("600000")) == in_float - 5_000
    resolved = await item(api, receipt)
    assert (resolved["state"], resolved["return_receipt"], resolved["resolved_by"]) == (
        "returned",
        back,
        "wanjiku",
    )
    (transfer,) = await api.rows(
        "SELECT kind FROM ledger.transfers WHERE key = $1", f"suspense_return:{resolved['id']}"
    )
    assert transfer["kind"] == "suspense_return"
    (act,) = await acts(api, receipt)
    assert (act["act"], json.loads(act["after"])) == ("suspense_returned", {"return_receipt": back})
    again = await operator(*arguments)
    assert again.failure == f"{receipt} is returned already, by wanjiku; nothing moved"


async def test_a_payment_counts_as_given_back_from_when_mpesa_did(api: Api, operator: CommandBeside) -> None:
    receipt = new_receipt()
    await api.pay_in(5_000, account_reference="rent", receipt=receipt, TransTime="20261120090000")
    arguments = ("suspense", "return", receipt, "--return-receipt", new_receipt(), "--evidence", "x", "--at")
    early = await operator(*arguments, "2026-11-20 08:59:59")
    assert early.failure == f"{receipt} was not paid yet at that time; nothing moved"
    assert (await item(api, receipt))["state"] == "held"
    assert (await operator(*arguments, "2026-11-20 11:30")).code == 0
    (transfer,) = await api.rows(
        "SELECT event_at FROM ledger.transfers WHERE key = $1",
        f"suspense_return:{(await item(api, receipt))['id']}",
    )
    assert transfer["event_at"] == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


async def test_a_payment_that_was_given_back_is_not_assigned_and_its_spend_is_reversed(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    receipt = await held(api)
    await operator("suspense", "return", receipt, "--return-receipt", new_receipt(), "--evidence", "x")
    done = await operator("suspense", "assign", receipt, "--to", saver.member_code, "--evidence", "x")
    assert done.failure == f"{receipt} is returned already, by wanjiku; nothing moved"
    assert await saver.holds() == (0, 0, 0)


async def test_a_reversal_gives_one_payment_back_and_nothing_else_may_be_its_receipt(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    back = new_receipt()
    first = await held(api)
    assert (
        await operator("suspense", "return", first, "--return-receipt", back, "--evidence", "x")
    ).code == 0
    second = await held(api)
    counted = await saver.deposit(1_000)
    for used in (back, second, first, counted):
        done = await operator("suspense", "return", second, "--return-receipt", used, "--evidence", "x")
        assert done.failure == "the return receipt stands for something else in our books; nothing moved", (
            used
        )
    assert (await item(api, second))["state"] == "held"
    missing = await operator(
        "suspense", "return", "QQQ51ZDR4X", "--return-receipt", new_receipt(), "--evidence", "x"
    )
    assert missing.failure == "no payment with the receipt QQQ51ZDR4X was ever held; nothing moved"


@pytest.mark.parametrize("verb", ["assign", "return"])
async def test_acts_need_a_name(
    api: Api, saver: Saver, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    receipt = await held(api)
    monkeypatch.delenv("ZANARI_OPERATOR")
    where = {"assign": ("--to", saver.member_code), "return": ("--return-receipt", new_receipt())}[verb]
    done = await operator("suspense", verb, receipt, *where, "--evidence", "x")
    assert "say who you are" in done.failure
    assert (await item(api, receipt))["state"] == "held"
