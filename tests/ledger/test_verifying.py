"""Verifying: whatever a superuser does to a sealed row behind every guard is found, and the first bad row is named."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.hand import FLOAT, Hand, Saver, move
from tests.ledger.tampering import TAMPERINGS, Tampering, Target
from tests.ledger.test_sealing import act, seal_all
from tests.support import postgres
from tests.support.postgres import Cluster
from zanari_api.ledger import accounts, verifying
from zanari_api.ledger.chain import EMPTY, Head, Seal, SealKind, digest, link
from zanari_api.ledger.heads import KnownHead
from zanari_api.ledger.verifying import BadRow, Fault, Reading, Verified
from zanari_api.runtime.db import Database

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
# What a superuser does who knows how the chain is made: edits, then lets it all be sealed anew.
SEAL_ANEW = """
    DELETE FROM ledger.seals WHERE seq >= {seq};
    UPDATE ledger.sealing
       SET length = {seq} - 1, transfer_xact = '0', act_xact = '0',
           hash = (SELECT s.hash FROM ledger.seals AS s WHERE s.seq = {seq} - 1)
"""


@dataclass(frozen=True, slots=True)
class Books:
    """Sealed books, and the superuser who tampers with them."""

    database: postgres.Database
    db: Database
    rows: list[Target]

    async def verify(self, *, after: Head = EMPTY, heads: list[KnownHead] | None = None) -> Verified:
        return await verifying.verify(self.db, after=after, heads=heads or [])

    async def tamper(self, tampering: Tampering, target: Target) -> BadRow:
        """Tamper, look what is found first, and take the tampering back."""
        async with self.database.connected("supabase_admin") as connection:
            before = await _everything(connection)
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(target.fill(tampering.sql))
            try:
                verified = await self.verify()
            finally:
                await _put_back(connection, before)
        assert verified.bad, f"nothing was found: {tampering.sql}"
        return verified.bad[0]

    def targets(self, of: str) -> list[Target]:
        kind = "act" if of == "act" else "transfer"
        return [each for each in self.rows if each.kind == kind]


async def _everything(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[asyncpg.Record]]:
    tables = ("ledger.accounts", "ledger.transfers", "ledger.entries", "runtime.audit_log", "ledger.seals")
    return {name: await connection.fetch(f"SELECT * FROM {name}") for name in tables}


async def _put_back(
    connection: "asyncpg.Connection[asyncpg.Record]", before: dict[str, list[asyncpg.Record]]
) -> None:
    for name, rows in before.items():
        await connection.execute(f"DELETE FROM {name}")
        places = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
        for row in rows:
            await connection.execute(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE VALUES ({places})", *row)


@pytest.fixture(scope="module")
async def sealed(cluster: Cluster) -> AsyncIterator[Books]:
    """Books with savers, transfers and acts, all sealed."""
    database = await cluster.migrated_database()
    db = Database(database.service_dsn)
    await db.open()
    hand = Hand(db)
    savers: list[Saver] = list(await hand.savers(1_000, 2_000))
    for number in range(4):
        await hand.post(*(move(10, source=one.wallet, target=one.goal, number=number) for one in savers))
        await act(db, f"ticket {number}")
        await hand.post(move(3, source=FLOAT, target=accounts.SUSPENSE))
    await seal_all(db)
    async with database.connected("supabase_admin") as connection:
        rows = await connection.fetch("SELECT seq, kind, subject_id FROM ledger.seals ORDER BY seq")
    targets = [Target(row["seq"], row["kind"], UUID(str(row["subject_id"]))) for row in rows]
    yield Books(database, db, targets)
    await db.close()
    await cluster.drop(database)


@pytest.mark.parametrize("name", TAMPERINGS)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_tampering_with_any_row_is_found_and_that_row_is_named_first(
    sealed: Books, name: str, data: st.DataObject
) -> None:
    tampering = TAMPERINGS[name]
    candidates = sealed.targets(tampering.of)
    target = candidates[0] if tampering.of.startswith("first") else data.draw(st.sampled_from(candidates))
    if name in {"a seal is deleted", "a transfer and its seal are deleted"} and target == sealed.rows[-1]:
        return  # that is a tail cut off, which is named otherwise

    found = await sealed.tamper(tampering, target)

    assert (found.fault, found.subject) == (tampering.fault, target.fill(tampering.names))
    assert (await sealed.verify()).bad == ()


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_of_several_tampered_rows_the_first_of_the_chain_is_named(
    sealed: Books, data: st.DataObject
) -> None:
    names = ("a key is edited", "a time is edited", "a seal's hash is edited", "an entry is removed")
    targets = data.draw(
        st.lists(st.sampled_from(sealed.targets("transfer")), min_size=2, max_size=4, unique=True)
    )
    tamperings = [(TAMPERINGS[data.draw(st.sampled_from(names))], target) for target in targets]
    all_at_once = Tampering("; ".join(each.fill(one.sql) for one, each in tamperings), Fault.EDITED, "")

    found = await sealed.tamper(all_at_once, targets[0])

    first, its_target = min(tamperings, key=lambda each: each[1].seq)
    assert found.subject == its_target.fill(first.names)


@pytest.fixture
async def chain(cluster: Cluster) -> AsyncIterator[Books]:
    """Sealed books of the test's own, which it may leave as they are."""
    database = await cluster.migrated_database()
    db = Database(database.service_dsn)
    await db.open()
    hand = Hand(db)
    await hand.saver(wallet_cents=1_000)
    for _ in range(9):
        await hand.post(move(3, source=FLOAT, target=accounts.SUSPENSE))
    await seal_all(db)
    async with database.connected("supabase_admin") as connection:
        rows = await connection.fetch("SELECT seq, kind, subject_id FROM ledger.seals ORDER BY seq")
    yield Books(database, db, [Target(row["seq"], row["kind"], UUID(str(row["subject_id"]))) for row in rows])
    await db.close()
    await cluster.drop(database)


