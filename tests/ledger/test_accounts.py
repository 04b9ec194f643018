"""Opening, closing and reading accounts, and who may do and see what."""

from uuid import UUID

import asyncpg
import pytest

from tests.ledger.hand import FLOAT, SHORTCODE, Hand, move
from tests.support.books import Books
from tests.support.postgres import Database
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances
from zanari_api.ledger.accounts import AccountKind, FloatAccount
from zanari_api.ledger.errors import AccountNotEmpty, UnknownAccount
from zanari_api.runtime.db import Role

SYSTEM_ACCOUNTS = {
    AccountKind.SUSPENSE: accounts.SUSPENSE,
    AccountKind.IN_FLIGHT: accounts.IN_FLIGHT,
    AccountKind.DUST: accounts.DUST,
    AccountKind.FUNDING: accounts.FUNDING,
    AccountKind.FEES: accounts.FEES,
}


async def test_the_well_known_ids_are_the_databases(hand: Hand) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        rows = await tx.fetch_all(
            dict,
            "SELECT a.kind, a.id FROM ledger.accounts AS a WHERE a.saver_id IS NULL AND a.kind <> 'float'",
        )

    assert {row["kind"]: row["id"] for row in rows} == SYSTEM_ACCOUNTS


@pytest.mark.parametrize("shortcode", ["600000", "174379", "5012345"])
async def test_float_ids_are_the_databases(hand: Hand, shortcode: str) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await accounts.open_floats(tx, shortcode)
        await accounts.open_floats(tx, shortcode)
        rows = await tx.fetch_all(
            dict, "SELECT a.float_account, a.id FROM ledger.accounts AS a WHERE a.shortcode = $1", shortcode
        )

    assert {row["float_account"]: row["id"] for row in rows} == {
        account: accounts.float_id(shortcode, account) for account in FloatAccount
    }


def test_a_float_id_is_a_version_8_uuid() -> None:
    made = accounts.float_id("600000")

    assert (made.version, made.variant) == (8, UUID(int=0x8 << 60).variant)


async def test_python_and_the_database_know_the_same_kinds(hand: Hand) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        text = await tx.fetch_value(
            str,
            "SELECT pg_get_constraintdef(c.oid) FROM pg_constraint AS c WHERE c.conname = 'accounts_kind_known'",
        )

    assert text is not None
    assert set(text.split("'")[1::2]) == set(AccountKind)


async def test_opening_accounts_again_changes_nothing(hand: Hand, books: Books) -> None:
    saver = await hand.saver(wallet_cents=70)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await accounts.open_accounts(
            tx, saver_id=saver.id, accounts={saver.wallet: AccountKind.WALLET, saver.goal: AccountKind.GOAL}
        )

    assert await books.balance(saver.wallet) == 70


async def test_an_open_account_cannot_be_opened_as_something_else(hand: Hand) -> None:
    saver = await hand.saver()

    for owner, kind in ((saver.id, AccountKind.GOAL), (new_id(), AccountKind.WALLET)):
        with pytest.raises(asyncpg.UniqueViolationError) as raised:
            async with hand.db.transaction(Role.SYSTEM) as tx:
                await accounts.open_accounts(tx, saver_id=owner, accounts={saver.wallet: kind})
        assert raised.value.constraint_name == "accounts_pkey"


@pytest.mark.parametrize("kind", [AccountKind.WALLET, AccountKind.RECEIVABLE])
async def test_a_saver_has_one_wallet_and_one_receivable(hand: Hand, kind: AccountKind) -> None:
    saver = await hand.saver()

    with pytest.raises(asyncpg.UniqueViolationError) as raised:
        async with hand.db.transaction(Role.SYSTEM) as tx:
            await accounts.open_accounts(tx, saver_id=saver.id, accounts={new_id(): kind})

    assert raised.value.constraint_name == f"accounts_{kind}_unique"


async def test_a_saver_has_any_number_of_goals(hand: Hand, books: Books) -> None:
    saver, goals = await hand.saver(), {new_id(): AccountKind.GOAL for _ in range(3)}
    async with hand.db.transaction(Role.API, saver.id) as tx:
        await accounts.open_accounts(tx, saver_id=saver.id, accounts=goals)

    assert [await books.balance(goal) for goal in goals] == [0, 0, 0]


@pytest.mark.parametrize("kind", [AccountKind.FLOAT, AccountKind.SUSPENSE, "savings"])
async def test_a_saver_cannot_own_a_system_account(hand: Hand, kind: AccountKind) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with hand.db.transaction(Role.SYSTEM) as tx:
            await accounts.open_accounts(tx, saver_id=new_id(), accounts={new_id(): kind})


