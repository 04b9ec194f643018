"""What an operator sees of a callback's body: enough to work with, and nobody in it."""

import json

import pytest
from hypothesis import given

from tests.support.daraja_shapes import SAMPLES, callback_bodies, sample, write
from zanari_api.daraja.masking import mask_people

PEOPLE = ("708374149", "722000000", "jane", "doe", "john", "nicholas", "songok", "jeri")
"""Whoever is in the published samples."""


def shown(body: object) -> dict[str, object]:
    read: dict[str, object] = json.loads(mask_people(write(body)))
    return read


@pytest.mark.parametrize(
    "each", [each for each in SAMPLES if each["direction"] == "callback"], ids=lambda each: each["id"]
)
def test_no_published_sample_shows_a_person(each: dict[str, object]) -> None:
    text = mask_people(write(each["body"])).lower()
    assert [person for person in PEOPLE if person in text] == []


def test_what_is_nobodys_stays_readable() -> None:
    body = {
        "TransID": "RKTQDM7W6S",
        "TransAmount": "10.00",
        "BusinessShortCode": "600638",
        "MSISDN": "2547 ***** 126",
        "FirstName": "NICHOLAS",
        "MiddleName": "",
        "Unknown": None,
        "Flag": True,
    }
    assert shown(body) == {
        "TransID": "RKTQDM7W6S",
        "TransAmount": "10.00",
        "BusinessShortCode": "600638",
        "MSISDN": "[masked]",
        "FirstName": "[masked]",
        "MiddleName": "",
        "Unknown": None,
        "Flag": True,
    }


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("12345671", "12345671"),
        ("12345671B", "12345671B"),
        ("1234567", "1234567"),
        ("Z00000000017", "Z00000000017"),
        ("", ""),
        ("0722123456", "[masked]"),
        ("254722123456", "[masked]"),
        ("Wanjiku rent", "[masked]"),
    ],
)
def test_what_the_payer_typed_is_shown_where_it_can_be_no_name_and_no_number(typed: str, seen: str) -> None:
    assert shown({"BillRefNumber": typed}) == {"BillRefNumber": seen}


def test_items_are_masked_by_their_names_and_handles_keep_what_is_no_number() -> None:
    callback = shown(sample("p01"))["Body"]
    assert isinstance(callback, dict)
    text = json.dumps(callback)
    assert "MpesaReceiptNumber" in text
    assert '"Name": "PhoneNumber", "Value": "[masked]"' in text
    assert "ws_CO_" in text


def test_what_cannot_be_read_is_not_shown_at_all() -> None:
    assert mask_people(b"Wanjiku 0722123456") == "[18 bytes that are no JSON object]"


@given(callback_bodies)
def test_any_body_can_be_shown(body: bytes) -> None:
    assert isinstance(mask_people(body), str)
