"""M-PESA receipts in the one form they are counted by."""

import pytest

from zanari_api.kit.receipt import parse_receipt


@pytest.mark.parametrize("written", ["UGAQXB3O0M", "ugaqxb3o0m", " UGAQXB3O0M\n"])
def test_one_receipt_has_one_form(written: str) -> None:
    assert parse_receipt(written) == "UGAQXB3O0M"


@pytest.mark.parametrize("written", ["A" * 6, "9" * 20, "ER30SR746"])
def test_older_and_longer_receipts_are_read(written: str) -> None:
    assert parse_receipt(written) == written


@pytest.mark.parametrize(
    "written",
    ["", "ABCDE", "A" * 21, "UGAQ XB3O0M", "UGAQ-XB3O0M", "ßGAQXB3O0M", "UGAQXB3O0\u0131", "A\x00BCDEF"],
)
def test_other_text_is_no_receipt(written: str) -> None:
    with pytest.raises(ValueError, match="receipt"):
        parse_receipt(written)
