"""Row level security and grants, as each login and role meets them: a forgotten WHERE leaks nothing."""

from uuid import uuid4

import asyncpg
import pytest

from tests.database.acting import acting, app_of, request_of, saver_with_a_row_in_each_table
from tests.support.app import Api
from tests.support.postgres import Database
from tests.support.savers import Saver

SCHEMAS = ("ledger", "savings", "mpesa", "runtime")
READ_THROUGH_SUPABASE = {"savings.goals", "savings.transactions"}
KEPT_INSIDE = {("savings.goals", "account_id"), ("savings.transactions", "private")}

LIST_TABLES = """
    SELECT c.oid::regclass::text AS name, c.relrowsecurity AS secured, c.relacl::text AS grants
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p')
"""

LIST_GRANTS = """
    SELECT DISTINCT coalesce(r.rolname, 'PUBLIC') AS grantee, object, privilege
      FROM (
            SELECT c.oid::regclass::text AS object, (a).grantee, (a).privilege_type AS privilege
              FROM pg_class AS c, aclexplode(c.relacl) AS a
             WHERE c.relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1))
             UNION ALL
            SELECT c.oid::regclass || '.' || t.attname, (a).grantee, (a).privilege_type
              FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid, aclexplode(t.attacl) AS a
             WHERE c.relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1))
             UNION ALL
            SELECT p.oid::regprocedure::text, (a).grantee, (a).privilege_type
              FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             WHERE p.pronamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY ($1))
             UNION ALL
            SELECT n.nspname::text, (a).grantee, (a).privilege_type
              FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
             WHERE n.nspname = ANY ($1)
           ) AS held
      LEFT JOIN pg_roles AS r ON r.oid = held.grantee
"""


async def read(database: Database, sql: str) -> list[asyncpg.Record]:
    async with database.connected("supabase_admin") as connection:
        return await connection.fetch(sql, list(SCHEMAS))


@pytest.fixture(scope="module")
async def tables(database: Database) -> list[str]:
    found = sorted(row["name"] for row in await read(database, LIST_TABLES))
    assert len(found) > 15
    return found


@pytest.fixture(scope="module")
async def amina(module_api: Api) -> Saver:
    return await saver_with_a_row_in_each_table(module_api)


@pytest.fixture(scope="module")
async def baraka(module_api: Api) -> Saver:
    return await saver_with_a_row_in_each_table(module_api)


# Through Supabase


async def test_the_app_reads_own_goals_and_feed_and_nobody_elses(
    database: Database, amina: Saver, baraka: Saver
) -> None:
    for saver, other in ((amina, baraka), (baraka, amina)):
        async with acting(database, "authenticator", *app_of(saver.id)) as app:
            assert set(await app.column("SELECT saver_id FROM savings.goals")) == {saver.id}
            assert set(await app.column("SELECT saver_id FROM savings.transactions")) == {saver.id}
            assert not await app.column("SELECT id FROM savings.goals WHERE saver_id = $1", other.id)
            assert not await app.column("SELECT id FROM savings.transactions WHERE saver_id = $1", other.id)


async def test_a_token_of_nobody_reads_nothing(database: Database, amina: Saver) -> None:
    for settings in (app_of(uuid4()), ("SET LOCAL ROLE authenticated",)):
        async with acting(database, "authenticator", *settings) as app:
            assert not await app.column("SELECT id FROM savings.goals")
            assert not await app.column("SELECT id FROM savings.transactions")


async def test_the_services_own_setting_opens_nothing_to_the_app(database: Database, amina: Saver) -> None:
    async with acting(database, "authenticator", *app_of(uuid4())) as app:
        await app.execute("SELECT set_config('zanari.saver_id', $1, true)", str(amina.id))
        assert not await app.column("SELECT id FROM savings.goals")


async def test_the_app_reads_no_column_that_is_kept_inside(database: Database, amina: Saver) -> None:
    async with acting(database, "authenticator", *app_of(amina.id)) as app:
        for table in READ_THROUGH_SUPABASE:
            columns = await app.column(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0", table
            )
            refused = {
                (table, column) for column in columns if await app.is_refused(f"SELECT {column} FROM {table}")
            }
            assert refused == {place for place in KEPT_INSIDE if place[0] == table}


async def test_the_app_reads_no_other_table(database: Database, tables: list[str], amina: Saver) -> None:
    async with acting(database, "authenticator", *app_of(amina.id)) as app:
        readable = {name for name in tables if not await app.is_refused(f"SELECT 1 FROM {name}")}
    assert readable == READ_THROUGH_SUPABASE


