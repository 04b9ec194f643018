"""The machine of payouts: whatever happens in whatever order, money moves out once or back once, and ends stay ends."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.payouts.states import (
    APART,
    HEARD,
    THROTTLED,
    Accepted,
    Act,
    AlreadyKnown,
    Definite,
    Ended,
    Event,
    FailedWith,
    NotFound,
    NotSent,
    Paid,
    Pending,
    Queued,
    Refused,
    ResendWanted,
    Resolved,
    Sending,
    Standing,
    State,
    Stopped,
    TimedOut,
    Unclear,
    Verdict,
    step,
)

T0 = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NEW = Standing(state=State.REQUESTED)


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def after(*events: Event, start: Standing = NEW) -> Standing:
    """Return how a payout stands after these events."""
    standing = start
    for event in events:
        standing = step(standing, event).standing
    return standing


def acts(events: Sequence[Event], start: Standing = NEW) -> list[Act]:
    """Return what the books had to do, in order."""
    standing, done = start, []
    for event in events:
        stepped = step(standing, event)
        done.append(stepped.act)
        standing = stepped.standing
    return [act for act in done if act is not Act.NOTHING]


SENT = after(Sending(at(0)))
SUBMITTED = after(Sending(at(0)), Accepted())
UNKNOWN = after(Sending(at(0)), Unclear())
SETTLED = after(Sending(at(0)), Accepted(), Paid("RECEIPT1"))
REFUNDED = after(Sending(at(0)), Accepted(), FailedWith("2040", at(1)), Ended())


# Any sequence -------------------------------------------------------------------------------------------------

minutes = st.integers(min_value=0, max_value=120).map(at)
receipts = st.sampled_from(["RECEIPT1", "RECEIPT2"])
codes = st.sampled_from(["1", "2040", THROTTLED])
events: st.SearchStrategy[Event] = st.one_of(
    st.sampled_from(
        [
            Queued(),
            Stopped(),
            NotSent(),
            Accepted(),
            AlreadyKnown(),
            Unclear(),
            TimedOut(),
            Ended(),
            Pending(),
            ResendWanted(),
        ]
    ),
    st.builds(Sending, minutes),
    st.builds(Refused, codes, minutes),
    st.builds(FailedWith, codes, minutes),
    st.builds(NotFound, minutes),
    st.builds(Paid, receipts),
    st.builds(Resolved, st.none() | receipts, st.booleans()),
)


@given(st.lists(events, max_size=25))
def test_money_goes_out_once_or_back_once_and_never_both(happened: list[Event]) -> None:
    done = Counter(acts(happened))
    assert done[Act.SETTLE] + done[Act.REFUND] <= 1
    assert done[Act.OWE] <= done[Act.REFUND]


@given(st.lists(events, max_size=25))
def test_an_end_is_an_end(happened: list[Event]) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        if standing.state in {State.SETTLED, State.FAILED}:
            assert stepped.standing.state is standing.state
            assert stepped.act in {Act.NOTHING, Act.OWE}
        standing = stepped.standing


@given(st.lists(events, max_size=25))
def test_what_the_books_do_is_what_the_state_says(happened: list[Event]) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        match stepped.act:
            case Act.SETTLE:
                assert stepped.standing.state is State.SETTLED
                assert stepped.standing.receipt is not None
            case Act.REFUND:
                assert stepped.standing.state is State.FAILED
            case Act.OWE:
                assert standing.state is stepped.standing.state is State.FAILED
                assert stepped.standing.late_receipt is not None
            case Act.NOTHING:
                assert {standing.state, stepped.standing.state} & {State.SETTLED, State.FAILED} in (
                    set(),
                    {standing.state},
                )
        if stepped.verdict is not Verdict.APPLIED:
            assert stepped.standing == standing
        standing = stepped.standing


@given(st.lists(events, max_size=25))
def test_what_was_heard_is_given_back_only_for_a_code_and_an_answer_or_an_operator(
    happened: list[Event],
) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        if stepped.act is Act.REFUND and standing.state in HEARD:
            by_operator = isinstance(event, Resolved) and (
                standing.resolvable or standing.definite_by is not None
            )
            by_code_and_answer = stepped.standing.definite_by is not None and (
                stepped.standing.ended or isinstance(event, NotFound)
            )
            assert by_operator or by_code_and_answer
        standing = stepped.standing


@given(st.lists(events, max_size=25))
def test_a_refusal_never_outlives_what_shows_that_it_got_there(happened: list[Event]) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        shown = isinstance(event, Pending | TimedOut | AlreadyKnown | Accepted)
        if shown and stepped.standing.state in HEARD:
            assert stepped.standing.definite_by is not Definite.REPLY
        standing = stepped.standing


@given(st.lists(events, max_size=25))
def test_it_is_as_new_again_only_where_nothing_was_sent_or_it_was_throttled_and_is_not_known(
    happened: list[Event],
) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        if standing.state in HEARD and stepped.standing.state is State.REQUESTED:
            throttled = (standing.definite_by, standing.definite_code) == (Definite.REPLY, THROTTLED)
            assert isinstance(event, NotSent) or (throttled and isinstance(event, NotFound))
            assert stepped.standing == NEW
        standing = stepped.standing


@given(st.lists(events, max_size=25))
def test_it_is_known_as_sent_exactly_while_it_may_have_been_heard(happened: list[Event]) -> None:
    standing = NEW
    for event in happened:
        standing = step(standing, event).standing
        if standing.state in HEARD | {State.SETTLED}:
            assert standing.sent_at is not None
        if standing.state in {State.REQUESTED, State.QUEUED}:
            assert standing.sent_at is None
        assert standing.resends <= 1
        assert standing.state is State.UNKNOWN or not standing.resend_wanted


@given(st.lists(events, max_size=25))
def test_it_is_sent_again_once_at_most_and_only_where_an_operator_wanted(happened: list[Event]) -> None:
    standing = NEW
    for event in happened:
        stepped = step(standing, event)
        if isinstance(event, Sending) and stepped.verdict is Verdict.APPLIED and standing.state in HEARD:
            assert standing.resend_wanted
            assert standing.resends == 0
        standing = stepped.standing


# The road that is hoped for -------------------------------------------------------------------------------


def test_it_waits_is_sent_is_taken_on_and_is_paid() -> None:
    done = [Queued(), Queued(), Sending(at(5)), Accepted(), Paid("RECEIPT1")]
    assert after(*done).state is State.SETTLED
    assert acts(done) == [Act.SETTLE]


def test_a_result_that_comes_before_the_reply_settles_and_the_reply_changes_nothing() -> None:
    stepped = step(after(Paid("RECEIPT1"), start=SENT), Accepted())
    assert stepped.standing.state is State.SETTLED
    assert stepped.verdict is Verdict.KNOWN


def test_nothing_sent_brings_it_back_to_the_start() -> None:
    assert after(NotSent(), start=SENT) == NEW


def test_what_was_never_sent_can_be_stopped() -> None:
    assert acts([Queued(), Stopped()]) == [Act.REFUND]


@pytest.mark.parametrize("standing", [SENT, SUBMITTED, UNKNOWN])
def test_what_may_have_been_heard_cannot_be_stopped(standing: Standing) -> None:
    stepped = step(standing, Stopped())
    assert (stepped.act, stepped.verdict) == (Act.NOTHING, Verdict.REFUSED)


@pytest.mark.parametrize("standing", [SENT, SUBMITTED, UNKNOWN, SETTLED, REFUNDED])
def test_what_was_sent_is_not_sent_again_by_itself(standing: Standing) -> None:
    assert step(standing, Sending(at(60))).verdict is Verdict.REFUSED


# Doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [Unclear(), AlreadyKnown(), Refused("x", at(0)), FailedWith("1", at(0))])
def test_doubt_keeps_the_money(event: Event) -> None:
    stepped = step(SENT, event)
    assert stepped.standing.state is State.UNKNOWN
    assert stepped.act is Act.NOTHING


def test_a_refusal_at_once_is_confirmed_by_one_not_found() -> None:
    assert acts([Refused("400.002.02", at(1)), NotFound(at(1))], SENT) == [Act.REFUND]


def test_a_not_found_from_before_the_refusal_confirms_nothing() -> None:
    assert acts([NotFound(at(1)), Refused("400.002.02", at(2))], SENT) == []


def test_a_not_found_from_before_the_sending_says_nothing() -> None:
    standing = after(Sending(at(10)), Unclear())
    assert step(standing, NotFound(at(5))).verdict is Verdict.KNOWN


@pytest.mark.parametrize("event", [Pending(), TimedOut(), AlreadyKnown()])
def test_what_shows_that_it_got_there_makes_the_refusal_worthless(event: Event) -> None:
    standing = after(Refused("400.002.02", at(1)), event, start=SENT)
    assert (standing.state, standing.definite_by, standing.definite_code, standing.definite_at) == (
        State.UNKNOWN,
        None,
        None,
        None,
    )
    assert acts([NotFound(at(2)), NotFound(at(2) + APART)], standing) == []


@pytest.mark.parametrize("event", [Pending(), TimedOut()])
def test_what_shows_that_it_got_there_leaves_the_code_of_its_result(event: Event) -> None:
    standing = after(FailedWith("2040", at(1)), event, start=SUBMITTED)
    assert (standing.definite_by, standing.definite_code) == (Definite.RESULT, "2040")


def test_what_was_throttled_and_is_not_known_begins_again() -> None:
    assert after(Refused(THROTTLED, at(1)), NotFound(at(1)), start=SENT) == NEW
    assert acts([Refused(THROTTLED, at(1)), NotFound(at(1))], SENT) == []


def test_what_was_throttled_waits_for_a_question_asked_after_that() -> None:
    assert after(NotFound(at(1)), Refused(THROTTLED, at(2)), start=SENT).state is State.UNKNOWN


def test_a_refusal_and_a_payment_settle_all_the_same() -> None:
    assert acts([Refused("400.002.02", at(1)), Paid("RECEIPT1")], SENT) == [Act.SETTLE]


def test_a_failed_result_alone_gives_nothing_back() -> None:
    standing = after(FailedWith("2040", at(1)), start=SUBMITTED)
    assert standing.state is State.UNKNOWN
    assert (standing.definite_by, standing.definite_code) == (Definite.RESULT, "2040")


@pytest.mark.parametrize("order", [1, -1])
def test_a_failed_result_and_a_status_that_agrees_give_it_back_in_either_order(order: int) -> None:
    agreeing: list[Event] = [FailedWith("2040", at(1)), Ended()]
    assert acts(agreeing[::order], SUBMITTED) == [Act.REFUND]


def test_a_status_alone_gives_nothing_back_but_lets_an_operator_decide() -> None:
    standing = after(Ended(), start=SUBMITTED)
    assert standing.state is State.UNKNOWN
    assert standing.resolvable


def test_of_what_was_taken_on_one_not_found_is_not_enough_even_with_a_code() -> None:
    failed = [Accepted(), FailedWith("2040", at(1))]
    assert acts([*failed, NotFound(at(2))], SENT) == []
    assert acts([*failed, NotFound(at(2)), NotFound(at(10))], SENT) == []
    assert acts([*failed, NotFound(at(2)), NotFound(at(2) + APART)], SENT) == [Act.REFUND]


def test_a_result_that_fails_after_a_refusal_is_of_something_taken_on() -> None:
    standing = after(Refused("400.002.02", at(1)), FailedWith("2040", at(2)), start=SENT)
    assert standing.definite_by is Definite.RESULT
    assert acts([NotFound(at(3))], standing) == []


def test_the_first_failed_result_is_the_one_that_is_kept() -> None:
    standing = after(FailedWith("1", at(1)), FailedWith("2040", at(2)), start=SUBMITTED)
    assert standing.definite_code == "1"


def test_not_found_twice_apart_is_for_an_operator_and_gives_nothing_back_by_itself() -> None:
    soon = after(NotFound(at(1)), NotFound(at(30)), start=UNKNOWN)
    late = after(NotFound(at(1)), NotFound(at(31)), start=UNKNOWN)
    assert (soon.resolvable, late.resolvable) == (False, True)
    assert acts([NotFound(at(1)), NotFound(at(31))], UNKNOWN) == []


@pytest.mark.parametrize("event", [Pending(), Accepted(), AlreadyKnown()])
def test_what_shows_that_it_is_known_makes_earlier_absence_worthless(event: Event) -> None:
    standing = after(NotFound(at(1)), NotFound(at(40)), event, start=UNKNOWN)
    assert not standing.resolvable
    assert standing.not_found_at is None


def test_a_reply_that_comes_after_its_time_leaves_it_in_doubt() -> None:
    assert after(Accepted(), start=UNKNOWN).state is State.UNKNOWN
    assert after(NotSent(), start=UNKNOWN).state is State.UNKNOWN


# After the end ---------------------------------------------------------------------------------------------------


def test_a_failure_after_a_success_is_superseded() -> None:
    for event in (FailedWith("1", at(3)), Ended(), NotFound(at(3))):
        assert step(SETTLED, event).verdict is Verdict.SUPERSEDED


def test_a_success_after_a_refund_is_owed_once() -> None:
    happened = [Paid("RECEIPT1"), Paid("RECEIPT1")]
    assert acts(happened, REFUNDED) == [Act.OWE]
    assert after(*happened, start=REFUNDED).state is State.FAILED


@pytest.mark.parametrize("standing", [SETTLED, after(Paid("RECEIPT1"), start=REFUNDED)])
def test_another_receipt_for_what_was_paid_is_refused(standing: Standing) -> None:
    assert step(standing, Paid("RECEIPT1")).verdict is Verdict.KNOWN
    assert step(standing, Paid("RECEIPT2")).verdict is Verdict.REFUSED


def test_what_was_never_sent_has_no_result() -> None:
    stopped = after(Stopped())
    for standing in (NEW, after(Queued()), stopped):
        for event in (Paid("RECEIPT1"), FailedWith("1", at(1)), Ended(), NotFound(at(1)), Pending()):
            stepped = step(standing, event)
            assert (stepped.act, stepped.verdict) == (Act.NOTHING, Verdict.REFUSED)
    assert step(NEW, Unclear()).verdict is Verdict.KNOWN


def test_more_of_a_failure_that_is_known_is_nothing_new() -> None:
    assert step(REFUNDED, FailedWith("1", at(9))).verdict is Verdict.KNOWN


# Operators -----------------------------------------------------------------------------------------------------------

RESOLVABLE = after(NotFound(at(1)), NotFound(at(31)), start=UNKNOWN)


@pytest.mark.parametrize("standing", [NEW, SENT, SUBMITTED, UNKNOWN, SETTLED, REFUNDED])
def test_an_operator_decides_nothing_before_it_is_time(standing: Standing) -> None:
    for receipt in (None, "RECEIPT9"):
        assert step(standing, Resolved(receipt, by_statement=False)).verdict is Verdict.REFUSED


@pytest.mark.parametrize("standing", [NEW, SENT, SUBMITTED, SETTLED, REFUNDED])
def test_a_statement_decides_only_what_is_in_doubt(standing: Standing) -> None:
    assert step(standing, Resolved(None, by_statement=True)).verdict is Verdict.REFUSED


def test_an_operator_settles_or_fails_what_can_be_resolved() -> None:
    assert acts([Resolved("RECEIPT9", by_statement=False)], RESOLVABLE) == [Act.SETTLE]
    assert acts([Resolved(None, by_statement=False)], RESOLVABLE) == [Act.REFUND]


def test_a_line_of_the_statement_settles_at_once_what_it_shows_and_shows_no_failure() -> None:
    assert acts([Resolved("RECEIPT9", by_statement=True)], UNKNOWN) == [Act.SETTLE]
    assert step(UNKNOWN, Resolved(None, by_statement=True)).verdict is Verdict.REFUSED
    once = after(NotFound(at(1)), start=UNKNOWN)
    assert step(once, Resolved(None, by_statement=True)).verdict is Verdict.REFUSED


@pytest.mark.parametrize("code", [Refused("400.002.02", at(1)), FailedWith("2040", at(1))])
def test_beside_a_definite_code_the_statement_is_the_second_sign(code: Event) -> None:
    failed = after(code, start=SENT)
    assert step(failed, Resolved(None, by_statement=False)).verdict is Verdict.REFUSED
    assert acts([Resolved(None, by_statement=True)], failed) == [Act.REFUND]


def test_a_payment_told_after_an_operator_gave_it_back_is_owed() -> None:
    assert acts([Resolved(None, by_statement=False), Paid("RECEIPT9")], RESOLVABLE) == [Act.REFUND, Act.OWE]


def test_it_is_sent_again_once_under_the_same_id() -> None:
    again = after(ResendWanted(), Sending(at(40)), start=RESOLVABLE)
    assert again.state is State.SUBMITTING
    assert again.resends == 1
    assert again.sent_at == at(40)
    doubted = after(Unclear(), NotFound(at(41)), NotFound(at(80)), start=again)
    assert doubted.resolvable
    assert step(doubted, ResendWanted()).verdict is Verdict.REFUSED


@pytest.mark.parametrize("standing", [UNKNOWN, after(Ended(), start=UNKNOWN)])
def test_what_was_not_missing_twice_is_not_sent_again(standing: Standing) -> None:
    assert step(standing, ResendWanted()).verdict is Verdict.REFUSED


def test_a_second_sending_that_did_not_happen_may_happen_yet() -> None:
    waits = after(ResendWanted(), Sending(at(40)), NotSent(), start=RESOLVABLE)
    assert waits.state is State.UNKNOWN
    assert waits.resend_wanted
    assert after(Sending(at(41)), start=waits).state is State.SUBMITTING


def test_the_refusal_of_a_second_sending_says_nothing_about_the_first() -> None:
    refused = after(ResendWanted(), Sending(at(40)), Refused("400.002.02", at(40)), start=RESOLVABLE)
    assert refused.definite_by is None
    assert acts([NotFound(at(41))], refused) == []


@pytest.mark.parametrize("event", [Stopped(), FailedWith("1", at(41)), Ended(), Pending()])
def test_a_wish_to_send_again_ends_with_what_makes_it_pointless(event: Event) -> None:
    assert not after(ResendWanted(), event, start=RESOLVABLE).resend_wanted
