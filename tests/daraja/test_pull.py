"""Pages of pulled payments, in whatever they are wrapped, and what is no page."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.daraja_shapes import ToldRow, pull_bodies, told_pull, write
from zanari_api.daraja.pull import PullPage, PullRow, read_pull
from zanari_api.daraja.values import UnreadableCallback

ROW = {
    "transactionId": "SKC82PACB8",
    "trxDate": "2020-08-05T10:13:00Z",
    "msisdn": 254708374149,
    "sender": "MPESA",
    "transactiontype": "c2b-pay-bill-debit",
    "billreference": "12345671",
    "amount": "50.5",
    "organizationname": "Zanari",
}


def read(body: Any) -> PullPage:
    return read_pull(write(body))


def page(*rows: Any, **more: Any) -> PullPage:
    return read({"ResponseRefID": "26178-42530161-2", "ResponseCode": "1000", "Response": [[*rows]], **more})


def test_a_row_is_read_in_our_words() -> None:
    assert page(ROW) == PullPage(
        rows=(
            PullRow(
                receipt="SKC82PACB8",
                amount_cents=5_050,
                account_reference="12345671",
                transaction_type="c2b-pay-bill-debit",
                sender="MPESA",
                organization="Zanari",
                msisdn_raw="254708374149",
                occurred_at_raw="2020-08-05T10:13:00Z",
                occurred_at_as_utc=datetime(2020, 8, 5, 10, 13, tzinfo=UTC),
                occurred_at_as_eat=datetime(2020, 8, 5, 7, 13, tzinfo=UTC),
                extra={},
            ),
        ),
        unread=0,
    )


@pytest.mark.parametrize(
    "container",
    [[ROW], [[ROW]], [[[ROW]]], {"Rows": [ROW]}, ROW, write([[ROW]]).decode(), write([ROW]).decode()],
    ids=["list", "nested", "nested twice", "named", "object", "text", "flat text"],
)
@pytest.mark.parametrize("name", ["Response", "ResponseData", "transactions"])
def test_rows_are_found_in_any_container(container: object, name: str) -> None:
    read_page = read({"ResponseCode": "1000", name: container})
    assert [row.receipt for row in read_page.rows] == ["SKC82PACB8"]


def test_rows_count_even_without_a_code() -> None:
    assert len(read({"Response": [ROW]}).rows) == 1


@pytest.mark.parametrize("empty", ["[[]]", [[]], [], None, "", "[]"])
@pytest.mark.parametrize("status", ["ResponseCode", "ResponseStatus"])
@pytest.mark.parametrize("code", ["1001", 1001])
def test_none_is_said_by_a_code(empty: object, status: str, code: object) -> None:
    assert read({status: code, "Response": empty}) == PullPage(rows=(), unread=0)


def test_none_is_said_by_the_code_of_success_and_an_empty_list() -> None:
    assert read({"ResponseCode": "1000", "Response": [[]]}) == PullPage(rows=(), unread=0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Response": [[]]},
        {"Response": "[[]]"},
        {"ResponseCode": "2000", "Response": [[]]},
        {"errorCode": "500.003.02", "errorMessage": "System is busy"},
        {"ResponseCode": None, "Response": []},
        {"ResponseCode": "1000"},
        {"ResponseCode": "1000", "Response": ""},
        {"ResponseCode": "1000", "Response": "[[not json"},
        {"ResponseCode": "1001", "Response": "[[]] and more"},
        {"ResponseCode": "1000", "Response": '[], "rows": []'},
        {"ResponseCode": "1000", "Response": '[], "more": []'},
        {"ResponseStatus": "1001", "ShortCode": "600000", "ResponseDescription": "Already registered"},
    ],
)
def test_a_body_without_rows_and_without_the_code_is_no_empty_page(body: object) -> None:
    with pytest.raises(UnreadableCallback):
        read(body)


@pytest.mark.parametrize(
    "broken",
    [
        {"transactionId": None},
        {"transactionId": "short"},
        {"amount": None},
        {"amount": "0"},
        {"amount": "1.005"},
    ],
)
def test_a_row_that_cannot_be_read_is_counted(broken: dict[str, Any]) -> None:
    found = page(ROW, ROW | broken)
    assert (len(found.rows), found.unread) == (1, 1)


@pytest.mark.parametrize(
    ("written", "as_utc", "as_eat"),
    [
        (
            "2020-08-05 10:13:00",
            datetime(2020, 8, 5, 10, 13, tzinfo=UTC),
            datetime(2020, 8, 5, 7, 13, tzinfo=UTC),
        ),
        (
            "2020-08-05T10:13:00+03:00",
            datetime(2020, 8, 5, 7, 13, tzinfo=UTC),
            datetime(2020, 8, 5, 7, 13, tzinfo=UTC),
        ),
        ("20200805101300", None, datetime(2020, 8, 5, 7, 13, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None, None),
        ("9999-12-31T23:59:59Z", None, None),
        ("soon", None, None),
        (None, None, None),
        ([], None, None),
    ],
)
def test_a_time_means_what_it_may_mean(written: object, as_utc: object, as_eat: object) -> None:
    [row] = page(ROW | {"trxDate": written}).rows
    assert (row.occurred_at_as_utc, row.occurred_at_as_eat) == (as_utc, as_eat)


def test_what_a_row_says_beyond_what_is_known_is_kept() -> None:
    [row] = page(ROW | {"Channel": Decimal("1.50")}).rows
    assert row.extra == {"channel": Decimal("1.50")}


def test_a_hundred_rows_are_a_full_page() -> None:
    assert page(*[ROW] * 99, ROW | {"transactionId": None}).is_full
    assert not page(*[ROW] * 99).is_full


def test_endless_nesting_ends() -> None:
    nested: Any = ROW
    for _ in range(50):
        nested = [nested]
    assert read({"ResponseCode": "1000", "Response": nested}).rows == ()


@settings(deadline=None)
@given(told_pull())
def test_whatever_way_a_page_is_written_it_says_the_same(written: tuple[bytes, list[ToldRow]]) -> None:
    body, told = written
    read_page = read_pull(body)
    said = [
        ToldRow(receipt=row.receipt, amount_cents=row.amount_cents, account_reference=row.account_reference)
        for row in read_page.rows
    ]
    assert (said, read_page.unread) == (told, 0)


@settings(deadline=None)
@given(pull_bodies)
def test_a_distorted_page_is_read_or_unreadable(body: bytes) -> None:
    try:
        read_page = read_pull(body)
    except UnreadableCallback:
        return
    assert all(row.amount_cents > 0 for row in read_page.rows)
