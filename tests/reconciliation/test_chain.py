"""The chain in the worker: sealed, verified in stretches, a bad row named and money out frozen, heads written down."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.app import Api, Serve
from tests.support.savers import Saver
from zanari_api.ledger import sealing
from zanari_api.ledger.chain import Head
from zanari_api.ledger.heads import HeadFile, HeadUnreadable
from zanari_api.ledger.verifying import BAD_MAX
from zanari_api.mpesa import breaks
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.payouts import freeze
from zanari_api.reconciliation import chain_service
from zanari_api.reconciliation.chain_service import ChainFacts, Chaining
from zanari_api.runtime.db import Role
from zanari_api.worker import work_of, worker_of


def chaining(api: Api, path: Path | None = None) -> Chaining:
    return replace(api.app.state.parts.chaining(), heads=None if path is None else HeadFile(path))


async def facts(api: Api) -> ChainFacts:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await chain_service.read_facts(tx)


async def open_breaks(api: Api) -> list[BreakRow]:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await breaks.list_open_of(tx, [BreakKind.CHAIN_BROKEN])


async def frozen(api: Api) -> bool:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await freeze.frozen(tx)


async def resume(api: Api) -> None:
    async with api.db.transaction(Role.SYSTEM) as tx:
        await freeze.lift(tx, because="ticket 1", now=api.clock.now())


async def behind_the_guards(api: Api, sql: str, *args: object) -> None:
    async with api.database.connected("supabase_admin") as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql, *args)


@pytest.fixture
async def sealed(api: Api, saver: Saver) -> AsyncIterator[Saver]:
    """A saver whose deposit is sealed; when the test is over, the chain is whole again."""
    await api.pay_in(5_000, account_reference=saver.member_code)
    await chain_service.seal(chaining(api))
    yield saver
    await chain_service.seal(chaining(api))
    assert await chain_service.verify(chaining(api)) == 0
    assert await open_breaks(api) == []
    await resume(api)


async def test_the_worker_seals_and_verifies_what_savers_do_and_shows_it(api: Api, saver: Saver) -> None:
    await api.pay_in(5_000, account_reference=saver.member_code)
    assert (await facts(api)).unsealed_rows > 0
    api.clock.advance(minutes=20)
    await api.work()

    found = await facts(api)
    assert found.length > 0
    assert (found.unsealed_rows, found.unsealed_age, found.bad_rows) == (0, timedelta(0), 0)
    assert found.verified_at is not None
    assert api.clock.now() - found.verified_at < timedelta(minutes=1)

    await worker_of(api.app.state.parts).read_facts()
    shown = api.runtime.metrics.expose()[0].decode()
    assert f"zanari_chain_length {float(found.length)}" in shown
    assert "zanari_chain_unsealed_rows 0.0" in shown
    assert "zanari_chain_unsealed_age_seconds 0.0" in shown
    assert "zanari_chain_broken 0.0" in shown
    assert "zanari_chain_verified_timestamp_seconds 0.0" not in shown


async def test_a_bad_row_is_named_and_freezes_money_out_until_it_is_mended(api: Api, sealed: Saver) -> None:
    (row,) = await api.rows(
        "SELECT id, metadata::text AS metadata FROM ledger.transfers ORDER BY xact DESC LIMIT 1"
    )
    await behind_the_guards(
        api, "UPDATE ledger.transfers SET metadata = '{\"x\": 1}' WHERE id = $1", row["id"]
    )
    assert await chain_service.verify(chaining(api)) == 1

    (named,) = await open_breaks(api)
    assert named.subject == f"chain:transfer:{row['id']}"
    assert "edited" in named.suspected_cause
    assert await frozen(api)
    assert (await facts(api)).bad_rows == 1
    await worker_of(api.app.state.parts).read_facts()
    assert "zanari_chain_broken 1.0" in api.runtime.metrics.expose()[0].decode()

    # An operator who knows the row lets money out again, and is not overruled every quarter of an hour.
    await resume(api)
    assert await chain_service.verify(chaining(api)) == 1
    assert not await frozen(api)
    assert len(await open_breaks(api)) == 1

    await behind_the_guards(
        api,
        "UPDATE ledger.transfers SET metadata = $2::text::jsonb WHERE id = $1",
        row["id"],
        row["metadata"],
    )


async def test_a_cut_tail_is_named_by_the_next_sealing(api: Api, sealed: Saver) -> None:
    (last,) = await api.rows("SELECT * FROM ledger.seals ORDER BY seq DESC LIMIT 1")
    await behind_the_guards(api, "DELETE FROM ledger.seals WHERE seq = $1", last["seq"])
    assert await chain_service.seal(chaining(api)) == 0

    (named,) = await open_breaks(api)
    assert named.subject == f"chain:seal:{last['seq']}"
    assert await frozen(api)
    assert (await facts(api)).bad_rows == 1
    await behind_the_guards(api, "INSERT INTO ledger.seals VALUES ($1, $2, $3, $4, $5, $6)", *last)


async def test_a_long_chain_is_verified_a_stretch_at_a_time(api: Api, sealed: Saver) -> None:
    for _ in range(4):
        await api.pay_in(1_000, account_reference=sealed.member_code)
    await chain_service.seal(chaining(api))
    assert await chain_service.verify(chaining(api)) == 0
    verified_before = (await facts(api)).verified_at
    (row,) = await api.rows(
        "SELECT t.id, t.kind FROM ledger.transfers AS t JOIN ledger.seals AS s ON s.subject_id = t.id"
        " ORDER BY s.seq LIMIT 1"
    )
    await behind_the_guards(api, "UPDATE ledger.transfers SET kind = 'x' WHERE id = $1", row["id"])

    # It goes on to the end, whatever it finds on the way.
    api.clock.advance(minutes=1)
    assert await chain_service.verify(chaining(api), stretch_rows=2) == 1
    assert (await facts(api)).bad_rows == 1
    assert (await facts(api)).verified_at != verified_before
    assert len(await open_breaks(api)) == 1
    await behind_the_guards(
        api, "UPDATE ledger.transfers SET kind = $2 WHERE id = $1", row["id"], row["kind"]
    )
    assert await chain_service.verify(chaining(api), stretch_rows=2) == 0
    assert (await facts(api)).bad_rows == 0


async def test_what_was_cut_short_is_not_said_to_be_verified(api: Api, sealed: Saver) -> None:
    await chain_service.verify(chaining(api))
    before = (await facts(api)).verified_at
    api.clock.advance(minutes=1)
    (last,) = await api.rows("SELECT * FROM ledger.seals ORDER BY seq DESC LIMIT 1")
    await behind_the_guards(api, "DELETE FROM ledger.seals WHERE seq = $1", last["seq"])
    assert await chain_service.verify(chaining(api)) > 0
    assert (await facts(api)).verified_at == before
    await behind_the_guards(api, "INSERT INTO ledger.seals VALUES ($1, $2, $3, $4, $5, $6)", *last)


async def test_a_new_bad_row_freezes_money_out_however_many_are_known(api: Api, sealed: Saver) -> None:
    for _ in range(BAD_MAX + 3):
        await api.pay_in(1_000, account_reference=sealed.member_code)
    await chain_service.seal(chaining(api))
    rows = await api.rows(
        "SELECT t.id FROM ledger.transfers AS t JOIN ledger.seals AS s ON s.subject_id = t.id"
        " ORDER BY s.seq DESC LIMIT $1",
        BAD_MAX + 1,
    )
    newest, *older = [row["id"] for row in rows]
    change = "UPDATE ledger.transfers SET kind = 'x' || kind WHERE id = ANY ($1)"
    await behind_the_guards(api, change, older)
    assert await chain_service.verify(chaining(api)) == BAD_MAX
    await resume(api)
    await behind_the_guards(api, change, [newest])
    assert await chain_service.verify(chaining(api)) == BAD_MAX + 1
    assert await frozen(api)
    assert f"chain:transfer:{newest}" in {each.subject for each in await open_breaks(api)}
    await behind_the_guards(
        api,
        "UPDATE ledger.transfers SET kind = substr(kind, 2) WHERE id = ANY ($1)",
        [newest, *older],
    )


async def test_another_writer_who_was_first_with_a_later_head_is_no_cut(
    api: Api, sealed: Saver, tmp_path: Path
) -> None:
    place = tmp_path / "heads"
    await api.pay_in(1_000, account_reference=sealed.member_code)
    later = chaining(api, place)

    class Outrun(HeadFile):
        """Another worker seals and writes in the moment between our look at the database and our line."""

        def note(self, head: Head, *, at: datetime) -> bool:
            if not place.exists():
                asyncio.run_coroutine_threadsafe(ahead(), loop).result()
            return super().note(head, at=at)

    async def ahead() -> None:
        assert await chain_service.seal(later) > 0
        assert await chain_service.note_head(later)

    loop = asyncio.get_running_loop()
    assert not await chain_service.note_head(replace(later, heads=Outrun(place)))
    assert await open_breaks(api) == []
    assert not await frozen(api)
    assert len(HeadFile(place).read()) == 1


async def test_a_lost_head_keeps_its_name_while_the_chain_grows_again(
    api: Api, sealed: Saver, tmp_path: Path
) -> None:
    place = tmp_path / "heads"
    async with api.db.transaction(Role.SYSTEM) as tx:
        count = (await sealing.find_head(tx)).count
    lost = Head(count + 1, bytes(32))
    HeadFile(place).note(lost, at=api.clock.now())
    for turn in range(3):  # shorter than it, as long, longer: it is never built upon
        assert not await chain_service.note_head(chaining(api, place))
        (named,) = await open_breaks(api)
        assert named.subject == f"chain:head:{lost.count}"
        assert HeadFile(place).read()[-1].head == lost
        assert await frozen(api) == (turn == 0)
        await resume(api)
        await api.pay_in(1_000, account_reference=sealed.member_code)
        await chain_service.seal(chaining(api))


def test_what_a_break_of_the_chain_says_to_read_is_there() -> None:
    page, heading = re.findall(r"(docs/\S+\.md) says under (\w+)$", chain_service.WHAT_TO_DO)[0]
    assert f"\n## {heading}\n" in (Path(__file__).parents[2] / page).read_text()


async def test_heads_are_written_where_an_operator_points_and_the_chain_is_held_to_them(
    api: Api, sealed: Saver, tmp_path: Path
) -> None:
    place = tmp_path / "heads"
    assert await chain_service.note_head(chaining(api, place))
    assert not await chain_service.note_head(chaining(api, place))
    (known,) = HeadFile(place).read()
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert known.head == await sealing.find_head(tx)
    assert await chain_service.verify(chaining(api, place)) == 0

    # History that somebody writes anew, hashes and all, is not the history of that head.
    seals = await api.rows("SELECT * FROM ledger.seals ORDER BY seq")
    (left,) = await api.rows("SELECT * FROM ledger.sealing")
    await behind_the_guards(
        api,
        "WITH gone AS (DELETE FROM ledger.seals) UPDATE ledger.sealing SET length = 0, transfer_xact = '0',"
        " act_xact = '0', hash = decode(repeat('00', 32), 'hex')",
    )
    await chain_service.seal(chaining(api))
    assert await chain_service.verify(chaining(api)) == 0
    assert await chain_service.verify(chaining(api, place)) == 1
    assert not await chain_service.note_head(chaining(api, place))
    assert await frozen(api)
    assert {each.subject for each in await open_breaks(api)} >= {"chain:seal:1"}

    await behind_the_guards(api, "DELETE FROM ledger.seals")
    for row in seals:
        await behind_the_guards(api, "INSERT INTO ledger.seals VALUES ($1, $2, $3, $4, $5, $6)", *row)
    await behind_the_guards(
        api, "UPDATE ledger.sealing SET length = $1, hash = $2", left["length"], left["hash"]
    )
    assert await chain_service.verify(chaining(api, place)) == 0


async def test_a_place_that_lost_its_heads_is_no_all_clear(api: Api, sealed: Saver, tmp_path: Path) -> None:
    place = tmp_path / "heads"
    place.write_text("nonsense\n")
    before = (await facts(api)).verified_at
    with pytest.raises(HeadUnreadable):
        await chain_service.verify(chaining(api, place))
    assert (await facts(api)).verified_at == before


async def test_heads_are_noted_by_a_schedule_where_there_is_a_place(serve: Serve, tmp_path: Path) -> None:
    place = tmp_path / "heads"
    async with serve(ledger_head_file=str(place)) as api:
        assert "chain_head" in {each.name for each in work_of(api.app.state.parts).schedules}
        saver = await api.new_saver()
        await api.pay_in(5_000, account_reference=saver.member_code)
        await api.work()
        api.clock.advance(minutes=2)
        await api.work()
        assert HeadFile(place).read()


async def test_without_a_chain_there_is_no_head_to_write(api: Api, tmp_path: Path) -> None:
    assert not await chain_service.note_head(chaining(api))
    (left,) = await api.rows("SELECT * FROM ledger.sealing")
    assert left["length"] > 0
