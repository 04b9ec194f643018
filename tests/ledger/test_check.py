"""ledger.check believes only the rows: it names damage done behind the back of every trigger and constraint."""

import re
from dataclasses import dataclass

import pytest

from tests.ledger.hand import FLOAT, Hand, Saver, move
from tests.support.postgres import Database
from zanari_api.ledger import accounts, balances, invariants
from zanari_api.runtime.db import Role

CHECK = "SELECT c.invariant, c.subject, c.detail FROM ledger.check() AS c"


@dataclass(frozen=True, slots=True)
class Damage:
    """What a superuser did, and every invariant that breaks by it."""

    done: str
    breaks: set[str]
    past_checks: bool = False
    "the checks that would refuse it are dropped first, which is damage of its own"


ENTRY = "(SELECT max(e.id) FROM ledger.entries AS e WHERE e.account_id = '{wallet}')"
FIRST = "(SELECT min(e.id) FROM ledger.entries AS e WHERE e.account_id = '{wallet}')"
LAST = "WHERE id = " + ENTRY
NO_CHECKS = (
    "ALTER TABLE ledger.entries DROP CONSTRAINT entries_current_adds_up, DROP CONSTRAINT entries_amount_not_zero;"
    "ALTER TABLE ledger.balances DROP CONSTRAINT balances_not_overdrawn;"
    "ALTER TABLE ledger.accounts DROP CONSTRAINT accounts_currency_known,"
    " DROP CONSTRAINT accounts_normal_side_matches_kind;"
)
UNBALANCED = {"transfer_unbalanced", "books_not_zero"}

DAMAGES = {
    "an amount is edited": Damage(
        f"UPDATE ledger.entries SET amount_cents = amount_cents + 1 {LAST}",
        {*UNBALANCED, "entry_adds_up_wrong", "balance_unlike_entries"},
        past_checks=True,
    ),
    "an amount and what follows from it are edited": Damage(
        "UPDATE ledger.entries SET amount_cents = amount_cents + 1,"
        f" account_current_cents = account_current_cents + 1 {LAST};"
        "UPDATE ledger.balances SET balance_cents = balance_cents + 1 WHERE account_id = '{wallet}'",
        UNBALANCED,
    ),
    "an amount is emptied": Damage(
        f"UPDATE ledger.entries SET amount_cents = 0 {LAST}",
        {*UNBALANCED, "entry_of_zero", "entry_adds_up_wrong", "balance_unlike_entries"},
        past_checks=True,
    ),
    "the last entry of an account is cut off": Damage(
        f"DELETE FROM ledger.entries {LAST}",
        {*UNBALANCED, "transfer_too_few_entries", "balance_unlike_entries"},
    ),
    "an entry in the middle is cut out": Damage(
        f"DELETE FROM ledger.entries WHERE id = {FIRST}",
        {*UNBALANCED, "transfer_too_few_entries", "version_gap", "chain_broken", "balance_unlike_entries"},
    ),
    "a whole transfer is cut out": Damage(
        "DELETE FROM ledger.entries WHERE transfer_id = '{save}'; DELETE FROM ledger.transfers WHERE id = '{save}'",
        {"version_gap", "chain_broken", "balance_unlike_entries"},
    ),
    "a transfer loses its entries": Damage(
        "DELETE FROM ledger.entries WHERE transfer_id = '{save}'",
        {"transfer_too_few_entries", "version_gap", "chain_broken", "balance_unlike_entries"},
    ),
    "a transfer is deleted": Damage(
        "DELETE FROM ledger.transfers WHERE id = '{save}'", {"entry_without_transfer"}
    ),
    "a key is used twice": Damage(
        "ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_key_unique;"
        "UPDATE ledger.transfers SET key = (SELECT t.key FROM ledger.transfers AS t WHERE t.id = '{save}')",
        {"transfer_key_repeated", "guard_missing"},
    ),
    "an account is deleted": Damage(
        "DELETE FROM ledger.accounts WHERE id = '{goal}'", {"entry_without_account", "balance_extra"}
    ),
    "an account changes its currency": Damage(
        "UPDATE ledger.accounts SET currency = 'USD' WHERE id = '{goal}'",
        {"transfer_mixes_currencies"},
        past_checks=True,
    ),
    "an account changes its side": Damage(
        "UPDATE ledger.accounts SET normal_side = 'debit' WHERE id = '{goal}'",
        {"account_off_chart"},
        past_checks=True,
    ),
    "an account changes its saver": Damage(
        "UPDATE ledger.accounts SET saver_id = id WHERE id = '{goal}'", {"balance_extra"}
    ),
    "an account is closed with money in it": Damage(
        "UPDATE ledger.accounts SET closed_at = 'infinity' WHERE id = '{wallet}'", {"closed_with_money"}
    ),
    "a system account gets a version": Damage(
        "UPDATE ledger.entries SET account_version = 1, account_previous_cents = 0,"
        " account_current_cents = amount_cents WHERE id = (SELECT min(e.id) FROM ledger.entries AS e"
        " WHERE e.account_id = '{float}')",
        {"version_on_system_account"},
    ),
    "an entry loses its version": Damage(
        "UPDATE ledger.entries SET account_version = NULL, account_previous_cents = NULL,"
        f" account_current_cents = NULL {LAST}",
        {"version_missing"},
    ),
    "a version is skipped": Damage(
        f"UPDATE ledger.entries SET account_version = account_version + 1 {LAST}", {"version_gap"}
    ),
    "an account was overdrawn for a while": Damage(
        "UPDATE ledger.entries SET account_previous_cents = account_previous_cents - 1000,"
        f" account_current_cents = account_current_cents - 1000 {LAST}",
        {"overdrawn", "chain_broken"},
        past_checks=True,
    ),
    "a balance is edited": Damage(
        "UPDATE ledger.balances SET balance_cents = balance_cents + 1 WHERE account_id = '{wallet}'",
        {"balance_unlike_entries"},
    ),
    "a balance is below zero": Damage(
        "UPDATE ledger.balances SET balance_cents = -1 WHERE account_id = '{wallet}'",
        {"balance_overdrawn", "balance_unlike_entries"},
        past_checks=True,
    ),
    "a balance row is gone": Damage(
        "DELETE FROM ledger.balances WHERE account_id = '{wallet}'", {"balance_missing"}
    ),
    "a snapshot is edited": Damage(
        "UPDATE ledger.snapshots SET balance_cents = balance_cents + 1 WHERE account_id = '{float}'",
        {"snapshot_unlike_entries"},
    ),
    "a trigger is disabled": Damage(
        "ALTER TABLE ledger.entries DISABLE TRIGGER entries_immutable", {"guard_missing"}
    ),
    "a trigger fires for replicas only": Damage(
        "ALTER TABLE ledger.entries ENABLE REPLICA TRIGGER entries_immutable", {"guard_missing"}
    ),
    "foreign keys are disabled with all triggers": Damage(
        "ALTER TABLE ledger.balances DISABLE TRIGGER ALL", {"guard_disabled", "guard_missing"}
    ),
    "a constraint is not validated": Damage(
        "ALTER TABLE ledger.balances DROP CONSTRAINT balances_not_overdrawn, ADD CONSTRAINT"
        " balances_not_overdrawn CHECK (kind = 'receivable' OR balance_cents >= 0) NOT VALID",
        {"guard_missing"},
    ),
    "row level security is off": Damage(
        "ALTER TABLE ledger.entries DISABLE ROW LEVEL SECURITY", {"row_security_off"}
    ),
    "somebody may write": Damage("GRANT INSERT ON ledger.entries TO zanari_api", {"write_granted"}),
    "everybody may write": Damage("GRANT UPDATE ON ledger.balances TO PUBLIC", {"write_granted"}),
}


