"""Sealing: every committed row gets one seal, in the order of visibility, whoever else writes or seals meanwhile."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.ledger.hand import FLOAT, Hand, move
from tests.support import postgres
from tests.support.books import Books
from tests.support.postgres import TEST_OPTIONS, Cluster
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, posting, sealing, verifying
from zanari_api.ledger.chain import Head
from zanari_api.ledger.sealing import ChainDiffers
from zanari_api.ledger.verifying import Fault
from zanari_api.runtime import audit
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.sandbox.postgres import EmbeddedPostgres

MANY: int = 1_000


async def seal_all(db: Database, *, rows_max: int = sealing.BATCH_ROWS) -> int:
    return await sealing.seal_all(db, batches_max=MANY, rows_max=rows_max)


async def head(db: Database) -> Head:
    async with db.transaction(Role.SYSTEM) as tx:
        return await sealing.find_head(tx)


async def unsealed(db: Database) -> int:
    async with db.transaction(Role.SYSTEM) as tx:
        return (await sealing.find_lag(tx)).rows


async def act(db: Database, reason: str = "ticket 1") -> None:
    async def record(tx: Tx) -> None:
        await audit.record(
            tx, operator="wanjiku", act="tried", subject="test:1", reason=reason, before={}, after={"a": None}
        )

    await db.unit_of_work(record, role=Role.SYSTEM)


async def seals(database: postgres.Database) -> list[tuple[int, str, UUID]]:
    async with database.connected("supabase_admin") as connection:
        rows = await connection.fetch("SELECT seq, kind, subject_id FROM ledger.seals ORDER BY seq")
    return [(row["seq"], row["kind"], UUID(str(row["subject_id"]))) for row in rows]


async def clean(db: Database) -> Head:
    """Verify the whole chain and assert that nothing is bad in it; return where it ends."""
    verified = await verifying.verify(db)
    assert verified.bad == ()
    assert verified.searched
    return verified.head


async def test_transfers_and_acts_are_sealed_once_each_without_a_gap(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    await act(db, 'a reason with an ö, " and a newline\n')
    await hand.post(
        move(10, source=saver.wallet, target=saver.goal, note="käse", nothing=None),
        move(5, source=FLOAT, target=accounts.SUSPENSE),
    )
    assert await unsealed(db) > 0
    sealed = await seal_all(db, rows_max=2)

    found = await seals(database)
    assert sealed == len(found) >= 4
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
    assert len({subject for _, _, subject in found}) == len(found)
    assert {kind for _, kind, _ in found} == {"transfer", "act"}
    assert await unsealed(db) == 0
    assert await seal_all(db) == 0
    assert await clean(db) == await head(db)


async def test_what_a_running_transaction_wrote_is_sealed_when_it_ends_and_not_before_what_is_older(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    saver = await hand.saver(wallet_cents=1_000)
    await seal_all(db)
    before = len(await seals(database))

    late = move(1, source=FLOAT, target=accounts.SUSPENSE)
    early = move(2, source=FLOAT, target=saver.wallet)
    async with db.transaction(Role.SYSTEM) as slow:
        await posting.post(slow, [late])
        await hand.post(early)  # begun later, committed earlier
        assert await seal_all(db) == 0  # or a row below it could still appear
        assert await unsealed(db) == 1
    assert await seal_all(db) == 2

    # In the order of their transactions, although the second was there first.
    assert [subject for _, _, subject in (await seals(database))[before:]] == [late.id, early.id]
    await clean(db)


async def test_what_was_rolled_back_is_never_sealed_and_leaves_no_gap(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    await hand.saver()
    gone = move(1, source=FLOAT, target=accounts.SUSPENSE)

    async def change_its_mind(tx: Tx) -> None:
        await posting.post(tx, [gone])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.unit_of_work(change_its_mind, role=Role.SYSTEM)
    await hand.post(move(1, source=FLOAT, target=accounts.SUSPENSE))
    await seal_all(db)

    found = await seals(database)
    assert gone.id not in {subject for _, _, subject in found}
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))


async def test_a_transaction_larger_than_a_batch_is_sealed_whole(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    await hand.saver()
    await hand.post(*(move(1, source=FLOAT, target=accounts.SUSPENSE) for _ in range(25)))
    await seal_all(db, rows_max=7)
    assert await unsealed(db) == 0
    await clean(db)


async def test_many_sealers_and_posters_at_once_seal_each_row_once(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    savers = await hand.savers(*[1_000] * 4)
    posting_on = True

    async def post() -> None:
        for _ in range(20):
            await hand.post(*(move(1, source=saver.wallet, target=saver.goal) for saver in savers))

    async def seal() -> None:
        while posting_on:
            await seal_all(db, rows_max=5)

    sealers = [asyncio.create_task(seal()) for _ in range(3)]
    await asyncio.gather(*(post() for _ in range(4)))
    posting_on = False
    await asyncio.gather(*sealers)
    await seal_all(db)

    async with database.connected("supabase_admin") as connection:
        transfers = await connection.fetchval("SELECT count(*) FROM ledger.transfers")
        acts = await connection.fetchval("SELECT count(*) FROM runtime.audit_log")
    found = await seals(database)
    assert len(found) == transfers + acts
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
    await clean(db)


@pytest.mark.parametrize("rows_max", [0, -1, None, 10_001])
async def test_a_batch_of_no_rows_or_too_many_is_refused(db: Database, rows_max: int | None) -> None:
    async with db.transaction(Role.SYSTEM) as tx:
        with pytest.raises(Exception, match="takes 1 to 10000 rows"):
            await tx.execute("SELECT ledger.seal($1)", rows_max)


async def test_a_second_sealer_does_nothing_while_one_is_at_it(db: Database, hand: Hand) -> None:
    await hand.saver(wallet_cents=5)
    async with db.transaction(Role.SYSTEM) as first:
        assert (await sealing.seal(first)).sealed > 0
        async with db.transaction(Role.SYSTEM) as second:
            assert (await sealing.seal(second)).outcome == "busy"


async def test_nothing_is_sealed_upon_a_chain_that_was_cut(
    database: postgres.Database, db: Database, hand: Hand
) -> None:
    await hand.saver(wallet_cents=5)
    await seal_all(db)
    async with database.connected("supabase_admin") as connection:
        last = await connection.fetchrow("SELECT * FROM ledger.seals ORDER BY seq DESC LIMIT 1")
        assert last is not None
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM ledger.seals WHERE seq = $1", last["seq"])
        await hand.post(move(1, source=FLOAT, target=accounts.SUSPENSE))
        with pytest.raises(ChainDiffers):
            await seal_all(db)
        (bad, *_) = await verifying.verify_end(db)
        assert (bad.fault, bad.subject) == (Fault.CUT, f"seal:{last['seq']}")
        await connection.execute("INSERT INTO ledger.seals VALUES ($1, $2, $3, $4, $5, $6)", *last)
    assert await seal_all(db) == 1
    await clean(db)


@pytest.mark.parametrize("role", [Role.API, Role.SYSTEM])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.seals VALUES (1, now(), gen_random_uuid(), 'act', '', '')",
        "UPDATE ledger.seals SET seq = seq",
        "DELETE FROM ledger.seals",
        "UPDATE ledger.sealing SET length = 0",
    ],
)
async def test_the_service_itself_cannot_write_seals(db: Database, role: Role, statement: str) -> None:
    with pytest.raises(Exception, match="permission denied"):
        async with db.transaction(role, new_id()) as tx:
            await tx.execute(statement)  # pyright: ignore[reportArgumentType]


def dump_and_restore(source: postgres.Database, target: postgres.Database, bin_dir: Path) -> None:
    """Take all that is ours to another cluster, as a dump does: rows and all."""
    schemas = [f"--schema={name}" for name in ("ledger", "runtime", "savings", "mpesa")]
    dump = [bin_dir / "pg_dump", "--format=custom", *schemas, source.superuser_dsn]
    restore = [bin_dir / "pg_restore", "--exit-on-error", f"--dbname={target.superuser_dsn}"]
    dumped = subprocess.run(dump, check=True, capture_output=True).stdout  # noqa: S603 (the server's own programs)
    subprocess.run(restore, input=dumped, check=True)  # noqa: S603 (the server's own programs)


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


async def test_the_chain_goes_on_in_a_cluster_that_it_was_restored_into(
    database: postgres.Database, db: Database, hand: Hand, postgres_bin_dir: Path, elsewhere: Cluster
) -> None:
    if not (postgres_bin_dir / "pg_dump").exists():
        pytest.skip("this Postgres comes without pg_dump")
    saver = await hand.saver(wallet_cents=1_000)
    await act(db)
    await seal_all(db)
    before = await head(db)
    # The old cluster is ahead: what it leaves unsealed names transactions that the new one will only come to.
    async with database.connected("supabase_admin") as connection:
        await connection.execute(
            "DO $$ BEGIN FOR i IN 1..3000 LOOP COMMIT; PERFORM pg_current_xact_id(); END LOOP; END $$"
        )
    await hand.post(*(move(1, source=FLOAT, target=saver.wallet) for _ in range(3)))
    await act(db, "ticket 2")

    restored = await elsewhere.bare_database()
    await asyncio.to_thread(dump_and_restore, database, restored, postgres_bin_dir)

    opened = Database(restored.service_dsn)
    await opened.open()
    try:
        there = Hand(opened)
        verified = await verifying.verify(opened)
        assert (verified.head, verified.bad, verified.searched) == (before, (), False)
        assert await unsealed(opened) == 4
        await there.post(move(1, source=FLOAT, target=saver.wallet))
        assert await seal_all(opened, rows_max=2) == 5
        assert await clean(opened) == await head(opened)
        # Where the walk over what was restored began and ended is in the chain as well, and is told.
        assert (await head(opened)).count == before.count + 7
        (told,) = (await verifying.verify(opened)).restores
        assert told.seq == before.count + 1
        # What was posted here before the first sealing, where this cluster is behind the old one's last seal.
        assert told.behind in {0, 1}
        # Past the ids that the restored rows name: they are not sealed a second time, and nothing new is missed.
        async with restored.connected("supabase_admin") as connection:
            await connection.execute(
                "DO $$ BEGIN FOR i IN 1..9000 LOOP COMMIT; PERFORM pg_current_xact_id(); END LOOP; END $$"
            )
        await there.post(move(1, source=FLOAT, target=saver.wallet))
        assert await seal_all(opened) == 1
        assert (await clean(opened)).count == before.count + 8
        await Books(opened).check()
    finally:
        await opened.close()
