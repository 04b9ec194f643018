"""What a notice says: what changed and when, what waits, what to do; one message of a handset's, nobody's secret."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from zanari_api.users.notice_rows import NoticeKind
from zanari_api.users.notice_texts import mask, text_of

MSISDN = "254712345126"
CHANGED_AT = datetime(2026, 11, 25, 21, 5, tzinfo=UTC)
HELD_UNTIL = CHANGED_AT + timedelta(hours=48)
SOON = timedelta(seconds=3)
LATE = timedelta(days=5)


def told(kind: NoticeKind, *, after: timedelta = SOON) -> str:
    is_lost = kind is NoticeKind.NUMBER_LOST
    return text_of(
        kind,
        about_msisdn=None if kind is NoticeKind.PIN_RESET else MSISDN,
        happened_at=CHANGED_AT,
        held_until=None if is_lost else HELD_UNTIL,
        now=CHANGED_AT + after,
    )


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            NoticeKind.PIN_RESET,
            (
                "Zanari: your PIN was replaced on 26 Nov 00:05. Withdrawals wait until 28 Nov 00:05."
                " Not you? Sign in now and set a new PIN."
            ),
        ),
        (
            NoticeKind.NUMBER_ADDED,
            (
                "Zanari: 07*****126 was added to your account on 26 Nov 00:05. Withdrawals wait until 28 Nov 00:05."
                " Not you? Sign in now, remove it and set a new PIN."
            ),
        ),
        (
            NoticeKind.NUMBER_MOVED,
            (
                "Zanari: 07*****126 was moved to your account on 26 Nov 00:05. Withdrawals wait until 28 Nov 00:05."
                " Not you? Sign in now, remove it and set a new PIN."
            ),
        ),
        (
            NoticeKind.NUMBER_PROVEN_AGAIN,
            (
                "Zanari: 07*****126 was linked to you again on 26 Nov 00:05. Withdrawals wait until"
                " 28 Nov 00:05. Not you? Sign in now, remove it and set a new PIN."
            ),
        ),
        (
            NoticeKind.NUMBER_LOST,
            (
                "Zanari: 07*****126 was linked to another account on 26 Nov 00:05, and no longer is to yours."
                " Is it still your number? Sign in with it to prove it again."
            ),
        ),
    ],
)
def test_it_says_what_changed_in_nairobis_time_what_waits_and_what_to_do(kind: NoticeKind, says: str) -> None:
    assert told(kind) == says


@pytest.mark.parametrize("after", [SOON, LATE])
@pytest.mark.parametrize("kind", NoticeKind)
def test_it_is_one_message_of_plain_letters_without_link_amount_or_whole_number(
    kind: NoticeKind, after: timedelta
) -> None:
    text = told(kind, after=after)
    # 160 letters of the alphabet that every handset has are one message.
    assert re.fullmatch(r"[A-Za-z0-9 .,:?*]{1,160}", text)
    assert not re.search(r"http|www|KES|\d{4,}", text)
    assert MSISDN[-9:] not in text


@pytest.mark.parametrize("kind", [each for each in NoticeKind if each is not NoticeKind.NUMBER_LOST])
def test_after_the_hold_it_promises_none(kind: NoticeKind) -> None:
    text = told(kind, after=timedelta(hours=48))
    assert "Withdrawals wait until" not in text
    assert "We tell you late: withdrawals wait no more." in text
    assert "on 26 Nov 00:05" in text


def test_a_number_is_masked_so_that_its_owner_knows_it() -> None:
    assert mask("254712345126") == "07*****126"
    assert mask("254110000999") == "01*****999"