async def test_a_savers_request_opens_accounts_for_that_saver_only(hand: Hand) -> None:
    saver = await hand.saver()

    for caller in (saver.id, None):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with hand.db.transaction(Role.API, caller) as tx:
                await accounts.open_accounts(tx, saver_id=new_id(), accounts={new_id(): AccountKind.WALLET})


async def test_a_savers_request_opens_no_floats(hand: Hand) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with hand.db.transaction(Role.API, new_id()) as tx:
            await accounts.open_floats(tx, SHORTCODE)


async def test_an_account_that_holds_money_is_not_closed(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=1)

    async with hand.db.transaction(Role.SYSTEM) as tx:
        with pytest.raises(AccountNotEmpty):
            await accounts.close_account(tx, saver.wallet)

    assert await hand.outcomes(move(1, source=saver.wallet, target=FLOAT)) == ["posted"]


async def test_closing_again_keeps_the_first_time(hand: Hand) -> None:
    saver = await hand.saver()
    closed_at = "SELECT a.closed_at FROM ledger.accounts AS a WHERE a.id = $1"

    async with hand.db.transaction(Role.API, saver.id) as tx:
        await accounts.close_account(tx, saver.goal)
        first = await tx.fetch_value(object, closed_at, saver.goal)
        await accounts.close_account(tx, saver.goal)
        second = await tx.fetch_value(object, closed_at, saver.goal)

    assert first is not None
    assert first == second


async def test_only_an_account_the_caller_has_can_be_closed(hand: Hand) -> None:
    mine, theirs = await hand.savers(0, 0)

    async with hand.db.transaction(Role.API, mine.id) as tx:
        with pytest.raises(UnknownAccount):
            await accounts.close_account(tx, theirs.goal)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        for account_id in (new_id(), accounts.SUSPENSE, FLOAT):
            with pytest.raises(UnknownAccount):
                await accounts.close_account(tx, account_id)


async def test_balances_are_shown_on_the_normal_side(hand: Hand, books: Books) -> None:
    saver = await hand.saver()
    float_before, fees_before = await books.balance(FLOAT), await books.balance(accounts.FEES)

    await hand.post(
        move(500, source=FLOAT, target=saver.wallet),
        move(20, source=saver.receivable, target=FLOAT),
        move(7, source=accounts.FEES, target=FLOAT),
    )

    assert await books.balance(saver.wallet) == 500
    assert await books.balance(saver.receivable) == 20
    assert await books.balance(FLOAT) - float_before == 500 - 20 - 7
    assert await books.balance(accounts.FEES) - fees_before == 7


async def test_a_saver_reads_own_balances_only(hand: Hand) -> None:
    mine, theirs = await hand.savers(100, 200)

    async with hand.db.transaction(Role.API, mine.id) as tx:
        held = await balances.balances(tx, [mine.wallet, mine.goal, theirs.wallet, FLOAT, accounts.SUSPENSE])
        other = await balances.balance(tx, theirs.wallet)
    async with hand.db.transaction(Role.SYSTEM) as tx:
        seen = await balances.balances(tx, [mine.wallet, theirs.wallet])

    assert held == {mine.wallet: 100, mine.goal: 0}
    assert other is None
    assert seen == {mine.wallet: 100, theirs.wallet: 200}


@pytest.mark.parametrize("table", ["accounts", "balances", "entries"])
async def test_a_saver_reads_own_rows_only(hand: Hand, database: Database, table: str) -> None:
    mine, _ = await hand.savers(100, 200)
    rows = f"SELECT * FROM ledger.{table}"
    own = {mine.wallet, mine.goal, mine.receivable}

    async with database.connected("zanari_service") as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE zanari_api")
        forgotten = await connection.fetch(rows)
        await connection.execute("SELECT set_config('zanari.saver_id', $1, true)", str(mine.id))
        seen = {row.get("account_id") or row["id"] for row in await connection.fetch(rows)}

    assert forgotten == []
    assert seen == ({mine.wallet} if table == "entries" else own)


@pytest.mark.parametrize("table", ["transfers", "snapshots"])
async def test_a_saver_reads_nothing_that_spans_savers(database: Database, table: str) -> None:
    async with database.connected("zanari_service") as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE zanari_api")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM ledger.{table}")


@pytest.mark.parametrize("function", ["take_snapshots()", "check()", "recognise('[]')", "named_id('x')"])
async def test_a_saver_runs_nothing_that_spans_savers(database: Database, function: str) -> None:
    async with database.connected("zanari_service") as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE zanari_api")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT ledger.{function}")
