"""What is checked without asking anybody: the books, which stop money out, and how long money is in suspense."""

from datetime import timedelta

from tests.reconciliation.conftest import open_breaks
from tests.support.app import SHORTCODE, Api
from tests.support.payouts import payer, withdraw
from tests.support.savers import Saver, code_of, new_receipt
from zanari_api.kit.ids import new_id
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.payouts import freeze
from zanari_api.reconciliation import checks, facts
from zanari_api.reconciliation.facts import Facts
from zanari_api.reconciliation.schedules import schedules_of
from zanari_api.runtime.db import Role, Tx


async def check_books(api: Api) -> int:
    async def work(tx: Tx) -> int:
        return await checks.check_books(tx, now=api.clock.now())

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def note_old(api: Api) -> int:
    async def work(tx: Tx) -> int:
        return await checks.note_old_suspense(tx, now=api.clock.now())

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def read(api: Api) -> Facts:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await facts.read(tx, now=api.clock.now())


async def is_frozen(api: Api) -> bool:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await freeze.frozen(tx)


async def break_a_balance(api: Api, saver: Saver, *, by: int) -> None:
    """Change a balance behind the ledger's back, as only an owner of the tables could."""
    await api.alter(
        "ALTER TABLE ledger.balances DISABLE TRIGGER USER;"
        f" UPDATE ledger.balances SET balance_cents = balance_cents + {by}"
        f" WHERE saver_id = '{saver.id}' AND kind = 'wallet';"
        " ALTER TABLE ledger.balances ENABLE TRIGGER USER"
    )


async def test_books_in_order_freeze_nothing(fresh: Api) -> None:
    await payer(fresh)
    assert await check_books(fresh) == 0
    assert not await is_frozen(fresh)
    assert await open_breaks(fresh) == []


async def test_a_broken_promise_freezes_money_out_and_never_money_in(fresh: Api) -> None:
    saver = await payer(fresh, cents=50_000)
    await break_a_balance(fresh, saver, by=100)
    assert await check_books(fresh) == 1
    assert await is_frozen(fresh)
    (found,) = await open_breaks(fresh)
    assert (found.kind, found.command) == (
        "books_broken",
        "zanari payouts resume --evidence TEXT, once the books are mended",
    )
    assert code_of(await withdraw(saver, 10_000)) == (503, "payouts_paused")
    other = await fresh.new_saver()
    await other.deposit(10_000)
    assert await other.holds() == (10_000, 0, 0)
    # Mended, the break closes by itself; what was frozen stays so until somebody says otherwise.
    await break_a_balance(fresh, saver, by=-100)
    assert await check_books(fresh) == 0
    assert await open_breaks(fresh) == []
    assert await is_frozen(fresh)


async def test_each_broken_promise_has_a_break_of_its_own(fresh: Api) -> None:
    savers = [await payer(fresh, cents=50_000) for _ in range(2)]
    for saver in savers:
        await break_a_balance(fresh, saver, by=100)
    assert await check_books(fresh) == 2
    assert len(await open_breaks(fresh)) == 2
    assert (await read(fresh)).books_broken == 2
    await break_a_balance(fresh, savers[0], by=-100)
    assert await check_books(fresh) == 1
    assert len(await open_breaks(fresh)) == 1
    await break_a_balance(fresh, savers[1], by=-100)


async def test_suspense_that_nobody_claims_for_a_week_is_a_break_until_it_is_assigned(fresh: Api) -> None:
    receipt = new_receipt()
    await fresh.pay_in(12_300, account_reference="rent", receipt=receipt)
    assert await note_old(fresh) == 0
    fresh.clock.advance(days=7, minutes=1)
    assert await note_old(fresh) == 1
    (found,) = await open_breaks(fresh)
    assert (found.kind, found.subject, found.amount_cents) == ("suspense_old", f"suspense:{receipt}", 12_300)
    assert found.command.startswith(f"zanari suspense assign {receipt} --to MEMBER")
    await fresh.alter(
        "UPDATE mpesa.suspense_items SET state = 'assigned', resolved_at = now(), resolved_by = 'x', evidence = 'y'"
    )
    assert await note_old(fresh) == 0
    assert await open_breaks(fresh) == []


async def test_the_gauges_facts_are_those_of_the_database(fresh: Api) -> None:
    nothing = await read(fresh)
    assert nothing.float_break_cents == {}
    assert set(nothing.open_breaks) == {kind.value for kind in BreakKind}
    assert sum(nothing.open_breaks.values()) == 0
    assert (nothing.oldest_break_age, nothing.oldest_suspense_age) == (timedelta(0), timedelta(0))
    assert (nothing.suspense_cents, nothing.books_broken, nothing.fees_not_covered_cents) == (0, 0, 0)
    await fresh.pay_in(12_300, account_reference="rent")
    noted_at = fresh.clock.now()
    for subject, account, cents in (
        (f"float:{SHORTCODE}:utility", "utility", 500),
        (f"float:{SHORTCODE}:utility:2026-11-24", "utility", 900),
    ):
        await fresh.alter(
            "INSERT INTO mpesa.breaks (id, kind, subject, shortcode, account, amount_cents, suspected_cause, command,"
            " opened_at, last_seen_at) VALUES ($1, 'float_differs', $2, $3, $4, $5, 'x', 'x', $6, $6)",
            new_id(),
            subject,
            SHORTCODE,
            account,
            cents,
            noted_at,
        )
    fresh.clock.advance(hours=2)
    told = await read(fresh)
    assert told.float_break_cents == {(SHORTCODE, "utility"): 500}
    assert told.open_breaks["float_differs"] == 2
    assert timedelta(hours=2) <= told.oldest_break_age < timedelta(hours=2, minutes=1)
    assert told.suspense_cents == 12_300
    assert timedelta(hours=2) <= told.oldest_suspense_age < timedelta(hours=3)


async def test_the_schedules_run_by_themselves(fresh: Api) -> None:
    await fresh.emulator.deposit_float(SHORTCODE, 1_000)
    names = {each.name: each for each in schedules_of(fresh.app.state.parts.reconciling())}
    assert set(names) == {"reconcile_nightly", "reconcile_hourly", "books_check"}
    await names["reconcile_hourly"].run()
    assert [found.amount_cents for found in await open_breaks(fresh)] == [1_000]
    await names["books_check"].run()
    fresh.clock.advance(days=8)
    await fresh.pay_in(12_300, account_reference="rent", TransTime="20261101100000")
    await names["reconcile_nightly"].run()
    assert {found.kind for found in await open_breaks(fresh)} >= {"float_differs", "suspense_old"}
    saver = await payer(fresh, cents=50_000)
    await break_a_balance(fresh, saver, by=100)
    await names["books_check"].run()
    assert await is_frozen(fresh)
    await break_a_balance(fresh, saver, by=-100)


async def test_it_is_told_when_the_books_were_last_checked_to_the_end(fresh: Api) -> None:
    assert (await read(fresh)).books_checked_at is None
    began_at = fresh.clock.now()
    await fresh.work()
    checked_at = (await read(fresh)).books_checked_at
    assert checked_at is not None
    assert checked_at >= began_at


async def test_the_worker_runs_them_when_they_are_due(fresh: Api) -> None:
    await fresh.emulator.deposit_float(SHORTCODE, 1_000)
    fresh.clock.advance(hours=2)
    await fresh.work()
    assert "float_differs" in {found.kind for found in await open_breaks(fresh)}
