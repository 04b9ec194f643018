"""`zanari ledger` and `zanari audit`: what they say of sound books, of books tampered with, and of a moment."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import Api
from tests.support.savers import Saver
from zanari_api.cli import ledger
from zanari_api.kit.clock import EAT
from zanari_api.ledger import sealing, verifying
from zanari_api.runtime.db import Role


async def paid_in(api: Api, cents: int = 5_000) -> Saver:
    saver = await api.new_saver()
    await api.pay_in(cents, account_reference=saver.member_code)
    return saver


async def seal(api: Api) -> None:
    await sealing.seal_all(api.db, batches_max=1_000)


async def behind_the_guards(api: Api, sql: str, *args: object) -> None:
    async with api.database.connected("supabase_admin") as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql, *args)


async def test_a_sound_chain_is_verified_and_its_tail_where_a_head_is_given(
    api: Api, operator: CommandBeside, tmp_path: Path
) -> None:
    nothing = await operator("ledger", "verify")
    assert nothing.code == 1
    assert "Nothing is sealed" in nothing.out
    assert "protects nothing" in (await operator("ledger", "head", "--to", "heads")).failure

    await paid_in(api)
    await seal(api)
    without = await operator("ledger", "verify")
    assert without.code == 0, without.err
    assert "of the chain are what was sealed." in without.out
    assert "Tail not checked" in without.out

    place = str(tmp_path / "heads")
    written = await operator("ledger", "head", "--to", place)
    assert written.code == 0, written.err
    again = await operator("ledger", "head", "--to", place)
    assert again.out.endswith("ends with it already.\n")
    with_head = await operator("ledger", "verify", "--head", place)
    assert with_head.code == 0, with_head.err
    assert "It agrees with 1 heads" in with_head.out
    assert "Tail not checked" not in with_head.out

    assert "cannot be read" in (await operator("ledger", "verify", "--head", "nowhere")).failure


async def test_the_first_bad_row_is_named_and_the_exit_code_says_so(
    api: Api, operator: CommandBeside
) -> None:
    await paid_in(api)
    await paid_in(api)
    await seal(api)
    (row, other) = await api.rows(
        "SELECT t.id, t.kind, s.seq FROM ledger.transfers AS t JOIN ledger.seals AS s ON s.subject_id = t.id"
        " ORDER BY s.seq LIMIT 2"
    )
    change = "UPDATE ledger.transfers SET kind = $2 WHERE id = $1"
    for each in (other, row):
        await behind_the_guards(api, change, each["id"], "forged")
    done = await operator("ledger", "verify")
    assert done.code == 1
    assert (
        f"First bad row: edited: transfer:{row['id']}: it is not what was sealed as row {row['seq']}"
        in done.out
    )
    assert f"and then: edited: transfer:{other['id']}" in done.out

    later = await operator("ledger", "verify", "--from", str(other["seq"]))
    assert f"First bad row: edited: transfer:{other['id']}" in later.out
    assert f"Rows 1 to {other['seq'] - 1} of the chain were not checked." in later.out
    for each in (row, other):
        await behind_the_guards(api, change, each["id"], each["kind"])
    assert (await operator("ledger", "verify")).code == 0


async def test_more_bad_rows_than_are_named_are_hinted_at(
    api: Api, operator: CommandBeside, tmp_path: Path
) -> None:
    for _ in range(verifying.BAD_MAX + 2):
        await paid_in(api)
    await seal(api)
    place = str(tmp_path / "heads")
    await operator("ledger", "head", "--to", place)
    await behind_the_guards(api, "UPDATE ledger.transfers SET kind = 'x' || kind")
    done = await operator("ledger", "verify", "--head", place)
    await behind_the_guards(api, "UPDATE ledger.transfers SET kind = substr(kind, 2)")
    assert done.code == 1
    assert " more." in done.out
    assert done.out.count("edited: transfer:") == verifying.BAD_MAX
    assert "It was compared with 1 of 1 heads." in done.out


async def test_what_was_not_read_is_no_success(api: Api, operator: CommandBeside, tmp_path: Path) -> None:
    await paid_in(api)
    await seal(api)
    place = str(tmp_path / "heads")
    await operator("ledger", "head", "--to", place)
    ((length,),) = await api.rows("SELECT length FROM ledger.sealing")
    beyond = await operator("ledger", "verify", "--from", str(length + 1), "--head", place)
    assert beyond.code == 1
    assert f"No row was read: the chain ends with row {length:,}." in beyond.out
    assert "Tail not checked" in beyond.out
    assert "agrees" not in beyond.out

    await paid_in(api)
    await seal(api)
    later = await operator("ledger", "verify", "--from", str(length + 1), "--head", place)
    assert later.code == 0, later.err
    assert "none of 1 heads counts a row that was read" in later.out
    assert "agrees" not in later.out


async def test_a_restore_is_told_of(api: Api, operator: CommandBeside) -> None:
    await paid_in(api)
    await seal(api)
    await behind_the_guards(api, "UPDATE ledger.sealing SET cluster_id = 1")
    await seal(api)
    done = await operator("ledger", "verify")
    assert done.code == 0, done.out
    assert "marks a restore into another cluster" in done.out


async def test_rows_that_wait_for_a_seal_are_told_of_and_are_no_all_clear_when_they_wait_too_long(
    api: Api, operator: CommandBeside
) -> None:
    await paid_in(api)
    await seal(api)
    await paid_in(api)
    waiting = await operator("ledger", "verify")
    assert waiting.code == 0, waiting.err
    assert "wait for their seal" in waiting.out
    await behind_the_guards(
        api,
        "UPDATE ledger.transfers AS t SET posted_at = posted_at - interval '1 hour'"
        " WHERE NOT EXISTS (SELECT FROM ledger.seals AS s WHERE s.subject_id = t.id)",
    )
    late = await operator("ledger", "verify")
    assert late.code == 1
    assert "That is too long" in late.out
    await seal(api)


async def test_a_restored_database_says_what_was_not_looked_at(api: Api, operator: CommandBeside) -> None:
    await paid_in(api)
    await seal(api)
    (left,) = await api.rows("SELECT cluster_id FROM ledger.sealing")
    await behind_the_guards(api, "UPDATE ledger.sealing SET cluster_id = 1")
    done = await operator("ledger", "verify")
    await behind_the_guards(api, "UPDATE ledger.sealing SET cluster_id = $1", left["cluster_id"])
    assert done.code == 1
    assert "nothing was sealed since this database was restored" in done.out


def test_progress_is_told_now_and_then_and_anew_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    tell = ledger.telling(every_rows=1_000)
    for rows in (500, 1_000, 1_500, 2_400, 300, 1_300):
        tell(rows)
    assert capsys.readouterr().err.splitlines() == ["1,000 rows", "2,400 rows", "1,300 rows"]


async def test_the_check_says_over_how_many_transfers_it_holds(api: Api, operator: CommandBeside) -> None:
    await paid_in(api)
    sound = await operator("ledger", "check")
    assert sound.code == 0, sound.err
    assert "Every promise of the books holds, over " in sound.out

    (entry,) = await api.rows(
        "SELECT id, amount_cents FROM ledger.entries WHERE account_version IS NULL ORDER BY id LIMIT 1"
    )
    change = "UPDATE ledger.entries SET amount_cents = $2 WHERE id = $1"
    await behind_the_guards(api, change, entry["id"], entry["amount_cents"] + 1)
    broken = await operator("ledger", "check")
    await behind_the_guards(api, change, entry["id"], entry["amount_cents"])
    assert broken.code == 1
    assert "transfer_unbalanced" in broken.out
    assert " broken, over " in broken.out


async def test_what_reads_whole_tables_outlasts_the_usual_timeout_of_a_statement(api: Api) -> None:
    async with api.db.transaction(Role.SYSTEM) as tx:
        await tx.execute("SET LOCAL statement_timeout = '100ms'")
        rows = await tx.fetch_all(dict, "SELECT 1 AS one FROM pg_sleep(0.4)", patience_s=30)
    assert rows == [{"one": 1}]


async def test_balances_are_as_of_the_time_of_posting(api: Api, operator: CommandBeside) -> None:
    saver = await paid_in(api, 5_000)
    (goal,) = await api.rows(
        "SELECT b.account_id FROM ledger.balances AS b WHERE b.saver_id = $1 AND b.balance_cents = 5000",
        saver.id,
    )
    (posted,) = await api.rows(
        "SELECT t.posted_at FROM ledger.transfers AS t JOIN ledger.entries AS e ON e.transfer_id = t.id"
        " WHERE e.account_id = $1",
        goal["account_id"],
    )
    account = str(goal["account_id"])
    before = (posted["posted_at"] - timedelta(seconds=2)).astimezone(EAT).strftime("%Y-%m-%d %H:%M:%S")
    assert "KES 50 " in (await operator("ledger", "balance", account)).out
    then = await operator("ledger", "balance", account, "--as-of", before)
    assert "KES 0 " in then.out
    assert f"posted up to {before} (East Africa Time)" in then.out

    everything = await operator("ledger", "balance", "--all")
    assert everything.code == 0, everything.err
    assert "Together, credits less debits: KES 0." in everything.out
    assert "float 600000:utility" in everything.out
    assert "float 600000:utility" in (await operator("ledger", "balance", "600000:utility")).out
    assert (await operator("ledger", "balance", "suspense")).code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name an ACCOUNT, or --all"),
        (("suspense", "--all"), "name an ACCOUNT, or --all"),
        (("pocket",), "pocket is no account"),
        (("600000:pocket",), "600000:pocket is no account"),
        (("01a21176-65b8-7cd9-98f0-1c4ff8430802",), "there is no account"),
        (("suspense", "--as-of", "2999-01-01 00:00"), "still to come"),
    ],
    ids=["nothing", "both", "no account", "no place", "not there", "to come"],
)
async def test_what_cannot_be_a_balance_is_refused(
    api: Api, operator: CommandBeside, arguments: tuple[str, ...], says: str
) -> None:
    assert says in (await operator("ledger", "balance", *arguments)).failure


async def test_books_that_do_not_sum_to_zero_end_with_1(api: Api, operator: CommandBeside) -> None:
    await paid_in(api)
    change = (
        "UPDATE ledger.entries SET amount_cents = amount_cents + $1"
        " WHERE id = (SELECT min(e.id) FROM ledger.entries AS e)"
    )
    await behind_the_guards(api, change, 5)
    done = await operator("ledger", "balance", "--all")
    await behind_the_guards(api, change, -5)
    assert done.code == 1
    assert "KES 0.05" in done.out or "-KES 0.05" in done.out


async def test_what_operators_did_is_listed_and_shown(api: Api, operator: CommandBeside) -> None:
    assert (await operator("audit", "list", "--by", "nobody")).out == "No act.\n"
    await operator("payouts", "pause", "--evidence", "ticket 43")
    await operator("payouts", "resume", "--evidence", "ticket 44")
    listed = await operator("audit", "list", "--by", "wanjiku", "--limit", "2")
    assert listed.code == 0, listed.err
    lines = listed.out.splitlines()
    assert "ticket 44" in lines[1]
    assert "ticket 43" in lines[2]
    shown = await operator("audit", "show", lines[1].split()[0])
    assert "ticket 44" in shown.out
    assert "before" in shown.out
    nobody = "01a21176-65b8-7cd9-98f0-1c4ff8430802"
    assert "there is no act" in (await operator("audit", "show", nobody)).failure
