"""Matching a statement's lines with ours: pure, by receipt and direction, and naming what is left over."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from zanari_api.ledger.accounts import FloatAccount
from zanari_api.ledger.moments import Moved
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.float_service import Place
from zanari_api.reconciliation import matching
from zanari_api.reconciliation.comparing import Pending
from zanari_api.reconciliation.matching import Booked, Day
from zanari_api.reconciliation.statement_file import Line

UTILITY = Place("600000", FloatAccount.UTILITY)
ONE, TWO = UUID(int=1), UUID(int=2)


def line(receipt: str, cents: int, **more: Any) -> Line:
    given: dict[str, Any] = {
        "receipt": receipt,
        "completed_at": datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
        "change_cents": cents,
        "balance_cents": None,
        "details": "",
        "reason": "",
        "linked_receipt": None,
        "account_reference": "",
    }
    return Line(**(given | more))


def day(*lines: Line, **more: Any) -> Day:
    given: dict[str, Any] = {
        "place": UTILITY,
        "on": date(2026, 11, 24),
        "lines": lines,
        "booked": {},
        "payouts": {},
        "charged": {},
        "deposits": frozenset(),
        "pending": [],
        "moved": [],
    }
    return Day(**(given | more))


def kinds(found: Day) -> list[tuple[BreakKind, int]]:
    return [(finding.kind, finding.cents) for finding in matching.match(found)]


def test_a_receipt_that_moved_money_both_ways_matches_each_way() -> None:
    booked = {"A": [Booked(ONE, 500), Booked(TWO, -500)]}
    moved = [Moved(f"deposit:{ONE}", 500), Moved(f"float_move:{TWO}", -500)]
    assert kinds(day(line("A", 500), line("A", -500), booked=booked, moved=moved)) == []


def test_everything_that_a_receipt_was_booked_as_is_accounted_for_by_its_line() -> None:
    booked = {"A": [Booked(ONE, 500), Booked(TWO, 500)]}
    moved = [Moved(f"suspense:{ONE}", 500), Moved(f"deposit:{TWO}", 500)]
    assert kinds(day(line("A", 500), booked=booked, moved=moved)) == []


def test_the_other_direction_is_no_match() -> None:
    found = day(line("A", -500), booked={"A": [Booked(ONE, 500)]}, moved=[Moved(f"deposit:{ONE}", 500)])
    assert kinds(found) == [(BreakKind.UNKNOWN_WITHDRAWAL, -500), (BreakKind.NOT_IN_STATEMENT, -500)]


def test_what_is_pending_in_another_place_or_amount_is_not_suspected() -> None:
    pending = [
        Pending(Place("600001", FloatAccount.UTILITY), -500, "a payout elsewhere", "show"),
        Pending(UTILITY, -501, "a payout of more", "show"),
    ]
    (finding,) = matching.match(day(line("A", -500), pending=pending))
    assert finding.cause == "money of our own that moved and that nobody booked"


@pytest.mark.parametrize(
    ("payout_id", "command"),
    [
        (None, "show it"),
        (ONE, f"zanari payouts resolve {ONE} --outcome settled --receipt A --statement --evidence TEXT"),
    ],
)
def test_what_is_pending_and_fits_is_ended_by_the_line(payout_id: UUID | None, command: str) -> None:
    pending = [Pending(UTILITY, -500, "a thing", "show it", payout_id)]
    (finding,) = matching.match(day(line("A", -500), pending=pending))
    assert (finding.cause, finding.command) == ("a thing, of just this amount", command)


def test_what_the_findings_come_to_is_not_named_twice() -> None:
    found = day(line("A", 500, balance_cents=1_500))
    assert matching.unexplained_cents(found, matching.match(found), held_cents=1_000) == 0
    assert matching.unexplained_cents(found, matching.match(found), held_cents=900) == 100


@pytest.mark.parametrize("found", [day(), day(line("A", 500))])
def test_without_a_balance_nothing_is_compared(found: Day) -> None:
    assert matching.unexplained_cents(found, [], held_cents=12_345) == 0


def test_subjects_of_a_day_are_found_by_its_scope() -> None:
    found = day(line("A", 500))
    assert found.scope == "statement:600000:utility:2026-11-24:"
    assert all(finding.subject.startswith(found.scope) for finding in matching.match(found))
    assert matching.unexplained(found, 5).subject == f"{found.scope}balance"