async def alter(books: Books, sql: str) -> None:
    async with books.database.connected("supabase_admin") as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql)


async def heads_of(books: Books) -> list[KnownHead]:
    """Return a head at each row, as if one had been written down after each."""
    async with books.database.connected("supabase_admin") as connection:
        rows = await connection.fetch("SELECT seq, hash FROM ledger.seals ORDER BY seq")
    return [KnownHead(Head(row["seq"], row["hash"]), NOW + timedelta(seconds=row["seq"])) for row in rows]


async def test_a_tail_that_is_cut_off_is_found_by_what_sealing_left(chain: Books) -> None:
    await alter(chain, "DELETE FROM ledger.seals WHERE seq > 7")
    (first, *_) = (await chain.verify()).bad
    assert (first.fault, first.subject) == (Fault.CUT, "seal:8")


async def test_a_tail_that_is_cut_off_with_everything_that_knew_of_it_shows_only_against_a_head(
    chain: Books,
) -> None:
    heads = await heads_of(chain)
    assert (await chain.verify(heads=heads)).bad == ()
    gone = ", ".join(f"'{each.subject_id}'" for each in chain.rows[7:])
    await alter(
        chain,
        f"DELETE FROM ledger.entries WHERE transfer_id IN ({gone}); DELETE FROM ledger.transfers WHERE id IN ({gone});"
        + SEAL_ANEW.format(seq=8),
    )
    assert (await chain.verify()).bad == ()
    (bad,) = (await chain.verify(heads=heads)).bad
    assert (bad.fault, bad.subject) == (Fault.CUT, f"head:{heads[-1].head.count}")


