"""What is in the books stays there, whoever asks."""

import asyncpg
import pytest

from tests.ledger.hand import FLOAT, Hand, move
from tests.support.postgres import Database

CHANGES = [
    "UPDATE ledger.entries SET amount_cents = amount_cents + 1",
    "UPDATE ledger.entries SET amount_cents = 1 WHERE false",
    "DELETE FROM ledger.entries",
    "TRUNCATE ledger.entries",
    "UPDATE ledger.transfers SET metadata = '{}'",
    "DELETE FROM ledger.transfers",
    "TRUNCATE ledger.transfers",
    "TRUNCATE ledger.transfers, ledger.entries",
    "DELETE FROM ledger.accounts",
    "TRUNCATE ledger.accounts CASCADE",
    "UPDATE ledger.accounts SET opened_at = opened_at - interval '1 day'",
    "DELETE FROM ledger.balances",
    "TRUNCATE ledger.balances",
    "UPDATE ledger.balances SET balance_cents = balance_cents + 1, version = version + 1",
]


@pytest.fixture(autouse=True)
async def money_in_the_books(hand: Hand) -> None:
    saver = await hand.saver(wallet_cents=100)
    await hand.post(
        move(10, source=saver.wallet, target=saver.goal), move(1, source=saver.wallet, target=FLOAT)
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ["zanari_api", "zanari_system", "anon", "authenticated", "service_role"])
async def test_no_role_of_the_service_may_change_the_books(
    database: Database, role: str, change: str
) -> None:
    async with database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ["zanari_ledger_owner", "postgres", "supabase_admin"])
async def test_neither_may_their_owner_nor_a_superuser(database: Database, role: str, change: str) -> None:
    async with database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises((asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError)):
            await connection.execute(change)


@pytest.mark.parametrize("table", ["accounts", "balances", "transfers", "entries", "snapshots"])
@pytest.mark.parametrize("role", ["zanari_api", "zanari_system"])
async def test_the_functions_are_the_only_way_to_add(database: Database, role: str, table: str) -> None:
    async with database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"INSERT INTO ledger.{table} DEFAULT VALUES")
