"""Reading statements: columns by name, whatever the portal puts above them, in every form of amounts and times."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.reconciliation.statement_file import Line, StatementUnreadable, read_statement

HEADER = (
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,Balance,Reason Type,"
    "Other Party Info,Linked Transaction ID,A/C No."
)


def text_of(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def statement(*rows: str, header: str = HEADER) -> list[Line]:
    return list(read_statement("\n".join([header, *rows]).encode()).lines)


def line(*rows: str, header: str = HEADER) -> Line:
    (only,) = statement(*rows, header=header)
    return only


def test_a_payment_is_read_with_what_was_typed() -> None:
    read = line(
        "TKA1B2C3D4,2026-11-24 10:00:00,2026-11-24 09:59:58,Pay Bill from 2547***,Completed,1500.00,,21500.00,"
        "Pay Bill Online,2547*** - JANE,,12345671"
    )
    assert read == Line(
        receipt="TKA1B2C3D4",
        completed_at=datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
        change_cents=150_000,
        balance_cents=2_150_000,
        details="Pay Bill from 2547***",
        reason="Pay Bill Online",
        linked_receipt=None,
        account_reference="12345671",
    )


@pytest.mark.parametrize(
    ("paid_in", "withdrawn", "cents"),
    [
        ('"1,234.50"', "", 123_450),
        ("KES 10", "", 1_000),
        ("", "200.00", -20_000),
        ("", "-200.00", -20_000),
        ("0.00", "200", -20_000),
        ("50.5", "0.00", 5_050),
    ],
)
def test_amounts_are_read_by_their_digits_and_withdrawn_is_always_less(
    paid_in: str, withdrawn: str, cents: int
) -> None:
    assert (
        line(f"TKA1B2C3D4,2026-11-24 10:00:00,,x,Completed,{paid_in},{withdrawn},,,,,").change_cents == cents
    )


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24 10:00:00",
        "24-11-2026 10:00:00",
        "24/11/2026 10:00",
        "24.11.2026 10:00:00",
        "20261124100000",
    ],
)
def test_times_are_east_africas_in_every_form(written: str) -> None:
    assert line(f"TKA1B2C3D4,{written},,x,,5,,,,,,").completed_at == datetime(2026, 11, 24, 7, 0, tzinfo=UTC)


def test_columns_are_found_by_name_in_any_order_below_what_a_portal_writes_above() -> None:
    data = text_of(
        "Account Holder,ZANARI",
        "Short Code,600000",
        "",
        "Status;ignored",
        "WITHDRAWN,PAID IN,RECEIPT NO,COMPLETION TIME",
        "40.00,,TKA1B2C3D4,2026-11-24 10:00:00",
    )
    (read,) = read_statement(data).lines
    assert (read.receipt, read.change_cents, read.balance_cents) == ("TKA1B2C3D4", -4_000, None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_any_delimiter_and_encoding_will_do(delimiter: str, encoding: str) -> None:
    rows = ["Receipt No.,Completion Time,Details,Paid In", "TKA1B2C3D4,2026-11-24 10:00:00,Café,5.00"]
    data = "\r\n".join(rows).replace(",", delimiter).encode(encoding)
    (read,) = read_statement(data).lines
    assert (read.change_cents, read.details) == (500, "Café")


def test_what_was_not_completed_is_left_out_and_what_cannot_be_read_is_counted() -> None:
    data = text_of(
        HEADER,
        "TKA1B2C3D4,2026-11-24 10:00:00,,x,Declined,5.00,,,,,,",
        ",,,,,,,,,,,",
        "",
        "Total,,,,,500.00,,,,,,",
        "TKA1B2C3D5,some day,,x,Completed,5.00,,,,,,",
        "TKA1B2C3D6,2026-11-24 10:00:00,,x,Completed,five,,,,,,",
        "TKA1B2C3D7,2026-11-24 10:00:00",
        "TKA1B2C3D8,2026-11-24 10:00:00,,x,COMPLETED,5.00,,,,,,",
    )
    read = read_statement(data)
    assert [each.receipt for each in read.lines] == ["TKA1B2C3D8"]
    assert read.unread == 4


def test_a_day_without_movements_has_no_lines() -> None:
    read = read_statement(HEADER.encode())
    assert (list(read.lines), read.unread) == ([], 0)


def rows_of(*pairs: tuple[str, int, int]) -> list[str]:
    """Return rows of (time, shillings in, balance)."""
    return [
        f"TKA1B2C3D{place},2026-11-24 {at},,x,Completed,{paid},,{balance},,,,"
        for place, (at, paid, balance) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    "pairs",
    [
        [("10:00:00", 5, 5), ("11:00:00", 7, 12)],
        [("11:00:00", 7, 12), ("10:00:00", 5, 5)],
        [("10:00:00", 5, 5), ("10:00:00", 7, 12)],
        [("10:00:00", 7, 12), ("10:00:00", 5, 5)],
        [("11:00:00", 7, 12), ("10:00:00", 4, 5), ("10:00:00", 1, 1)],
    ],
)
def test_lines_come_in_the_order_of_time_whichever_end_the_file_begins_at(
    pairs: list[tuple[str, int, int]],
) -> None:
    read = read_statement("\n".join([HEADER, *rows_of(*pairs)]).encode())
    assert [each.balance_cents for each in read.lines] == sorted(balance * 100 for _, _, balance in pairs)


def test_lines_of_one_second_without_balances_stay_as_they_came() -> None:
    rows = [f"TKA1B2C3D{place},2026-11-24 10:00:00,,x,Completed,{place + 1},,,,,," for place in range(3)]
    assert [each.change_cents for each in statement(*rows)] == [100, 200, 300]


@pytest.mark.parametrize(
    ("words", "reference", "ours"),
    [
        ("Organization Deposit of Funds from bank", "", True),
        ("Organization Funds Transfer utility to working", "", True),
        ("Pay Bill from 2547***", "12345671", False),
        ("Bank to Pay Bill of a customer", "12345671", False),
        ("Pay Bill from 2547***", "", False),
    ],
)
def test_our_own_money_is_told_by_its_words_where_nobody_typed_a_number(
    words: str, reference: str, *, ours: bool
) -> None:
    read = line(f"TKA1B2C3D4,2026-11-24 10:00:00,,{words},Completed,5.00,,,,,,{reference}")
    assert read.is_own_move is ours


def test_a_reversal_names_what_it_takes_back() -> None:
    assert (
        line("TKA1B2C3D4,2026-11-24 10:00:00,,x,Completed,,5.00,,,,TKORIGINAL,").linked_receipt
        == "TKORIGINAL"
    )


@pytest.mark.parametrize(
    "text", ["", "hello", "Receipt No.,Completion Time\nTKA1B2C3D4,2026-11-24", "a,b,c\n1,2,3"]
)
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(StatementUnreadable, match="no columns"):
        read_statement(text.encode())


def test_more_lines_than_a_day_can_have_are_refused() -> None:
    with pytest.raises(StatementUnreadable, match="more lines"):
        read_statement(b"\n".join([HEADER.encode(), *[b","] * 200_001]))


def test_a_cell_beyond_all_measure_is_refused() -> None:
    with pytest.raises(StatementUnreadable, match="no CSV file"):
        read_statement(text_of(HEADER, "x" * 200_000))


@given(st.binary(max_size=2_000))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        read = read_statement(HEADER.encode() + b"\n" + data)
    except StatementUnreadable:
        return
    assert all(isinstance(each.change_cents, int) and each.change_cents for each in read.lines)