async def test_the_app_writes_nothing(database: Database, tables: list[str], amina: Saver) -> None:
    async with acting(database, "authenticator", *app_of(amina.id)) as app:
        for name in tables:
            assert await app.is_refused(f"INSERT INTO {name} DEFAULT VALUES"), name
            assert await app.is_refused(f"DELETE FROM {name}"), name
            assert await app.is_refused(f"TRUNCATE {name}"), name
        assert await app.is_refused("UPDATE savings.goals SET name = 'mine'")
        assert await app.is_refused("UPDATE savings.transactions SET amount_cents = 1")


@pytest.mark.parametrize("role", ["anon", "service_role"])
async def test_the_other_roles_of_supabase_reach_nothing(
    database: Database, tables: list[str], role: str
) -> None:
    async with acting(database, "authenticator", f"SET LOCAL ROLE {role}") as app:
        for name in tables:
            assert await app.is_refused(f"SELECT 1 FROM {name}"), name
        assert await app.is_refused("SELECT ledger.check()")
        assert await app.is_refused("SELECT ledger.post('[]')")


async def test_supabases_login_takes_no_role_of_the_service(database: Database) -> None:
    async with acting(database, "authenticator") as app:
        for role in ("zanari_api", "zanari_system", "zanari_ledger_owner", "zanari_service", "postgres"):
            assert await app.is_refused(f"SET LOCAL ROLE {role}"), role


# Through the service


async def test_a_request_sees_one_saver_even_without_a_condition(
    database: Database, tables: list[str], amina: Saver, baraka: Saver
) -> None:
    seen: set[str] = set()
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        for name in tables:
            # Entries bear no saver: the next test looks at them by their accounts.
            if name == "ledger.entries" or await request.is_refused(f"SELECT 1 FROM {name}"):
                continue
            assert set(await request.column(f"SELECT saver_id FROM {name}")) == {amina.id}, name
            seen.add(name)
    assert seen >= {
        "ledger.accounts",
        "ledger.balances",
        "runtime.idempotency_keys",
        "savings.accrual_shares",
        "savings.accruals",
        "savings.allocations",
        "savings.collection_items",
        "savings.collection_plans",
        "savings.collections",
        "savings.deposit_reversals",
        "savings.deposits",
        "savings.goal_milestones",
        "savings.goals",
        "savings.intent_events",
        "savings.intents",
        "savings.mpesa_accounts",
        "savings.payout_events",
        "savings.payout_holds",
        "savings.payouts",
        "savings.pins",
        "savings.refused_links",
        "savings.round_up_rules",
        "savings.savers",
        "savings.spends",
        "savings.step_up_tokens",
        "savings.transactions",
    }


