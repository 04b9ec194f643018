"""JSON that others sent: one meaning, or none at all."""

from decimal import Decimal

import pytest

from zanari_api.kit.wire_json import UnreadableJson, read_object


def test_an_object_is_read_with_its_numbers_by_their_digits() -> None:
    read = read_object(b'{"a": 70.07, "b": 7, "c": 1e2, "d": [true, null, "\\u00e9"]}')
    assert read == {"a": Decimal("70.07"), "b": 7, "c": Decimal("1e2"), "d": [True, None, "é"]}
    assert type(read["a"]) is Decimal
    assert type(read["b"]) is int


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "\\u0062": 2}}',
        b'{"a": ' + b"1" * 5_000 + b"}",
        b'{"a": 1e' + b"9" * 40 + b"}",
        b'{"a": ' * 50_000,
        b'{"a": ' * 3_000 + b'"\\u0041"' + b"}" * 3_000,
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["\\ud83d"]}',
        b'{"a": "\\ude00\\ud83d"}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\xbd"}',
        b'\xef\xbb\xbf{"a": 1}',
        "{}".encode("utf-16"),
    ],
)
def test_what_has_no_one_meaning_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableJson):
        read_object(body)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert read_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_the_error_never_quotes_the_body() -> None:
    with pytest.raises(UnreadableJson) as unreadable:
        read_object(b'{"phone": 254708374149')
    assert "2547" not in str(unreadable.value)
