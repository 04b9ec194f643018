"""C2B confirmations over HTTP: money that has moved is booked once, to whom it was meant for, or held in suspense."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from tests.mpesa.payments import CONFIRMATION, SHAPES, payment, shape
from tests.support.app import CALLBACK_TOKEN, SHORTCODE, Api, Serve
from tests.support.savers import Saver, answered, code_of, new_receipt
from zanari_api.deposits.references import make_intent_reference
from zanari_api.kit.damm import member_code
from zanari_api.ledger import accounts
from zanari_api.runtime.crypto import Place
from zanari_api.runtime.middleware import BODY_MAX_BYTES

ACKNOWLEDGED = {"ResultCode": 0, "ResultDesc": "Success"}


async def confirm(api: Api, body: bytes) -> None:
    """Deliver a confirmation, which must be acknowledged whatever is in it."""
    assert answered(await api.call_back(CONFIRMATION, body)) == ACKNOWLEDGED


async def outcome_of(api: Api, body: bytes) -> str:
    """Return what the inbox says became of a body."""
    keys = await api.runtime.service_keys.keys()
    digest = keys.index.digest("callback", b"c2b_confirmation", body)
    (row,) = await api.rows("SELECT outcome FROM mpesa.callbacks WHERE dedupe_hash = $1", digest)
    return row["outcome"]


async def suspense_items(api: Api, receipt: str) -> list[tuple[Any, ...]]:
    rows = await api.rows("SELECT reason, amount_cents FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    return [tuple(row) for row in rows]


# Whose it is


@pytest.mark.parametrize("like", SHAPES)
async def test_a_payment_in_each_documented_shape_is_credited_by_member_code(
    api: Api, saver: Saver, like: str
) -> None:
    cents = {"980.50": 98_050, "5.00": 500, "10": 1_000, 5.5: 550}[shape(like)["TransAmount"]]
    body = payment(saver.member_code, like=like)
    await confirm(api, body)
    assert await outcome_of(api, body) == "credited"
    assert await saver.holds() == (cents, 0, 0)
    (row,) = await saver.feed()
    assert (row["type"], row["direction"], row["amount_cents"]) == ("deposit", "in", cents)


@pytest.mark.parametrize("like", SHAPES)
async def test_a_payment_in_each_documented_shape_is_held_where_nobody_is_meant(api: Api, like: str) -> None:
    held = await api.books.balance(accounts.SUSPENSE)
    body = json.dumps(shape(like) | {"BusinessShortCode": SHORTCODE, "TransID": (receipt := new_receipt())})
    await confirm(api, body.encode())
    ((reason, cents),) = await suspense_items(api, receipt)
    assert reason in {"no_reference", "unknown_member"}
    assert await api.books.balance(accounts.SUSPENSE) == held + cents


@pytest.mark.parametrize(
    "typed",
    ["{code}", " {code} ", "{head} {tail}", "{head}-{tail}", "{head}\u2013{tail}", "{code}.", "{code}/"],
)
async def test_the_code_may_be_typed_as_people_type(api: Api, saver: Saver, typed: str) -> None:
    code = saver.member_code
    await confirm(api, payment(typed.format(code=code, head=code[:4], tail=code[4:])))
    assert await saver.holds() == (500, 0, 0)


async def test_a_code_sent_as_a_number_is_the_same_code(api: Api) -> None:
    saver = await api.new_saver()
    while saver.member_code.startswith("0"):
        saver = await api.new_saver()
    await confirm(api, payment("", BillRefNumber=int(saver.member_code)))
    assert await saver.holds() == (500, 0, 0)


@pytest.mark.parametrize("typed", ["{code}{letter}", "{code} {letter}", "{code}-{small}", "{code}{small}"])
async def test_a_goals_letter_sends_it_straight_into_the_goal(api: Api, saver: Saver, typed: str) -> None:
    goal = await saver.goal(target_cents=1_000)
    letter = goal["letter"]
    await confirm(api, payment(typed.format(code=saver.member_code, letter=letter, small=letter.lower())))
    assert await saver.holds() == (0, 500, 0)
    kept = await saver.read_goal(goal)
    assert kept["saved_cents"] == 500
    assert [milestone["percent"] for milestone in kept["milestones"]] == [25, 50]


@pytest.mark.parametrize("suffix", ["Z", "ZZ", "school", "A1"])
async def test_a_bad_suffix_credits_the_wallet_and_never_suspense(
    api: Api, saver: Saver, suffix: str
) -> None:
    await confirm(api, payment(saver.member_code + suffix))
    assert await saver.holds() == (500, 0, 0)


async def test_a_goal_that_was_given_up_credits_the_wallet(api: Api, saver: Saver) -> None:
    goal = await saver.goal()
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    await confirm(api, payment(saver.member_code + goal["letter"]))
    assert await saver.holds() == (500, 0, 0)


async def test_what_nobody_can_be_matched_to_is_held_in_suspense(api: Api, saver: Saver) -> None:
    code = saver.member_code
    wrong_digit = code[:-1] + str((int(code[-1]) + 1) % 10)
    for reference, reason in {
        "": "no_reference",
        "rent": "no_reference",
        wrong_digit: "no_reference",
        code + "1": "no_reference",
        str(saver.phone): "no_reference",
        member_code(9_999_999): "unknown_member",
        make_intent_reference(1): "unknown_intent",
    }.items():
        held = await api.books.balance(accounts.SUSPENSE)
        body = payment(reference, TransID=(receipt := new_receipt()))
        await confirm(api, body)
        assert await outcome_of(api, body) == "suspense"
        assert await suspense_items(api, receipt) == [(reason, 500)]
        assert await api.books.balance(accounts.SUSPENSE) == held + 500
    assert await saver.holds() == (0, 0, 0)


async def test_the_payer_is_never_matched_by_phone(api: Api, saver: Saver) -> None:
    await confirm(api, payment("", MSISDN=saver.phone, TransID=(receipt := new_receipt())))
    assert await suspense_items(api, receipt) == [("no_reference", 500)]
    assert await saver.holds() == (0, 0, 0)


# Once


async def test_a_receipt_is_credited_once_however_it_is_told_again(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    body = payment(saver.member_code, TransID=receipt)
    for _ in range(3):
        await confirm(api, body)
    told_otherwise = payment(
        saver.member_code, TransID=receipt, OrgAccountBalance="77.00", MSISDN="0700000000"
    )
    await confirm(api, told_otherwise)
    small_letters = payment(saver.member_code, TransID=receipt.lower())
    await confirm(api, small_letters)
    elsewhere = payment("rent", TransID=receipt)
    await confirm(api, elsewhere)
    assert await saver.holds() == (500, 0, 0)
    assert await suspense_items(api, receipt) == []
    for later in (told_otherwise, small_letters, elsewhere):
        assert await outcome_of(api, later) == "duplicate"
    keys = await api.runtime.service_keys.keys()
    (row,) = await api.rows(
        "SELECT deliveries FROM mpesa.callbacks WHERE dedupe_hash = $1",
        keys.index.digest("callback", b"c2b_confirmation", body),
    )
    assert row["deliveries"] == 3
    noted = await api.rows("SELECT 1 FROM mpesa.discrepancies WHERE receipt = $1", receipt)
    assert noted == []


async def test_a_receipt_in_suspense_is_not_credited_when_it_comes_with_a_code(
    api: Api, saver: Saver
) -> None:
    receipt = new_receipt()
    await confirm(api, payment("rent", TransID=receipt))
    await confirm(api, payment(saver.member_code, TransID=receipt))
    assert await saver.holds() == (0, 0, 0)
    assert await suspense_items(api, receipt) == [("no_reference", 500)]


@pytest.mark.parametrize("reference", ["member", "rent"])
async def test_the_same_receipt_with_another_amount_is_a_named_discrepancy(
    api: Api, saver: Saver, reference: str
) -> None:
    receipt = new_receipt()
    typed = saver.member_code if reference == "member" else reference
    await confirm(api, payment(typed, TransID=receipt))
    for _ in range(2):
        await confirm(api, payment(typed, TransID=receipt, TransAmount="7.00"))
    noted = await api.rows(
        "SELECT role, first_amount_cents, later_amount_cents FROM mpesa.discrepancies WHERE receipt = $1",
        receipt,
    )
    assert [tuple(row) for row in noted] == [("deposit", 500, 700)]
    assert (await saver.holds())[0] == (500 if reference == "member" else 0)


@pytest.mark.parametrize("bodies_differ", [False, True])
async def test_fifty_confirmations_of_one_receipt_at_once_credit_it_once(
    api: Api, saver: Saver, *, bodies_differ: bool
) -> None:
    receipt = new_receipt()
    bodies = [
        payment(saver.member_code, TransID=receipt, OrgAccountBalance=str(number if bodies_differ else 1))
        for number in range(50)
    ]
    answers = await asyncio.gather(*(api.call_back(CONFIRMATION, body) for body in bodies))
    assert [answer.json() for answer in answers] == [ACKNOWLEDGED] * 50
    assert await saver.holds() == (500, 0, 0)
    assert len(await saver.feed()) == 1


async def test_a_deposit_undoes_the_round_up_of_the_same_receipt(api: Api, saver: Saver) -> None:
    await saver.deposit(1_000)
    receipt = new_receipt()
    await saver.spend(14_700, receipt=receipt)
    assert await saver.holds() == (700, 300, 0)
    await confirm(api, payment(saver.member_code, TransID=receipt, TransAmount="147.00"))
    assert await saver.holds() == (15_700, 0, 0)


async def test_a_spend_of_a_receipt_that_was_a_deposit_saves_nothing(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(14_700)
    answer = await saver.spend(14_700, receipt=receipt)
    assert (answer["round_up"]["outcome"], answer["round_up"]["reason"]) == ("skipped", "own_shortcode")
    assert await saver.holds() == (14_700, 0, 0)


async def test_a_receipt_told_as_spend_and_as_deposit_at_once_saves_nothing(api: Api) -> None:
    savers = [await api.new_saver() for _ in range(20)]
    for saver in savers:
        await saver.deposit(1_000)
    receipts = [new_receipt() for _ in savers]
    for saver, receipt in zip(savers, receipts, strict=True):
        # Held in suspense, so that the deposit locks no saver: the receipt alone puts the two in an order.
        deposit = confirm(api, payment("rent", TransID=receipt))
        await asyncio.gather(saver.spend(14_700, receipt=receipt), deposit)
    assert [await saver.holds() for saver in savers] == [(1_000, 0, 0)] * 20
    assert [len(await suspense_items(api, receipt)) for receipt in receipts] == [1] * 20


# Not ours, not readable


async def test_a_payment_to_a_shortcode_we_do_not_run_is_quarantined_and_credits_nobody(
    api: Api, saver: Saver
) -> None:
    floats = await api.rows("SELECT count(*) FROM ledger.accounts WHERE kind = 'float'")
    body = payment(saver.member_code, BusinessShortCode="600999", TransID=(receipt := new_receipt()))
    await confirm(api, body)
    assert await outcome_of(api, body) == "quarantined"
    assert await saver.holds() == (0, 0, 0)
    assert await suspense_items(api, receipt) == []
    assert await api.rows("SELECT 1 FROM mpesa.receipts WHERE receipt = $1", receipt) == []
    assert await api.rows("SELECT count(*) FROM ledger.accounts WHERE kind = 'float'") == floats


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[1]",
        b"{}",
        b"\xff\xfe",
        b'{"TransID": "A\\u0000BCDEFGHI", "TransAmount": "5", "BusinessShortCode": "600000"}',
        b'{"TransID": "QKL51ZDR4X", "TransAmount": "a lot", "BusinessShortCode": "600000"}',
        b'{"TransID": "QKL51ZDR4X", "TransAmount": "-5.00", "BusinessShortCode": "600000"}',
        b'{"TransID": "QKL51ZDR4X", "TransAmount": "NaN", "BusinessShortCode": "600000"}',
        b'{"TransID": "QKL51ZDR4X", "TransAmount": "5.00"}',
        b'{"TransAmount": "5.00", "BusinessShortCode": "600000"}',
        b'{"Body": {"stkCallback": {}}}',
    ],
)
async def test_garbage_is_kept_for_a_person_and_acknowledged(api: Api, body: bytes) -> None:
    booked = await api.rows("SELECT count(*) FROM ledger.transfers")
    await confirm(api, body)
    assert await outcome_of(api, body) == "quarantined"
    assert await api.rows("SELECT count(*) FROM ledger.transfers") == booked


@pytest.mark.parametrize(
    ("typed", "read"), [("20231121121325", True), ("", False), ("20239921121325", False)]
)
async def test_a_time_that_cannot_be_read_costs_nobody_the_deposit(
    api: Api, saver: Saver, typed: str, *, read: bool
) -> None:
    await confirm(api, payment(saver.member_code, TransTime=typed))
    assert await saver.holds() == (500, 0, 0)
    (row,) = await saver.feed()
    occurred_at = datetime.fromisoformat(row["occurred_at"])
    if read:
        assert occurred_at == datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC)
    else:
        assert abs((datetime.now(UTC) - occurred_at).total_seconds()) < 60


async def test_a_body_over_64_kib_is_413_and_is_not_kept(api: Api, saver: Saver) -> None:
    body = payment(saver.member_code, Padding="x" * BODY_MAX_BYTES)
    assert code_of(await api.call_back(CONFIRMATION, body)) == (413, "body_too_large")
    assert await saver.holds() == (0, 0, 0)


# The secret token


async def test_a_wrong_token_is_404_like_any_other_address_and_stores_nothing(api: Api, saver: Saver) -> None:
    body = payment(saver.member_code)
    kept = await api.rows("SELECT count(*) FROM mpesa.callbacks")
    for wrong in ("0" * 48, CALLBACK_TOKEN[:-1], CALLBACK_TOKEN.upper(), "%00", "%C3%A9", "{token}"):
        response = await api.call_back(CONFIRMATION, body, callback_token=wrong)
        assert code_of(response) == (404, "not_found"), wrong
    assert await saver.holds() == (0, 0, 0)
    assert await api.rows("SELECT count(*) FROM mpesa.callbacks") == kept


async def test_a_token_opens_the_flow_it_is_bound_to_and_no_other(serve: Serve, saver: Saver) -> None:
    tokens = {"c2b": "a1" * 16, "stk": "b2" * 16, None: "c3" * 16}
    entries = [token if flow is None else f"{flow}:{token}" for flow, token in tokens.items()]
    async with serve(mpesa_callback_tokens=SecretStr(", ".join(entries))) as bound:
        for flow, token in tokens.items():
            body = payment(saver.member_code)
            response = await bound.call_back(CONFIRMATION, body, callback_token=token)
            assert response.status_code == (404 if flow == "stk" else 200)
    assert await saver.holds() == (1_000, 0, 0)


# What is kept


async def test_the_raw_body_is_kept_encrypted_under_the_inbox_key(api: Api, saver: Saver) -> None:
    body = payment(saver.member_code, FirstName="WANJIKU", TransID=(receipt := new_receipt()))
    await confirm(api, body)
    keys = await api.runtime.service_keys.keys()
    (row,) = await api.rows(
        "SELECT id, body, kind, saver_id FROM mpesa.callbacks WHERE dedupe_hash = $1",
        keys.index.digest("callback", b"c2b_confirmation", body),
    )
    for clear in (b"WANJIKU", receipt.encode(), saver.member_code.encode(), b"TransID"):
        assert clear not in row["body"]
    assert keys.inbox.decrypt(row["body"], Place("mpesa.callbacks", "body", row["id"])) == body
    assert (row["kind"], row["saver_id"]) == ("c2b_confirmation", saver.id)


async def test_no_table_holds_the_payers_name_or_number_in_clear(api: Api, saver: Saver) -> None:
    await confirm(api, payment(saver.member_code, FirstName="Zawadi", MSISDN="254799887766"))
    await confirm(api, payment("rent", FirstName="Zawadi", MSISDN="254799887766"))
    for schema in ("savings", "mpesa", "ledger", "runtime"):
        for table in await api.rows("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema):
            name = f"{schema}.{table['tablename']}"
            found = await api.rows(f"SELECT 1 FROM {name} AS t WHERE t::text ~* 'zawadi|799887766'")
            assert found == [], name


async def test_a_confirmation_that_was_quarantined_is_booked_when_its_shortcode_has_become_ours(
    api: Api, serve: Serve
) -> None:
    payment = {"TransID": new_receipt(), "TransAmount": "50.00", "BusinessShortCode": "600777"}
    saver = await api.new_saver()
    body = json.dumps(payment | {"BillRefNumber": saver.member_code}).encode()
    for _ in range(2):
        assert (await api.call_back("/c2b/confirmation", body)).status_code == 200
    assert await saver.holds() == (0, 0, 0)
    async with serve(mpesa_shortcode="600000,600777") as other:
        for _ in range(2):
            assert (await other.call_back("/c2b/confirmation", body)).status_code == 200
    assert await saver.holds() == (5_000, 0, 0)