async def test_history_that_is_written_anew_with_all_its_hashes_shows_only_against_a_head(
    chain: Books,
) -> None:
    heads = [each for each in await heads_of(chain) if each.head.count in {3, 5, 9}]
    await alter(
        chain,
        f"UPDATE ledger.transfers SET kind = 'forged' WHERE id = '{chain.rows[5].subject_id}';"
        + SEAL_ANEW.format(seq=6),
    )
    await seal_all(chain.db)
    assert (await chain.verify()).bad == ()
    (bad,) = (await chain.verify(heads=heads)).bad
    assert (bad.fault, bad.subject) == (Fault.REWRITTEN, "seal:6")


async def test_a_seal_added_at_the_end_is_found(chain: Books) -> None:
    length = chain.rows[-1].seq
    await alter(
        chain,
        f"INSERT INTO ledger.seals SELECT {length} + 1, sealed_at, gen_random_uuid(), kind, digest, hash"
        f" FROM ledger.seals WHERE seq = {length}",
    )
    (bad, *_) = (await chain.verify()).bad
    assert (bad.fault, bad.subject) == (Fault.FORGED, f"seal:{length + 1}")
    assert await verifying.verify_end(chain.db) == [
        BadRow(Fault.FORGED, f"seal:{length + 1}", f"sealing had only come to {length}")
    ]


async def test_a_last_hash_that_is_not_the_one_that_was_left_is_found(chain: Books) -> None:
    await alter(chain, "UPDATE ledger.sealing SET hash = sha256(hash)")
    (bad,) = (await chain.verify()).bad
    assert (bad.fault, bad.subject) == (Fault.FORGED, f"seal:{chain.rows[-1].seq}")


async def test_an_entry_of_no_transfer_is_found(chain: Books) -> None:
    await alter(
        chain,
        "INSERT INTO ledger.entries (transfer_id, account_id, amount_cents)"
        " VALUES ('44444444-4444-7444-8444-444444444444', '00000000-0000-8000-8000-000000000001', 5)",
    )
    (bad,) = (await chain.verify()).bad
    assert bad.fault is Fault.INSERTED
    assert bad.subject.startswith("entry:")


async def test_verifying_from_a_row_on_believes_what_is_before_it(chain: Books) -> None:
    await alter(chain, f"UPDATE ledger.transfers SET kind = 'x' WHERE id = '{chain.rows[2].subject_id}'")
    assert (await chain.verify(after=await verifying.head_before(chain.db, 4))).bad == ()
    (bad,) = (await chain.verify(after=await verifying.head_before(chain.db, 3))).bad
    assert bad.subject == f"transfer:{chain.rows[2].subject_id}"
    assert await verifying.head_before(chain.db, 1) == EMPTY


async def test_verifying_in_stretches_comes_to_the_same_end(chain: Books) -> None:
    reading, told = Reading(), list[int]()
    at_end = False
    while not at_end:
        stretch = await verifying.verify_stretch(chain.db, reading, rows_max=4, on_progress=told.append)
        assert stretch.bad == ()
        at_end = stretch.at_end
    assert reading.head.count == reading.rows == chain.rows[-1].seq == told[-1]
    assert reading.head == (await chain.verify()).head


async def test_every_bad_row_is_counted_however_many_there_are(chain: Books) -> None:
    hand = Hand(chain.db)
    await hand.post(*(move(3, source=FLOAT, target=accounts.SUSPENSE) for _ in range(30)))
    await seal_all(chain.db)
    await alter(chain, "UPDATE ledger.transfers SET kind = 'x'")
    verified = await chain.verify()
    assert verified.bad_rows == len(verified.bad) == verified.rows > verifying.BAD_MAX
    assert verified.bad[0].subject == f"transfer:{chain.rows[0].subject_id}"


