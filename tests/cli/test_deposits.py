"""`zanari deposits` and `zanari statement` as an operator types them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cli.conftest import CommandBeside
from tests.support.app import SHORTCODE, Api
from tests.support.savers import Saver, new_receipt
from zanari_api.kit.clock import EAT, eat_date
from zanari_api.reconciliation.statement_file import read_statement


async def test_a_deposit_is_taken_back_by_evidence_and_once(saver: Saver, operator: CommandBeside) -> None:
    receipt = await saver.deposit(50_000)
    done = await operator("deposits", "reverse", receipt, "--evidence", "statement line")
    assert (done.code, done.out) == (0, f"Took {receipt} back. The saver owes KES 0 by it.\n")
    assert await saver.holds() == (0, 0, 0)
    again = await operator("deposits", "reverse", receipt, "--evidence", "statement line")
    assert again.out == f"{receipt} was taken back before. Nothing moved again.\n"
    asked = await operator("deposits", "reverse", receipt, "--evidence", "x", "--ask")
    assert asked.out == f"{receipt} was taken back before.\n"
    kept = await operator("deposits", "keep", receipt, "--evidence", "x")
    assert kept.failure == f"{receipt} was taken back before, which stays so"


async def test_safaricom_is_asked_and_what_became_of_it_is_listed(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    none = await operator("deposits", "reversals", "--days", "1")
    assert none.out == "No reversal was asked for within 1 days.\n"
    receipt = await saver.deposit(50_000)
    ask = ("deposits", "reverse", receipt, "--evidence", "paid in error", "--ask")
    assert "The worker asks Safaricom" in (await operator(*ask)).out
    assert "is under way already" in (await operator(*ask)).out
    listed = await operator("deposits", "reversals")
    assert receipt in listed.out
    assert "paid in error" in listed.out
    steps = await operator("deposits", "reversal", receipt)
    assert steps.code == 0
    assert "requested" in steps.out
    kept = await operator("deposits", "keep", receipt, "--evidence", "the payer agrees")
    assert kept.out == f"The deposit {receipt} stays, and the reversal counts as failed.\n"
    assert await saver.holds() == (50_000, 0, 0)


async def test_what_cannot_be_reversed_says_why(saver: Saver, operator: CommandBeside) -> None:
    nobody, odd = new_receipt(), await saver.deposit(98_050)
    done = await operator("deposits", "reverse", nobody, "--evidence", "x")
    assert done.failure == f"our books have no deposit {nobody}; look for it by: zanari suspense list"
    asked = await operator("deposits", "reverse", nobody, "--evidence", "x", "--ask")
    assert asked.failure == f"our books have no deposit {nobody}"
    cents = await operator("deposits", "reverse", odd, "--evidence", "x", "--ask")
    assert cents.failure.startswith(f"{odd} is not whole shillings")
    assert (await operator("deposits", "reversal", odd)).failure == f"no reversal of {odd} was asked for"
    assert (
        await operator("deposits", "keep", odd, "--evidence", "x")
    ).failure == f"no reversal of {odd} was asked for"
    assert (await operator("deposits", "reverse", "no receipt", "--evidence", "x")).failure.startswith(
        "not an M-PESA receipt"
    )
    assert (
        await operator("deposits", "reverse", odd, "--evidence", " ")
    ).failure == "say what shows it: --evidence TEXT"


def statement(tmp_path: Path, *rows: str) -> tuple[Path, str]:
    """Write a file of yesterday; return it and the day."""
    day = eat_date(datetime.now(UTC) - timedelta(days=1))
    header = "Receipt No.,Completion Time,Details,Paid In,Withdrawn,Balance,A/C No."
    file = tmp_path / "statement.csv"
    file.write_text("\n".join([header, *(row.format(day=day) for row in rows)]), encoding="utf-8")
    return file, str(day)


async def test_a_statement_is_compared_and_what_is_missing_is_booked_by_apply(
    api: Api, saver: Saver, operator: CommandBeside, tmp_path: Path
) -> None:
    receipt = new_receipt()
    file, day = statement(tmp_path, f"{receipt},{{day}} 10:00:00,Pay Bill,250.00,,,{saver.member_code}")
    verb = ("statement", "import", str(file), "--shortcode", SHORTCODE, "--date", day)
    done = await operator(*verb)
    assert done.code == 1
    assert "1 lines; 1 differences." in done.out
    assert "missing_deposit" in done.out
    applied = await operator(*verb, "--apply")
    assert applied.code == 0, applied.out + applied.err
    assert "This very file was compared before." in applied.out
    assert f"Booked {receipt}." in applied.out
    assert await saver.holds() == (25_000, 0, 0)


async def test_rows_that_cannot_be_read_end_with_exit_code_1(operator: CommandBeside, tmp_path: Path) -> None:
    file, day = statement(tmp_path, "Total,,,500.00,,,")
    done = await operator("statement", "import", str(file), "--shortcode", "600009", "--date", day)
    assert done.code == 1
    assert "1 rows could not be read." in done.out


async def test_what_is_no_statement_or_no_closed_day_is_refused(
    operator: CommandBeside, tmp_path: Path
) -> None:
    file, day = statement(tmp_path)
    today = str(datetime.now(EAT).date())
    verb = ("statement", "import", str(file), "--shortcode")
    assert (await operator(*verb, SHORTCODE, "--date", today)).failure.endswith(
        "its statement is not whole yet"
    )
    assert (await operator(*verb, "six", "--date", day)).failure.startswith("a place is SHORTCODE:ACCOUNT")
    file.write_text("hello", encoding="utf-8")
    assert (await operator(*verb, SHORTCODE, "--date", day)).failure.startswith("no columns")
    assert read_statement(b"Receipt No.,Completion Time,Paid In\n").lines == []