async def test_a_request_sees_only_entries_of_its_savers_accounts(
    database: Database, amina: Saver, baraka: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        entries = set(await request.column("SELECT account_id FROM ledger.entries"))
        assert entries
        assert entries <= set(await request.column("SELECT id FROM ledger.accounts"))


async def test_a_request_that_forgot_its_saver_sees_nobody(
    database: Database, tables: list[str], amina: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(None)) as request:
        for name in tables:
            if not await request.is_refused(f"SELECT 1 FROM {name}"):
                assert await request.column(f"SELECT 1 FROM {name}") == [], name


async def test_a_request_changes_one_savers_rows_only(
    database: Database, amina: Saver, baraka: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.execute("UPDATE savings.goals SET description = 'all of them'") == "UPDATE 2"
        assert await request.execute("UPDATE savings.savers SET updated_at = now()") == "UPDATE 1"
        assert await request.is_refused(
            "INSERT INTO savings.goals (saver_id, id, account_id, name, priority) VALUES ($1, $2, $3, 'theirs', 9)",
            baraka.id,
            uuid4(),
            uuid4(),
        )
        assert await request.is_refused("UPDATE savings.goals SET saver_id = $1", baraka.id)


async def test_a_request_changes_no_book_key_code_or_wallet(
    database: Database, tables: list[str], amina: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        for name in tables:
            assert await request.is_refused(f"DELETE FROM {name}"), name
            assert await request.is_refused(f"TRUNCATE {name}"), name
            if name.startswith(("ledger.", "mpesa.")):
                assert await request.is_refused(f"INSERT INTO {name} DEFAULT VALUES"), name
        for column in (
            "member_code = '00000000'",
            "data_key = ''",
            "wallet_account_id = saver_id",
            "kyc_tier = 3",
        ):
            assert await request.is_refused(f"UPDATE savings.savers SET {column}"), column
        assert await request.is_refused("UPDATE ledger.balances SET balance_cents = 1")


async def test_a_request_neither_changes_nor_ends_a_hold_nor_makes_a_spent_token_good(
    database: Database, amina: Saver, baraka: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.is_refused("UPDATE savings.payout_holds SET held_until = now()")
        for column in ("expires_at = 'infinity'", "purpose = 'withdrawal'", "pin_version = 9"):
            assert await request.is_refused(f"UPDATE savings.step_up_tokens SET {column}"), column
        assert await request.execute("UPDATE savings.pins SET wrong_tries = 1") == "UPDATE 1"
        assert await request.is_refused("UPDATE savings.pins SET saver_id = $1", baraka.id)
        assert await request.execute("UPDATE savings.step_up_tokens SET spent_at = now()") == "UPDATE 1"
        assert await request.execute("UPDATE savings.step_up_tokens SET spent_at = NULL") == "UPDATE 0"
    async with acting(database, "zanari_service", "SET LOCAL ROLE zanari_system") as system:
        assert await system.is_refused("UPDATE savings.payout_holds SET held_until = now()")
    async with acting(database, "zanari_service", *request_of(baraka.id)) as request:
        assert await request.is_refused("UPDATE savings.step_up_tokens SET spent_at = NULL")
        assert await request.is_refused(
            "INSERT INTO savings.step_up_tokens (saver_id, token_hash, purpose, pin_version, created_at, expires_at)"
            " SELECT $1, decode(repeat('ab', 32), 'hex'), 'withdrawal', 1, now(), 'infinity'",
            amina.id,
        )


async def test_a_request_cannot_open_or_read_accounts_of_another_saver(
    database: Database, amina: Saver, baraka: Saver
) -> None:
    theirs = "SELECT wallet_account_id FROM savings.savers WHERE saver_id = $1"
    async with acting(database, "supabase_admin") as admin:
        (wallet,) = await admin.column(theirs, baraka.id)
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.column("SELECT ledger.balance($1)", wallet) == [None]
        assert await request.is_refused(
            "SELECT ledger.open_accounts($1, ARRAY[$2::uuid], ARRAY['goal'])", baraka.id, uuid4()
        )


async def test_the_system_writes_no_book_and_deletes_nothing(database: Database, tables: list[str]) -> None:
    async with acting(database, "zanari_service", "SET LOCAL ROLE zanari_system") as system:
        for name in tables:
            assert await system.is_refused(f"DELETE FROM {name}"), name
            assert await system.is_refused(f"TRUNCATE {name}"), name
            if name.startswith("ledger."):
                assert await system.is_refused(f"INSERT INTO {name} DEFAULT VALUES"), name
        assert await system.is_refused("UPDATE ledger.balances SET balance_cents = 1")
        assert await system.is_refused("UPDATE ledger.entries SET amount_cents = 1")


async def test_the_services_login_alone_can_do_nothing(database: Database, tables: list[str]) -> None:
    async with acting(database, "zanari_service") as login:
        for name in tables:
            assert await login.is_refused(f"SELECT 1 FROM {name}"), name
        assert await login.is_refused("SELECT ledger.post('[]')")
        assert await login.is_refused("SELECT nextval('savings.member_numbers')")
        for role in ("zanari_ledger_owner", "postgres", "authenticated", "service_role", "supabase_admin"):
            assert await login.is_refused(f"SET LOCAL ROLE {role}"), role


# The catalogue


async def test_every_table_has_row_level_security(database: Database) -> None:
    assert [row["name"] for row in await read(database, LIST_TABLES) if not row["secured"]] == []


async def test_nothing_is_granted_to_everybody_or_to_roles_that_need_nothing(database: Database) -> None:
    grants = await read(database, LIST_GRANTS)
    assert len(grants) > 50
    unwanted = {"PUBLIC", "anon", "service_role", "authenticator", "zanari_service"}
    assert [tuple(row) for row in grants if row["grantee"] in unwanted] == []


async def test_the_app_holds_column_reads_and_the_way_there_only(database: Database) -> None:
    held = {
        (row["object"], row["privilege"])
        for row in await read(database, LIST_GRANTS)
        if row["grantee"] == "authenticated"
    }
    assert ("savings", "USAGE") in held
    assert {privilege for object_, privilege in held if object_ != "savings"} == {"SELECT"}
    assert {
        object_.rpartition(".")[0] for object_, _ in held if object_ != "savings"
    } == READ_THROUGH_SUPABASE


async def test_no_role_of_the_service_passes_row_level_security(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        roles = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolinherit, rolcanlogin FROM pg_roles"
            " WHERE rolname LIKE 'zanari\\_%' ORDER BY rolname"
        )
    assert [role["rolname"] for role in roles] == [
        "zanari_api",
        "zanari_ledger_owner",
        "zanari_service",
        "zanari_system",
    ]
    for role in roles:
        assert not role["rolsuper"]
        assert not role["rolbypassrls"]
        assert role["rolcanlogin"] == (role["rolname"] == "zanari_service")
    (service,) = (role for role in roles if role["rolcanlogin"])
    assert not service["rolinherit"]
