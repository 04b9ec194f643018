"""What result codes mean, per API: definite where Safaricom says so, and never guessed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zanari_api.daraja.codes import TABLES, UNKNOWN, Api, Kind, Reason, meaning


def definite(api: Api, kind: Kind) -> set[str]:
    return {code for code, found in TABLES[api].items() if found.kind is kind}


def test_only_0_is_success_everywhere() -> None:
    for api in Api:
        assert definite(api, Kind.SUCCESS) == {"0"}


def test_a_push_fails_for_certain_by_these_codes_and_no_others() -> None:
    assert definite(Api.STK, Kind.FAILED) == {
        *("1", "2", "3", "4", "8", "17", "1001", "1019", "1025", "1032", "1037", "2001", "2028", "8006"),
        "SFC_IC0003",
    }


def test_a_payout_fails_for_certain_by_these_codes_and_no_others() -> None:
    assert definite(Api.B2C, Kind.FAILED) == {
        *(
            "1",
            "2",
            "3",
            "4",
            "8",
            "11",
            "18",
            "20",
            "21",
            "24",
            "25",
            "2001",
            "2006",
            "2028",
            "2040",
            "8006",
        ),
        "SFC_IC0003",
    }


@pytest.mark.parametrize(
    ("code", "of_a_push", "of_a_payout"),
    [
        ("17", (Kind.FAILED, Reason.RULE_LIMITED), (Kind.UNRESOLVED, Reason.INTERNAL_FAILURE)),
        ("2001", (Kind.FAILED, Reason.WRONG_PIN), (Kind.FAILED, Reason.INITIATOR_INVALID)),
        ("1", (Kind.FAILED, Reason.INSUFFICIENT_FUNDS), (Kind.FAILED, Reason.FLOAT_EMPTY)),
        ("26", (Kind.UNRESOLVED, Reason.BUSY), (Kind.UNRESOLVED, Reason.BUSY)),
        ("1032", (Kind.FAILED, Reason.CANCELLED), (Kind.UNRESOLVED, Reason.UNKNOWN_CODE)),
        ("15", (Kind.UNRESOLVED, Reason.UNKNOWN_CODE), (Kind.UNRESOLVED, Reason.DUPLICATE)),
    ],
)
def test_a_code_means_what_its_api_means_by_it(
    code: str, of_a_push: tuple[Kind, Reason], of_a_payout: tuple[Kind, Reason]
) -> None:
    push, payout = meaning(Api.STK, code), meaning(Api.B2C, code)
    assert ((push.kind, push.reason), (payout.kind, payout.reason)) == (of_a_push, of_a_payout)


def test_a_prompt_on_the_handset_is_pending() -> None:
    assert meaning(Api.STK, "4999").kind is Kind.PENDING
    assert not meaning(Api.STK, "4999").is_definite


@pytest.mark.parametrize("code", ["26", "1036", "9999"])
def test_a_fault_on_the_way_to_the_phone_ends_nothing(code: str) -> None:
    assert meaning(Api.STK, code).kind is Kind.UNRESOLVED


def test_a_transaction_that_is_not_known_is_found_by_its_code() -> None:
    assert meaning(Api.STATUS, "2032").reason is Reason.NOT_FOUND
    assert meaning(Api.STATUS, "R000002").kind is Kind.UNRESOLVED
    assert meaning(Api.REVERSAL, "R000002").reason is Reason.NO_SUCH_TRANSACTION
    assert meaning(Api.REVERSAL, "R000001").reason is Reason.ALREADY_REVERSED


@settings(deadline=None)
@given(st.sampled_from(Api), st.text(max_size=12))
def test_what_is_on_no_list_is_unresolved(api: Api, code: str) -> None:
    assert code in TABLES[api] or meaning(api, code) == UNKNOWN


def test_a_saver_is_not_told_of_our_initiator() -> None:
    for api in (Api.STK, Api.B2C):
        assert not [code for code, found in TABLES[api].items() if "initiator" in found.text.lower()]
    assert "initiator" in meaning(Api.BALANCE, "2001").text


def test_every_meaning_is_a_sentence() -> None:
    for table in TABLES.values():
        for found in [*table.values(), UNKNOWN]:
            assert found.text[0].isupper()
            assert found.text.endswith(".")
            assert found.is_definite == (found.kind in {Kind.SUCCESS, Kind.FAILED})
