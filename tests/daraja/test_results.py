"""Results of payouts, status queries, balances and reversals, and what may be concluded from each."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.daraja_shapes import ToldB2C, result_bodies, sample, samples, told_b2c, write
from zanari_api.daraja.codes import Api, Kind, Reason
from zanari_api.daraja.results import (
    B2CResult,
    BalanceLine,
    BalanceResult,
    ResultCallback,
    ReversalResult,
    StatusResult,
    read_result,
)
from zanari_api.daraja.values import UnreadableCallback


def read(body: Any) -> ResultCallback:
    return read_result(write(body))


def changed(id_: str, code: object = None, **parameters: object) -> ResultCallback:
    """A published result with another code, or with some parameters replaced; None takes one away."""
    body = sample(id_)
    if code is not None:
        body["Result"]["ResultCode"] = code
    listed = body["Result"].setdefault("ResultParameters", {}).setdefault("ResultParameter", [])
    told = {item["Key"]: item.get("Value") for item in listed} | parameters
    body["Result"]["ResultParameters"]["ResultParameter"] = [
        {"Key": name, "Value": value} for name, value in told.items() if value is not None
    ]
    return read(body)


@pytest.mark.parametrize(
    "told",
    samples("b2c_result", "b2b_result", "txn_status", "account_balance", "reversal"),
    ids=lambda each: each["id"],
)
def test_every_sample_is_readable(told: dict[str, Any]) -> None:
    result = read(told["body"])
    assert result.originator_conversation_id
    assert result.conversation_id
    assert result.extra == {}


def test_the_documented_payout_is_read_in_our_words() -> None:
    result = read(sample("p25"))
    assert (result.result_type, result.result_code) == ("0", "0")
    assert result.originator_conversation_id == "53e3-4aa8-9fe0-8fb5e4092cdd3533373"
    assert result.conversation_id == "AG_20240706_2010364430d9bbdaf872"
    assert result.references == {
        "QueueTimeoutURL": "https://internalsandbox.safaricom.co.ke/mpesa/b2cresults/v1/submit"
    }
    assert B2CResult.of(result) == B2CResult(
        receipt="SG632NMUAB",
        amount_cents=1_000,
        completed_at=datetime(2024, 7, 6, 19, 48, 52, tzinfo=UTC),
        utility_cents=895_926_960,
        working_cents=119_937_100,
        charges_paid_cents=-198_000,
        receiver_registered=True,
    )


def test_a_failed_payout_has_no_receipt_though_its_transaction_id_looks_real() -> None:
    result = read(sample("p29"))
    assert result.transaction_id_raw == "SG722NMVXQ"
    assert result.meaning(Api.B2C).reason is Reason.INITIATOR_INVALID
    assert B2CResult.of(result) == B2CResult(
        receipt=None,
        amount_cents=None,
        completed_at=None,
        utility_cents=None,
        working_cents=None,
        charges_paid_cents=None,
        receiver_registered=None,
    )


@pytest.mark.parametrize("code", [2001, "17", "NEW_9"])
def test_a_receipt_under_a_code_that_is_no_success_is_no_receipt(code: object) -> None:
    assert B2CResult.of(changed("p25", code)).receipt is None
    assert StatusResult.of(changed("p37", code)).receipt is None


def test_a_placeholder_is_never_a_receipt() -> None:
    result = changed("p25", TransactionReceipt=None)
    assert result.transaction_id_raw == "SG632NMUAB"
    assert B2CResult.of(result).receipt is None


@pytest.mark.parametrize(
    ("written", "registered"), [("Y", True), ("n", False), ("maybe", None), (None, None)]
)
def test_whether_the_receiver_is_registered_is_known_or_not(written: object, registered: object) -> None:
    assert (
        B2CResult.of(changed("p25", B2CRecipientIsRegisteredCustomer=written)).receiver_registered
        is registered
    )


def test_a_parameter_alone_may_come_as_an_object() -> None:
    assert read(sample("p36")).parameters == {"BOCompletedTime": 20200120164825}


def test_references_may_be_a_list() -> None:
    body = sample("p29")
    body["Result"]["ReferenceData"]["ReferenceItem"] = [
        {"Key": "BillReferenceNumber", "Value": "19008"},
        {"Key": "Occasion"},
    ]
    assert read(body).references == {"BillReferenceNumber": "19008", "Occasion": None}


def test_the_documented_status_is_read_in_our_words() -> None:
    result = read(sample("p37"))
    assert result.originator_conversation_id == "3213-416199-2"
    assert result.transaction_id_raw == "MBN0000000"
    assert result.parameters["DebitPartyName"] == ("600310 - Safaricom333", "254708374149 - John Doe")
    assert StatusResult.of(result) == StatusResult(
        receipt="MBN31H462N",
        status="Completed",
        amount_cents=30_000,
        originator_conversation_id="3211-416020-3",
        conversation_id="AG_20180223_000041b09c22e613d6c9",
        initiated_at=datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC),
        finalised_at=datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC),
        charge_cents=2_240,
        not_found=False,
    )
    assert StatusResult.of(result).is_completed


def test_a_name_is_the_same_with_a_space_in_it() -> None:
    result = changed("p37", **{"ConversationID": None, "Conversation ID": "AG_1"})
    assert StatusResult.of(result).conversation_id == "AG_1"


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        ("Completed", "completed"),
        ("completed", "completed"),
        ("Cancelled", "not completed"),
        ("Declined", "not completed"),
        ("Expired", "not completed"),
        ("Authorized", None),
        (None, None),
    ],
)
def test_only_final_states_end_a_transaction(status: object, ending: str | None) -> None:
    found = StatusResult.of(changed("p37", TransactionStatus=status))
    assert found.is_completed == (ending == "completed")
    assert found.is_finally_not_completed == (ending == "not completed")


def test_a_status_under_a_failed_query_says_nothing() -> None:
    found = StatusResult.of(changed("p37", 2001))
    assert (found.status, found.receipt, found.is_completed, found.not_found) == (None, None, False, False)


def test_not_found_is_said_by_its_code_and_by_nothing_else() -> None:
    body = sample("p29")
    body["Result"] |= {"ResultCode": 2032, "ResultDesc": "The transaction receipt number does not exist."}
    assert StatusResult.of(read(body)).not_found
    body["Result"]["ResultCode"] = 9
    assert not StatusResult.of(read(body)).not_found


@pytest.mark.parametrize(
    ("written", "cents"),
    [
        ("Fee For B2C Payment|KES|22.40", 2_240),
        (" Fee | KES | 0 ", 0),
        ("", None),
        (None, None),
        ("22.40", None),
        ("Fee|USD|22.40", None),
        ("Fee|KES|22.405", None),
        ("Fee|KES|1|2", None),
    ],
)
def test_the_charge_is_read_from_its_third_part(written: object, cents: int | None) -> None:
    assert StatusResult.of(changed("p37", DebitPartyCharges=written)).charge_cents == cents


def test_the_documented_balances_are_read_in_our_words() -> None:
    result = read(sample("p39"))
    assert (result.result_type, result.result_code) == ("0", "0")
    balances = BalanceResult.of(result)
    assert balances.utility == BalanceLine(
        current_cents=22_803_700, available_cents=22_803_700, reserved_cents=0, uncleared_cents=0
    )
    assert balances.working is not None
    assert balances.charges_paid is not None
    assert (balances.working.current_cents, balances.charges_paid.current_cents) == (70_000_000, -154_000)
    assert balances.completed_at == datetime(2020, 1, 9, 9, 57, 10, tzinfo=UTC)
    assert (set(balances.accounts), balances.unread) == (
        {
            "Working Account",
            "Float Account",
            "Utility Account",
            "Charges Paid Account",
            "Organization Settlement Account",
        },
        0,
    )


def balances_in(written: object) -> BalanceResult:
    return BalanceResult.of(changed("p39", AccountBalance=written))


def test_an_accident_in_the_last_number_does_not_lose_the_balance() -> None:
    balances = balances_in("Utility Account|KES|1.00|1.00|0.00|0.008&Float Account|KES|2.00|2.00|0.00|0.00")
    assert balances.utility == BalanceLine(
        current_cents=100, available_cents=100, reserved_cents=0, uncleared_cents=None
    )
    assert (balances.accounts["Float Account"].current_cents, balances.unread) == (200, 0)


@pytest.mark.parametrize(
    "part",
    [
        "Utility Account|KES|1.00|1.00|0.00",
        "Utility Account|KES|1.00|1.00|0.00|0.00|0.00",
        "Utility Account|USD|1.00|1.00|0.00|0.00",
        "Utility Account|KES|lots|1.00|0.00|0.00",
        "|KES|1.00|1.00|0.00|0.00",
        "Utility Account",
    ],
)
def test_a_part_that_is_no_account_is_counted_and_left_out(part: str) -> None:
    balances = balances_in(f"{part}&Working Account|KES|3.00|3.00|0.00|0.00")
    assert (balances.utility, balances.charges_paid, balances.unread) == (None, None, 1)
    assert balances.working is not None


def test_an_account_told_twice_is_left_out() -> None:
    line = "Utility Account|KES|1.00|1.00|0.00|0.00"
    balances = balances_in(f"{line}&{line}")
    assert (balances.accounts, balances.unread) == ({}, 2)


@pytest.mark.parametrize("written", [None, "", 7, [], "&&"])
def test_without_balances_there_are_none(written: object) -> None:
    assert balances_in(written).accounts == {}


def test_the_documented_reversal_is_read_in_our_words() -> None:
    result = read(sample("p41"))
    assert result.meaning(Api.REVERSAL).kind is Kind.SUCCESS
    assert ReversalResult.of(result) == ReversalResult(
        original_receipt="SKC82PACB8",
        amount_cents=100,
        completed_at=datetime(2021, 11, 14, 10, 27, 11, tzinfo=UTC),
        charge_cents=0,
        contradicts_itself=False,
    )


def test_a_reversal_that_says_no_in_the_words_of_a_yes_contradicts_itself() -> None:
    result = read(sample("p43"))
    assert result.result_code == "21"
    assert result.meaning(Api.REVERSAL).kind is Kind.FAILED
    assert ReversalResult.of(result).contradicts_itself


@pytest.mark.parametrize("code", ["R000001", "R000002"])
def test_a_reversal_that_was_refused_does_not(code: str) -> None:
    body = sample("p29")
    body["Result"]["ResultCode"] = code
    reversal = ReversalResult.of(read(body))
    assert (reversal.original_receipt, reversal.contradicts_itself) == (None, False)


@pytest.mark.parametrize(
    "broken",
    [
        {"ResultCode": None},
        {"ResultCode": []},
        {"OriginatorConversationID": None, "ConversationID": None},
        {"OriginatorConversationID": "", "ConversationID": " "},
    ],
)
def test_without_a_code_or_any_id_it_is_no_result(broken: dict[str, Any]) -> None:
    body = sample("p25")
    body["Result"] |= broken
    with pytest.raises(UnreadableCallback):
        read(body)


@pytest.mark.parametrize("missing", ["OriginatorConversationID", "ConversationID"])
def test_one_of_the_two_ids_is_enough(missing: str) -> None:
    body = sample("p25")
    del body["Result"][missing]
    assert B2CResult.of(read(body)).receipt == "SG632NMUAB"


@pytest.mark.parametrize("body", [{}, {"Result": None}, {"Result": []}, {"Body": {}}])
def test_another_envelope_is_unreadable(body: object) -> None:
    with pytest.raises(UnreadableCallback):
        read(body)


def test_unknown_keys_are_kept_by_where_they_were() -> None:
    body = sample("p25")
    body["Trace"] = Decimal("1.10")
    body["Result"]["Channel"] = "API"
    body["Result"]["ResultParameters"]["Count"] = 8
    body["Result"]["ReferenceData"]["Count"] = 1
    assert read(body).extra == {
        "Trace": Decimal("1.10"),
        "Result.Channel": "API",
        "ResultParameters.Count": 8,
        "ReferenceData.Count": 1,
    }


@settings(deadline=None)
@given(told_b2c())
def test_whatever_way_a_payouts_result_is_written_it_says_the_same(written: tuple[bytes, ToldB2C]) -> None:
    body, told = written
    result = read_result(body)
    assert (result.originator_conversation_id, result.conversation_id) == (
        told.originator_conversation_id,
        told.conversation_id,
    )
    assert result.result_code == told.result_code
    payout = B2CResult.of(result)
    assert (payout.receipt, payout.amount_cents) == (told.receipt, told.amount_cents)
    assert (payout.completed_at, payout.utility_cents) == (told.completed_at, told.utility_cents)


@settings(deadline=None)
@given(result_bodies)
def test_a_distorted_result_is_read_or_unreadable_and_so_are_its_views(body: bytes) -> None:
    try:
        result = read_result(body)
    except UnreadableCallback:
        return
    for view in (B2CResult, StatusResult, BalanceResult, ReversalResult):
        assert view.of(result)