SET_BACK = (
    "UPDATE ledger.sealing SET transfer_xact = '0', transfer_id = '00000000-0000-0000-0000-000000000000'"
)
BACKDATED = """
    INSERT INTO ledger.transfers (id, key, kind, event_at, posted_at, xact)
    VALUES ('55555555-5555-7555-8555-555555555555', 'forged:5', 'deposit', '2020-01-01Z', '2020-01-01Z', '3');
    INSERT INTO ledger.entries (transfer_id, account_id, amount_cents, xact) VALUES
    ('55555555-5555-7555-8555-555555555555', '00000000-0000-8000-8000-000000000001', -5, '3'),
    ('55555555-5555-7555-8555-555555555555', '00000000-0000-8000-8000-000000000003', 5, '3');
"""


@pytest.mark.parametrize(
    "and_then",
    ["", ", restored_from = '3'"],
    ids=["set back", "in a walk of a restore"],
)
async def test_a_transfer_put_in_as_of_the_past_stays_found_when_sealing_is_set_back(
    chain: Books, and_then: str
) -> None:
    await alter(chain, BACKDATED + SET_BACK + and_then)
    if not and_then:  # even before it is sealed: what sealing says of itself is not believed
        (bad,) = (await chain.verify()).bad
        assert bad.subject == "transfer:55555555-5555-7555-8555-555555555555"
    assert await seal_all(chain.db) == 1
    await Hand(chain.db).post(move(3, source=FLOAT, target=accounts.SUSPENSE))
    await seal_all(chain.db)

    verified = await chain.verify()
    (bad,) = verified.bad
    assert (bad.fault, bad.subject) == (Fault.INSERTED, "transfer:55555555-5555-7555-8555-555555555555")
    assert verified.restores == ()


@pytest.mark.parametrize("other", ["1", "NULL"])
async def test_a_restore_that_nobody_made_is_in_the_chain_and_is_told_of_with_what_it_let_in(
    chain: Books, other: str
) -> None:
    await alter(chain, BACKDATED + f"UPDATE ledger.sealing SET cluster_id = {other}")
    assert await seal_all(chain.db) == 1
    verified = await chain.verify()
    (told,) = verified.restores
    assert (told.seq, told.behind, verified.bad) == (chain.rows[-1].seq + 1, 1, ())

    # Its end does not open the order for more.
    await alter(chain, BACKDATED.replace("5555-7555", "6666-7666").replace("forged:5", "forged:6") + SET_BACK)
    assert await seal_all(chain.db) == 1
    assert [each.fault for each in (await chain.verify()).bad] == [Fault.INSERTED]


async def test_a_walk_over_restored_rows_that_ends_without_a_beginning_is_found(chain: Books) -> None:
    end = Seal(
        seq=chain.rows[-1].seq + 1,
        kind=SealKind.RESTORED,
        subject_id=UUID(int=3),
        digest=digest([UUID(int=3).bytes]),
        hash=b"",
        sealed_at=bytes(8),
    )
    before = (await chain.verify()).head
    hashed = link(before.hash, end)
    await alter(
        chain,
        f"INSERT INTO ledger.seals VALUES ({end.seq}, '2000-01-01Z', '{end.subject_id}', 'restored',"
        f" '\\x{end.digest.hex()}', '\\x{hashed.hex()}');"
        f"UPDATE ledger.sealing SET length = {end.seq}, hash = '\\x{hashed.hex()}'",
    )
    (bad,) = (await chain.verify()).bad
    assert (bad.fault, bad.subject) == (Fault.FORGED, f"seal:{end.seq}")
    assert "never began" in bad.detail


async def test_only_heads_whose_row_was_read_are_said_to_be_met(chain: Books) -> None:
    heads = [each for each in await heads_of(chain) if each.head.count in {2, 5}]
    assert (await chain.verify(heads=heads)).heads_met == tuple(heads)
    after = await verifying.head_before(chain.db, 4)
    assert (await chain.verify(after=after, heads=heads)).heads_met == (heads[1],)
    beyond = await chain.verify(after=await verifying.head_before(chain.db, 10_000), heads=heads)
    assert (beyond.rows, beyond.heads_met) == (0, ())
