"""Ids in Safaricom's shapes, the same from the same seed, and never twice."""

import re
from datetime import UTC, datetime

import pytest

from tests.sandbox.safaricom.caller import WANJIKU
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.ids import Ids

NOW = datetime(2026, 11, 25, 7, 15, 0, 123_456, tzinfo=UTC)


def made(ids: Ids) -> list[str]:
    return [ids.receipt(NOW), ids.conversation(NOW), ids.checkout_request(NOW, WANJIKU), ids.request()]


def test_the_same_seed_makes_the_same_ids() -> None:
    assert made(Ids(1)) == made(Ids(1))
    assert made(Ids(1))[0] != made(Ids(2))[0]


def test_an_id_that_was_given_out_is_not_given_out_again() -> None:
    first = Ids(1)
    before = made(first)
    second = Ids(1)
    second.used = set(before)
    assert set(made(second)).isdisjoint(before)


def test_ids_have_safaricom_s_shapes() -> None:
    receipt, conversation, checkout, request = made(Ids(1))
    assert re.fullmatch(r"UKP[A-Z0-9]{7}", receipt)
    assert re.fullmatch(r"AG_20261125_[0-9a-f]{20}", conversation)
    assert checkout == "ws_CO_25112026101500123712345678"
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[0-9]{7}", request)


@pytest.mark.parametrize(
    ("at", "begins"),
    [
        (datetime(2019, 12, 19, 7, tzinfo=UTC), "NLJ"),
        (datetime(2024, 7, 6, 19, tzinfo=UTC), "SG6"),
        (datetime(2025, 12, 31, 20, 59, tzinfo=UTC), "TLV"),
        # A new year begins in Nairobi first.
        (datetime(2025, 12, 31, 21, tzinfo=UTC), "UA1"),
    ],
)
def test_a_receipt_begins_with_its_day_in_nairobi(at: datetime, begins: str) -> None:
    assert Ids(1).receipt(at).startswith(begins)
    assert Ids(1).placeholder(at) == f"{begins}0000000"


async def test_what_goes_wrong_inside_is_raised_where_the_test_waits() -> None:
    emulator = SafaricomEmulator()

    async def stumble() -> None:
        raise ArithmeticError("inside")

    emulator._core.spawn(stumble())
    with pytest.raises(ArithmeticError, match="inside"):
        await emulator.quiet()
    await emulator.quiet()
