"""Suspecting causes: an amount that fits to the cent, and nothing else; what happened in the report's own second."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa.float_service import Place
from zanari_api.reconciliation.comparing import Compared, Pending, booked_at, explain, shillings
from zanari_api.reconciliation.reports import age

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
UTILITY = Place("600000", FloatAccount.UTILITY)
PAYING = Place("600001", FloatAccount.UTILITY)
CHARGES = Place("600001", FloatAccount.CHARGES_PAID)


def differing(cents: int, place: Place = UTILITY) -> Compared:
    return Compared(place=place, reported_cents=1_000_000 + cents, booked_cents=1_000_000, reported_at=NOON)


def pending(cents: int, place: Place = UTILITY, what: str = "payout 1") -> Pending:
    return Pending(place, cents, what, f"show {what}", UUID(int=1))


def cause(compared: Compared, *waiting: Pending, others: tuple[Compared, ...] = ()) -> str:
    return explain(compared, pending=waiting, others=(compared, *others)).cause


def test_what_is_pending_and_fits_is_suspected_first() -> None:
    found = explain(
        differing(-500),
        pending=[pending(-400), pending(-500, what="payout 2")],
        others=[differing(500, PAYING)],
    )
    assert (found.cause, found.command) == ("payout 2, of just this amount", "show payout 2")


def test_what_is_pending_elsewhere_or_does_not_fit_is_not_suspected() -> None:
    assert "payout" not in cause(differing(-500), pending(-500, PAYING), pending(500), pending(-499))


def test_several_that_fit_together_are_suspected_together() -> None:
    assert cause(differing(-900), pending(-400), pending(-500)).startswith("2 things whose end is unknown")
    assert "things" not in cause(differing(-900), pending(-400), pending(-500), pending(-1))


@pytest.mark.parametrize(("cents", "source", "target"), [(-500, UTILITY, PAYING), (500, PAYING, UTILITY)])
def test_two_accounts_that_mirror_each_other_are_a_move(cents: int, source: Place, target: Place) -> None:
    found = explain(differing(cents), pending=[], others=[differing(cents), differing(-cents, PAYING)])
    assert found.command == f"zanari float move --from {source} --to {target} --amount 5 --receipt RECEIPT"


@pytest.mark.parametrize(
    ("compared", "command"),
    [
        (differing(12_345), "zanari float fund 600000:utility --amount 123.45 --receipt RECEIPT"),
        (differing(-100), "zanari float defund 600000:utility --amount 1 --receipt RECEIPT"),
        (
            differing(-900, CHARGES),
            "zanari statement import FILE --shortcode 600001 --account charges_paid --date DAY",
        ),
        (
            differing(900, CHARGES),
            "zanari statement import FILE --shortcode 600001 --account charges_paid --date DAY",
        ),
    ],
)
def test_what_nothing_explains_says_so_with_a_way_to_end_it(compared: Compared, command: str) -> None:
    assert explain(compared, pending=[], others=[compared]).command == command


def test_charges_that_went_and_came_are_told_apart() -> None:
    assert cause(differing(-900, CHARGES)) == "charges that are not posted"
    assert cause(differing(900, CHARGES)) == "charges that were settled"


@pytest.mark.parametrize(
    ("reported", "changes", "booked"),
    [
        (1_000, [], 1_000),
        (1_500, [500], 1_500),
        (1_000, [500], 1_000),
        (1_300, [500, 300, -200], 1_300),
        (1_700, [500, 300, -200, 100], 1_700),
        (1_123, [500, 300], 1_800),
        (999, [], 1_000),
    ],
)
def test_each_change_of_the_reports_second_may_be_in_it_or_not(
    reported: int, changes: list[int], booked: int
) -> None:
    assert booked_at(reported, before_cents=1_000, changes=changes) == booked


@given(
    before=st.integers(-(10**9), 10**9),
    changes=st.lists(st.integers(-(10**6), 10**6).filter(bool), max_size=8),
    chosen=st.sets(st.integers(0, 7)),
)
def test_any_part_of_that_second_agrees(before: int, changes: list[int], chosen: set[int]) -> None:
    reported = before + sum(change for place, change in enumerate(changes) if place in chosen)
    assert booked_at(reported, before_cents=before, changes=changes) == reported


def test_of_very_many_changes_in_one_second_not_every_choice_is_looked_at() -> None:
    assert booked_at(14, before_cents=0, changes=[1] * 14) == 14
    assert booked_at(13, before_cents=0, changes=[1] * 14) == 14


@pytest.mark.parametrize(
    ("cents", "written"), [(100, "1"), (12_345, "123.45"), (-5, "0.05"), (250_000, "2500")]
)
def test_amounts_are_written_as_an_operator_types_them(cents: int, written: str) -> None:
    assert shillings(cents) == written


@pytest.mark.parametrize(
    ("since", "written"),
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=12, seconds=5), "12 min"),
        (timedelta(hours=3, minutes=7), "3 h 7 min"),
        (timedelta(days=4, hours=5, minutes=59), "4 d 5 h"),
        (timedelta(seconds=-3), "0 s"),
    ],
)
def test_ages_are_written_for_people(since: timedelta, written: str) -> None:
    assert age(NOON - since, NOON) == written
