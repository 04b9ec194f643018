"""What posting costs does not grow with the books: it finds rows by key, also by plans made when tables were small."""

from tests.ledger.hand import FLOAT, Hand, move
from tests.support import postgres
from tests.support.books import Books
from zanari_api.ledger import accounts, balances, posting
from zanari_api.runtime.db import Database, Role

# Counts what this connection has not reported yet, which may go back beyond its transaction: look at differences.
ROWS_READ = """
    SELECT sum(t.seq_tup_read + coalesce(t.idx_tup_fetch, 0))::bigint
      FROM pg_stat_xact_all_tables AS t
     WHERE t.schemaname = 'ledger'
"""


async def test_posting_one_transfer_reads_a_handful_of_rows_however_full_the_books_are(
    database: postgres.Database,
) -> None:
    one_connection = Database(database.service_dsn, pool_max=1)
    await one_connection.open()
    hand = Hand(one_connection)
    savers = await hand.savers(*[0] * 200)
    await hand.post(*(move(100_000, source=FLOAT, target=saver.wallet) for saver in savers))
    for size in (256, *(1,) * 8, *(256,) * 12):
        goals = [savers[number % 200] for number in range(size)]
        await hand.post(*(move(1, source=saver.wallet, target=saver.goal) for saver in goals))

    async with one_connection.transaction(Role.SYSTEM) as tx:
        before = await tx.fetch_value(int, ROWS_READ) or 0
        await posting.post(tx, [move(1, source=savers[0].wallet, target=savers[0].goal)])
        rows = (await tx.fetch_value(int, ROWS_READ) or 0) - before
    await Books(one_connection).check()
    await one_connection.close()

    assert 0 < rows < 60


async def test_a_system_balance_reads_only_what_came_after_its_snapshot(database: postgres.Database) -> None:
    one_connection = Database(database.service_dsn, pool_max=1)
    await one_connection.open()
    hand = Hand(one_connection)
    await hand.saver()
    await hand.post(*(move(1, source=FLOAT, target=accounts.SUSPENSE) for _ in range(500)))
    async with one_connection.transaction(Role.SYSTEM) as tx:
        await balances.take_snapshots(tx)
    await hand.post(move(1, source=FLOAT, target=accounts.SUSPENSE))
    async with database.connected("supabase_admin") as connection:
        await connection.execute("ANALYZE ledger.entries")  # as autovacuum does where it is on

    async with one_connection.transaction(Role.SYSTEM) as tx:
        before = await tx.fetch_value(int, ROWS_READ) or 0
        held = await balances.balance(tx, accounts.SUSPENSE)
        rows = (await tx.fetch_value(int, ROWS_READ) or 0) - before
    await one_connection.close()

    assert held == 501
    assert 0 < rows < 20