@pytest.fixture
async def books_with_money(hand: Hand) -> dict[str, object]:
    saver: Saver = await hand.saver(wallet_cents=500)
    save = move(200, source=saver.wallet, target=saver.goal)
    await hand.post(save, move(50, source=saver.wallet, target=accounts.SUSPENSE))
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await balances.take_snapshots(tx)
    return {"wallet": saver.wallet, "goal": saver.goal, "save": save.id, "float": FLOAT}


@pytest.mark.parametrize("name", DAMAGES)
async def test_the_check_names_what_was_damaged(
    database: Database, books_with_money: dict[str, object], name: str
) -> None:
    damage = DAMAGES[name]
    async with database.connected("supabase_admin") as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SET LOCAL session_replication_role = replica")
        before = await connection.fetch(CHECK)
        if damage.past_checks:
            await connection.execute(NO_CHECKS)
        await connection.execute(damage.done.format(**books_with_money))
        broken = {row["invariant"] for row in await connection.fetch(CHECK)}
        await transaction.rollback()

    assert before == []
    assert broken == (damage.breaks | {"guard_missing"} if damage.past_checks else damage.breaks)


async def test_every_invariant_the_check_knows_is_broken_here(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        sources = await connection.fetch(
            "SELECT p.prosrc FROM pg_proc AS p"
            " WHERE p.pronamespace = 'ledger'::regnamespace AND p.proname IN ('check', 'check_guards')"
        )
    known = {name for row in sources for name in re.findall(r"SELECT '([a-z_]+)',", row["prosrc"])}

    assert known == {invariant for damage in DAMAGES.values() for invariant in damage.breaks}


async def test_books_in_order_have_nothing_to_report(hand: Hand, books_with_money: dict[str, object]) -> None:
    assert books_with_money
    async with hand.db.transaction(Role.SYSTEM) as tx:
        assert await invariants.check(tx) == []


async def test_a_break_says_which_promise_on_what_and_how(
    database: Database, books_with_money: dict[str, object]
) -> None:
    wallet = books_with_money["wallet"]
    async with database.connected("supabase_admin") as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "UPDATE ledger.balances SET balance_cents = balance_cents + 1 WHERE account_id = $1", wallet
        )
        (row,) = await connection.fetch(CHECK)
        await transaction.rollback()

    assert (row["invariant"], row["subject"]) == ("balance_unlike_entries", str(wallet))
    assert row["detail"] == "it says 251 at version 3, the entries say 250 at 3"
