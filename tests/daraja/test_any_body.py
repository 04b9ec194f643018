"""Whatever is posted to whichever address: each reader answers or calls it unreadable, and money is never a float."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.daraja_shapes import SAMPLES, callback_bodies, floats_in, write
from zanari_api.daraja.payloads import read_c2b
from zanari_api.daraja.pull import read_pull
from zanari_api.daraja.redaction import redact_body
from zanari_api.daraja.results import B2CResult, BalanceResult, ReversalResult, StatusResult, read_result
from zanari_api.daraja.stk import read_stk_callback
from zanari_api.daraja.timeouts import read_timeout
from zanari_api.daraja.values import UnreadableCallback

READERS: list[Callable[[bytes], object]] = [
    read_stk_callback,
    read_result,
    read_timeout,
    read_pull,
    read_c2b,
    lambda body: [
        view.of(read_result(body)) for view in (B2CResult, StatusResult, BalanceResult, ReversalResult)
    ],
]
EXPECTED = {
    "stk_callback": {read_stk_callback},
    "c2b_confirmation": {read_c2b},
    "c2b_validation": {read_c2b},
    "b2c_result": {read_result, read_timeout},
    "b2b_result": {read_result, read_timeout},
    "b2c_queue": {read_timeout},
    "txn_status": {read_result, read_timeout},
    "account_balance": {read_result, read_timeout},
    "reversal_result": {read_result, read_timeout},
}


def readers_of(body: bytes) -> set[Callable[[bytes], object]]:
    """Return the readers that can read a body; the others must call it unreadable and nothing else."""
    able: set[Callable[[bytes], object]] = set()
    for reader in READERS[:5]:
        try:
            reader(body)
        except UnreadableCallback:
            continue
        able.add(reader)
    return able


@pytest.mark.parametrize("told", SAMPLES, ids=lambda each: f"{each['id']} {each['kind']}")
def test_each_sample_is_read_by_the_reader_of_its_kind_and_by_no_other(told: dict[str, Any]) -> None:
    expected = next((able for kind, able in EXPECTED.items() if told["kind"].startswith(kind)), set())
    assert readers_of(write(told["body"])) == expected


@pytest.mark.parametrize("told", SAMPLES, ids=lambda each: each["id"])
def test_each_sample_is_read_the_same_after_it_was_redacted(told: dict[str, Any]) -> None:
    body = write(told["body"])
    for reader in readers_of(body):
        assert reader(redact_body(body)) == reader(body)


@settings(deadline=None)
@given(callback_bodies)
def test_any_body_is_read_without_a_float_or_is_unreadable(body: bytes) -> None:
    for reader in READERS:
        try:
            read = reader(body)
        except UnreadableCallback:
            continue
        assert floats_in(read) == []


@settings(deadline=None)
@given(callback_bodies)
def test_an_error_never_quotes_the_body(body: bytes) -> None:
    said = {complaint for reader in READERS if (complaint := complaint_of(reader, body)) is not None}
    # Fixed sentences of ours: the longest names three fields.
    assert all(len(each) < 80 and each.isascii() for each in said)


def complaint_of(reader: Callable[[bytes], object], body: bytes) -> str | None:
    try:
        reader(body)
    except UnreadableCallback as unreadable:
        return str(unreadable)
    return None


def test_a_planted_float_is_found() -> None:
    assert floats_in({"a": [1, {"b": 0.5}]}) == [".a[].b"]
