"""Balances of system accounts: a snapshot and what came after it, whatever was running and wherever it is restored."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Never

import pytest

from tests.ledger.hand import FLOAT, Hand, move
from tests.support import postgres
from tests.support.books import Books
from tests.support.postgres import TEST_OPTIONS, Cluster
from zanari_api.ledger import accounts, balances, posting
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.sandbox.postgres import EmbeddedPostgres

SNAPSHOT = "SELECT s.balance_cents FROM ledger.snapshots AS s WHERE s.account_id = $1"


def use_up_transaction_ids(count: int) -> str:
    return f"DO $$ BEGIN FOR i IN 1..{count} LOOP COMMIT; PERFORM pg_current_xact_id(); END LOOP; END $$"


def dump_and_restore(source: postgres.Database, target: postgres.Database, bin_dir: Path) -> None:
    dump = [bin_dir / "pg_dump", "--format=custom", "--schema=ledger", source.superuser_dsn]
    restore = [bin_dir / "pg_restore", "--exit-on-error", f"--dbname={target.superuser_dsn}"]
    dumped = subprocess.run(dump, check=True, capture_output=True).stdout  # noqa: S603 (the server's own programs)
    subprocess.run(restore, input=dumped, check=True)  # noqa: S603 (the server's own programs)


async def take_snapshots(hand: Hand) -> None:
    async with hand.db.transaction(Role.SYSTEM) as tx:
        await balances.take_snapshots(tx)


async def stored(hand: Hand) -> int | None:
    """The float's snapshot, on the float's normal side."""
    async with hand.db.transaction(Role.SYSTEM) as tx:
        cents = await tx.fetch_value(int, SNAPSHOT, FLOAT)
    return None if cents is None else -cents


async def test_a_balance_is_the_same_before_and_after_a_snapshot_and_with_what_comes_later(
    hand: Hand, books: Books
) -> None:
    saver = await hand.saver(wallet_cents=100)
    before = await books.balance(FLOAT)
    await take_snapshots(hand)
    after = await books.balance(FLOAT)
    await hand.post(move(40, source=FLOAT, target=saver.wallet))

    assert before == after == await stored(hand)
    assert await books.balance(FLOAT) == before + 40
    await take_snapshots(hand)
    assert await stored(hand) == before + 40


async def test_a_snapshot_again_with_nothing_new_changes_nothing(hand: Hand, books: Books) -> None:
    await hand.saver(wallet_cents=100)
    for _ in range(3):
        await take_snapshots(hand)

    assert await stored(hand) == await books.balance(FLOAT)


async def test_what_a_running_transaction_posted_is_counted_once_when_it_commits(
    hand: Hand, books: Books
) -> None:
    saver = await hand.saver()
    await take_snapshots(hand)
    before = await books.balance(FLOAT)

    async with hand.db.transaction(Role.SYSTEM) as slow:
        await posting.post(slow, [move(1, source=FLOAT, target=accounts.SUSPENSE)])
        await hand.post(move(10, source=FLOAT, target=saver.wallet))  # begun later, committed earlier
        await take_snapshots(hand)
        assert await stored(hand) == before
        assert await books.balance(FLOAT) == before + 10
        assert await balances.balance(slow, FLOAT) == before + 11
    assert await books.balance(FLOAT) == before + 11
    await take_snapshots(hand)

    assert await stored(hand) == before + 11


async def test_a_transaction_sees_its_own_posting_whoever_else_is_running(hand: Hand, books: Books) -> None:
    await hand.saver()
    await take_snapshots(hand)
    before = await books.balance(FLOAT)

    async with hand.db.transaction(Role.SYSTEM) as older, hand.db.transaction(Role.SYSTEM) as newer:
        await posting.post(older, [move(1, source=FLOAT, target=accounts.SUSPENSE)])
        await posting.post(newer, [move(10, source=FLOAT, target=accounts.SUSPENSE)])
        assert await balances.balance(newer, FLOAT) == before + 10
        assert await balances.balance(older, FLOAT) == before + 1


async def test_what_was_rolled_back_is_never_counted(hand: Hand, books: Books) -> Never:
    await hand.saver()
    before = await books.balance(FLOAT)

    async def change_its_mind(tx: Tx) -> None:
        await posting.post(tx, [move(1, source=FLOAT, target=accounts.SUSPENSE)])
        await balances.take_snapshots(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await hand.db.unit_of_work(change_its_mind, role=Role.SYSTEM)
    await take_snapshots(hand)

    assert await books.balance(FLOAT) == await stored(hand) == before


async def test_snapshots_taken_while_money_moves_stay_right(hand: Hand, books: Books) -> None:
    saver = await hand.saver()
    before = await books.balance(FLOAT)

    async def deposit() -> None:
        for _ in range(20):
            await hand.post(
                move(1, source=FLOAT, target=saver.wallet), move(1, source=FLOAT, target=accounts.SUSPENSE)
            )

    async def snap() -> None:
        for _ in range(15):
            await take_snapshots(hand)
            await books.check()

    await asyncio.gather(*(deposit() for _ in range(4)), snap(), snap())

    assert await books.balance(FLOAT) == before + 160


@pytest.fixture
async def elsewhere(postgres_bin_dir: Path) -> AsyncIterator[Cluster]:
    """Another cluster, whose transaction ids are its own."""
    with (
        tempfile.TemporaryDirectory(prefix="zanari-elsewhere-") as directory,
        EmbeddedPostgres(Path(directory), bin_dir=postgres_bin_dir, options=TEST_OPTIONS) as server,
    ):
        cluster = Cluster(server)
        await cluster.make_template()
        yield cluster


async def test_balances_stay_right_in_a_cluster_the_books_were_restored_into(
    database: postgres.Database, hand: Hand, books: Books, postgres_bin_dir: Path, elsewhere: Cluster
) -> None:
    if not (postgres_bin_dir / "pg_dump").exists():
        pytest.skip("this Postgres comes without pg_dump")
    saver = await hand.saver(wallet_cents=1_000)
    await take_snapshots(hand)
    await hand.post(move(7, source=FLOAT, target=saver.wallet))
    before = await books.balance(FLOAT)
    # The old cluster is ahead, so that the restored rows name transactions the new one will only come to.
    async with database.connected("supabase_admin") as connection:
        await connection.execute(use_up_transaction_ids(3_000))
    await hand.post(
        move(2, source=FLOAT, target=saver.wallet), move(3, source=FLOAT, target=accounts.SUSPENSE)
    )

    restored = await elsewhere.bare_database()
    await asyncio.to_thread(dump_and_restore, database, restored, postgres_bin_dir)

    opened = Database(restored.service_dsn)
    await opened.open()
    try:
        there, its_books = Hand(opened), Books(opened)
        await its_books.check()
        assert await its_books.balance(FLOAT) == before + 5
        for round_number in range(1, 4):
            await there.post(move(1, source=FLOAT, target=saver.wallet))
            assert await its_books.balance(FLOAT) == before + 5 + round_number
            await take_snapshots(there)
            assert await its_books.balance(FLOAT) == before + 5 + round_number
            await its_books.check()
        # Past the ids that the restored rows name: they must not be counted a second time.
        async with restored.connected("supabase_admin") as connection:
            await connection.execute(use_up_transaction_ids(9_000))
        await there.post(move(1, source=FLOAT, target=saver.wallet))
        assert await its_books.balance(FLOAT) == before + 9
        await take_snapshots(there)
        assert await its_books.balance(FLOAT) == await stored(there) == before + 9
        await its_books.check()
    finally:
        await opened.close()
