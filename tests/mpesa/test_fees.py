"""What M-PESA charges for payouts: by whose word, posted once, out of what the company put in."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from tests.support.app import B2C_SHORTCODE, Api
from tests.support.payouts import payer, withdrawing
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import b2c_tariff, breaks, fees
from zanari_api.mpesa.fees import FeeSource
from zanari_api.runtime.db import Role, Tx
from zanari_api.sandbox.safaricom.books import Account
from zanari_api.sandbox.safaricom.tariff import payout_fee_cents
from zanari_api.worker import worker_of

CHARGES_PAID = accounts.float_id(B2C_SHORTCODE, FloatAccount.CHARGES_PAID)
AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


async def post(api: Api, payout_id: UUID, cents: int, source: FeeSource) -> None:
    async def work(tx: Tx) -> None:
        await fees.post_fee(
            tx, fees.of_payout(payout_id), shortcode=B2C_SHORTCODE, cents=cents, event_at=AT, source=source
        )

    await api.db.unit_of_work(work, role=Role.SYSTEM)


async def charged(api: Api) -> int:
    """Return what our books say that was charged; both sides of each fee agree."""
    async with api.db.transaction(Role.SYSTEM) as tx:
        await accounts.open_floats(tx, B2C_SHORTCODE)
    spent = await api.books.balance(accounts.FEES)
    assert await api.books.balance(CHARGES_PAID) == -spent
    return spent


@pytest.mark.parametrize(
    ("cents", "charge"),
    [
        (1_000, 0),
        (10_000, 0),
        (10_001, 500),
        (150_000, 500),
        (150_001, 900),
        (500_000, 900),
        (500_001, 1_100),
        (2_000_000, 1_100),
        (2_000_001, 1_300),
        (15_000_000, 1_300),
        (25_000_000, 1_300),
    ],
)
def test_the_published_table_is_what_is_charged(cents: int, charge: int) -> None:
    assert b2c_tariff.charge_cents(cents, on=date(2026, 11, 25)) == charge


def test_the_emulator_charges_by_the_same_table() -> None:
    for cents in range(1_000, 25_000_000, 99_900):
        assert b2c_tariff.charge_cents(cents, on=date(2026, 11, 25)) == payout_fee_cents(cents)


def test_a_day_before_the_first_table_takes_the_first() -> None:
    assert b2c_tariff.charge_cents(20_000, on=date(2020, 1, 1)) == 500


def test_no_payout_is_larger_than_the_table() -> None:
    with pytest.raises(ValueError, match="more than M-PESA pays out at once"):
        b2c_tariff.charge_cents(25_000_001, on=date(2026, 11, 25))


async def test_a_fee_leaves_charges_paid_as_mpesa_books_it(api: Api) -> None:
    before = await charged(api)
    await post(api, uuid4(), 900, FeeSource.STATUS)
    assert await charged(api) == before + 900


async def test_a_fee_of_nothing_is_known_and_moves_nothing(api: Api) -> None:
    before, payout_id = await charged(api), uuid4()
    await post(api, payout_id, 0, FeeSource.TARIFF)
    assert await charged(api) == before
    async with api.db.transaction(Role.SYSTEM) as tx:
        known = fees.of_payout(payout_id)
        assert await fees.list_posted(tx, [known, fees.of_payout(uuid4())]) == {known: 0}


async def test_told_again_it_is_posted_once(api: Api) -> None:
    before, payout_id = await charged(api), uuid4()
    await asyncio.gather(*(post(api, payout_id, 900, FeeSource.STATUS) for _ in range(6)))
    assert await charged(api) == before + 900


@pytest.mark.parametrize(("told", "then"), [(1_300, 400), (500, -400)])
async def test_a_better_word_posts_the_difference(api: Api, told: int, then: int) -> None:
    before, payout_id = await charged(api), uuid4()
    await post(api, payout_id, 900, FeeSource.TARIFF)
    await post(api, payout_id, told, FeeSource.STATUS)
    assert await charged(api) == before + 900 + then
    await post(api, payout_id, 700, FeeSource.STATEMENT)
    assert await charged(api) == before + 700


async def test_a_lesser_word_changes_nothing(api: Api) -> None:
    before, payout_id = await charged(api), uuid4()
    await post(api, payout_id, 900, FeeSource.STATEMENT)
    await post(api, payout_id, 500, FeeSource.STATUS)
    await post(api, payout_id, 100, FeeSource.TARIFF)
    await post(api, payout_id, 100, FeeSource.STATEMENT)
    assert await charged(api) == before + 900


async def test_the_tariff_is_posted_by_the_payouts_amount_and_day(api: Api) -> None:
    before, payout_id = await charged(api), uuid4()

    async def work(tx: Tx) -> None:
        await fees.post_tariff_fee(
            tx, payout_id=payout_id, shortcode=B2C_SHORTCODE, amount_cents=200_000, event_at=AT
        )

    await api.db.unit_of_work(work, role=Role.SYSTEM)
    assert await charged(api) == before + 900
    (row,) = await api.rows("SELECT cents, source FROM mpesa.fees WHERE payout_id = $1", payout_id)
    assert tuple(row) == (900, "tariff")


async def test_a_settled_payout_costs_what_the_emulator_charges_and_the_saver_nothing(api: Api) -> None:
    saver = await payer(api, cents=0)
    await saver.deposit(300_000)
    spent, emulated = await charged(api), api.emulator.books.balance(B2C_SHORTCODE, Account.CHARGES_PAID)
    payout = await withdrawing(saver, 200_000)
    await api.work()
    api.clock.advance(seconds=5)
    await api.work()
    assert await payout.state() == "settled"
    assert await saver.holds() == (100_000, 0, 0)
    assert await charged(api) == spent + 900
    assert api.emulator.books.balance(B2C_SHORTCODE, Account.CHARGES_PAID) == emulated - 900


async def test_fees_beyond_the_companys_funding_are_a_break_until_it_is_funded(api: Api) -> None:
    async def check(tx: Tx) -> int:
        return await fees.check_cover(tx, now=api.clock.now())

    async def kinds() -> list[str]:
        async with api.db.transaction(Role.SYSTEM) as tx:
            return [each.kind for each in await breaks.list_open(tx)]

    covered = await api.books.balance(accounts.FUNDING) - await api.books.balance(accounts.FEES)
    payout_id = uuid4()
    await post(api, payout_id, covered + 100, FeeSource.STATUS)
    assert await api.db.unit_of_work(check, role=Role.SYSTEM) == 100
    assert "fees_not_covered" in await kinds()
    await worker_of(api.app.state.parts).read_facts()
    assert api.runtime.metrics.registry.get_sample_value("zanari_fees_not_covered_cents") == 100
    await post(api, payout_id, covered, FeeSource.STATEMENT)
    assert await api.db.unit_of_work(check, role=Role.SYSTEM) == 0
    assert "fees_not_covered" not in await kinds()
    await worker_of(api.app.state.parts).read_facts()
    assert api.runtime.metrics.registry.get_sample_value("zanari_fees_not_covered_cents") == 0
