"""What M-PESA charges a saver: the table that comes with the service, and tables that are refused."""

from datetime import date
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from zanari_api.roundups.tariffs import TariffInvalid, load_tariffs, parse_tariffs, tariff_on

TARIFF = load_tariffs()[0]


@pytest.mark.parametrize(
    ("shillings", "fee"),
    [
        (1, 0),
        (100, 0),
        (101, 5),
        (500, 5),
        (501, 10),
        (1_000, 10),
        (1_001, 15),
        (1_500, 15),
        (2_500, 20),
        (3_500, 25),
        (5_000, 34),
        (7_500, 42),
        (10_000, 48),
    ],
)
def test_a_payment_costs_what_the_published_table_says(shillings: int, fee: int) -> None:
    assert TARIFF.fee_cents(shillings * 100) == fee * 100


@pytest.mark.parametrize("cents", [0, -100, 1_000_001])
def test_a_fee_that_no_band_tells_is_not_guessed(cents: int) -> None:
    with pytest.raises(ValueError, match=r"paid for nothing|not known"):
        TARIFF.fee_cents(cents)


def test_the_table_says_where_it_is_from_and_that_it_is_to_be_checked() -> None:
    assert "money.ke" in TARIFF.source
    assert "check before launch" in TARIFF.source
    assert TARIFF.most_cents == 1_000_000


def test_the_newest_tariff_whose_day_has_come_holds() -> None:
    old, new = parse_tariffs(document([bands(("2024-01-01", 5)), bands(("2026-07-01", 7))]))
    assert tariff_on(date(2026, 6, 30), (old, new)) is old
    assert tariff_on(date(2026, 7, 1), (old, new)) is new
    assert tariff_on(date(2030, 1, 1), (old, new)) is new


def test_the_first_tariff_holds_for_the_time_before_it() -> None:
    (old,) = parse_tariffs(document([bands(("2024-01-01", 5))]))
    assert tariff_on(date(2023, 12, 31), (old,)) is old


@pytest.mark.parametrize(
    "planted",
    [
        [{"from_kes": 2, "to_kes": 100, "fee_kes": 0}],
        [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}, {"from_kes": 102, "to_kes": 500, "fee_kes": 5}],
        [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}, {"from_kes": 100, "to_kes": 500, "fee_kes": 5}],
        [{"from_kes": 1, "to_kes": 100, "fee_kes": 5}, {"from_kes": 101, "to_kes": 500, "fee_kes": 4}],
        [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}, {"from_kes": 101, "to_kes": 99, "fee_kes": 5}],
    ],
    ids=["starts over one", "a gap", "an overlap", "less for more", "ends before it starts"],
)
def test_a_table_that_cannot_be_one_is_refused(planted: list[dict[str, int]]) -> None:
    with pytest.raises(TariffInvalid):
        parse_tariffs(document([{"valid_from": "2024-01-01", "source": "here", "bands": planted}]))


@pytest.mark.parametrize(
    "tariffs",
    [[], [("2026-01-01", 5), ("2024-01-01", 5)], [("2024-01-01", 5), ("2024-01-01", 6)]],
    ids=["none", "not in order", "a day twice"],
)
def test_tariffs_are_listed_by_date_each_date_once(tariffs: list[tuple[str, int]]) -> None:
    with pytest.raises(TariffInvalid):
        parse_tariffs(document([bands(tariff) for tariff in tariffs]))


@pytest.mark.parametrize(
    "planted",
    [
        {"valid_from": "soon", "source": "here", "bands": [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}]},
        {"valid_from": "2024-01-01", "source": "", "bands": [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}]},
        {"valid_from": "2024-01-01", "source": "here", "bands": []},
        {
            "valid_from": "2024-01-01",
            "source": "here",
            "bands": [{"from_kes": 1, "to_kes": 100, "fee_kes": 0.5}],
        },
        {"valid_from": "2024-01-01", "bands": [{"from_kes": 1, "to_kes": 100, "fee_kes": 0}]},
    ],
    ids=["no date", "an empty source", "no bands", "a fee with a fraction", "no source"],
)
def test_a_tariff_without_its_parts_is_refused(planted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_tariffs(document([planted]))


def bands(of: tuple[str, int]) -> dict[str, Any]:
    valid_from, fee = of
    return {
        "valid_from": valid_from,
        "source": "here",
        "bands": [
            {"from_kes": 1, "to_kes": 100, "fee_kes": 0},
            {"from_kes": 101, "to_kes": 500, "fee_kes": fee},
        ],
    }


def document(tariffs: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"about": "a test's", "tariffs": tariffs})
