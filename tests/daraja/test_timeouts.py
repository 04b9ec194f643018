"""Notices that a request waited too long: the request's own echo, or a Result in its place."""

from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.daraja_shapes import sample, timeout_bodies, write
from zanari_api.daraja.timeouts import TimeoutNotice, read_timeout
from zanari_api.daraja.values import UnreadableCallback


def read(body: Any) -> TimeoutNotice:
    return read_timeout(write(body))


def test_the_documented_echo_is_read_without_its_credential() -> None:
    notice = read(sample("p31") | {"SecurityCredential": "a secret"})
    assert notice == TimeoutNotice(
        command="BusinessPayment",
        originator_conversation_id="feb5e3f2-fbbc-4745-844c-ee37b546f627",
        conversation_id=None,
        asked_receipt=None,
        asked_originator_conversation_id=None,
        shortcode="600992",
        amount_cents=1_000,
        result=None,
    )
    assert "a secret" not in repr(notice)


@pytest.mark.parametrize("id_", ["p25", "p29"])
def test_a_result_there_is_read_as_a_result(id_: str) -> None:
    notice = read(sample(id_))
    assert notice.result is not None
    assert notice.originator_conversation_id == notice.result.originator_conversation_id
    assert notice.conversation_id == notice.result.conversation_id
    assert notice.command is None


def test_the_echo_of_a_status_query_says_what_was_asked_for() -> None:
    by_receipt = read(
        {"CommandID": "TransactionStatusQuery", "TransactionID": "SG632NMUAB", "PartyA": 600992}
    )
    assert (by_receipt.asked_receipt, by_receipt.shortcode) == ("SG632NMUAB", "600992")
    by_id = read({"CommandID": "TransactionStatusQuery", "OriginalConversationID": "feb5"})
    assert (by_id.asked_originator_conversation_id, by_id.asked_receipt) == ("feb5", None)


@pytest.mark.parametrize(
    "body", [{}, {"Amount": 10}, {"Result": {"ResultCode": 0}}, {"CommandID": ""}, {"CommandID": []}]
)
def test_a_body_that_names_no_request_is_unreadable(body: object) -> None:
    with pytest.raises(UnreadableCallback):
        read(body)


@settings(deadline=None)
@given(timeout_bodies)
def test_a_distorted_notice_is_read_or_unreadable(body: bytes) -> None:
    try:
        notice = read_timeout(body)
    except UnreadableCallback:
        return
    assert notice.command or notice.originator_conversation_id or notice.conversation_id
