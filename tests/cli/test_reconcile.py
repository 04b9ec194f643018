"""`zanari reconcile`, `breaks` and `float` as an operator types them, against a service and its Safaricom."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import B2C_SHORTCODE, SHORTCODE, Api
from tests.support.payouts import payer, withdrawing
from tests.support.savers import Saver, new_receipt
from tests.support.two_books import book_openings
from zanari_api.cli.reconcile import show_hastened
from zanari_api.kit.clock import eat_date
from zanari_api.mpesa import breaks
from zanari_api.mpesa.payout_hastening import Hastened
from zanari_api.runtime.db import Role


@pytest.fixture(autouse=True)
async def _both_books_agree(api: Api) -> None:
    await book_openings(api)
    api.emulator.faults.clear()
    api.emulator.delays.process_s = 0.1


async def open_ids(api: Api) -> list[str]:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return [str(each.id) for each in await breaks.list_open(tx)]


async def test_books_that_agree_are_told_account_by_account_with_exit_code_0(
    api: Api, operator: CommandBeside
) -> None:
    done = await operator("reconcile")
    assert done.code == 0, done.out + done.err
    for shortcode in (SHORTCODE, B2C_SHORTCODE):
        assert f"asking Safaricom what {shortcode} holds" in done.err
        for account in ("utility", "working", "charges_paid"):
            assert f"{shortcode}:{account}" in done.out
    assert "No break is open." in done.out


async def test_a_difference_ends_with_exit_code_1_until_the_command_it_names_is_typed(
    api: Api, operator: CommandBeside
) -> None:
    receipt = await api.emulator.deposit_float(B2C_SHORTCODE, 250_000)
    done = await operator("reconcile")
    assert done.code == 1
    assert "KES 2,500" in done.out
    assert "zanari float fund 600001:utility --amount 2500 --receipt RECEIPT" in done.out
    listed = await operator("breaks", "list")
    assert listed.code == 1
    assert "float_differs" in listed.out
    assert "1 open" in listed.out
    booked = await operator("float", "fund", "600001:utility", "--amount", "2500", "--receipt", receipt)
    assert (booked.code, booked.out) == (0, "Booked KES 2,500 from the bank to 600001:utility.\n")
    after = await operator("reconcile")
    assert after.code == 0
    assert "Closed: float_differs float:600001:utility: both books say" in after.out
    assert (await operator("breaks", "list")).out == "No break is open.\n"


async def test_an_answer_that_never_comes_is_said_within_the_time(
    api: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.emulator.faults.next("balance", "http_error", code="500.003.02")
    done = await operator("reconcile")
    assert done.code == 1
    assert f"no answer for {SHORTCODE} within 60 s, or none that told a balance" in done.err
    assert f"Safaricom told no balances of {SHORTCODE}." in done.out
    assert (await operator("reconcile")).code == 0


async def test_a_past_day_is_compared_without_asking(api: Api, operator: CommandBeside) -> None:
    assert (await operator("reconcile")).code == 0
    today = eat_date(datetime.now(UTC))
    done = await operator("reconcile", "--date", str(today))
    assert (done.code, done.err) == (0, "")
    before = await operator("reconcile", "--date", str(today - timedelta(days=400)))
    assert before.code == 1
    assert "balance_unknown" in before.out
    for break_id in await open_ids(api):
        resolved = await operator("breaks", "resolve", break_id, "--evidence", "before our time")
        assert resolved.out == f"Closed {break_id}.\n"
    assert await open_ids(api) == []


async def test_a_break_is_shown_open_and_closed_and_resolved_once(api: Api, operator: CommandBeside) -> None:
    await operator("reconcile", "--date", "2024-02-29")
    break_id = (await open_ids(api))[0]
    shown = await operator("breaks", "show", break_id)
    assert shown.code == 0
    assert "balance_unknown" in shown.out
    assert "zanari statement import FILE" in shown.out
    await operator("breaks", "resolve", break_id, "--evidence", "ticket 7")
    closed = await operator("breaks", "show", break_id)
    assert "wanjiku: ticket 7" in closed.out
    again = await operator("breaks", "resolve", break_id, "--evidence", "ticket 8")
    assert (again.code, again.out) == (0, f"{break_id} was closed before.\n")
    for other in await open_ids(api):
        await operator("breaks", "resolve", other, "--evidence", "ticket 7")


async def test_what_is_no_break_and_what_has_no_evidence_is_refused(operator: CommandBeside) -> None:
    nobody = str(uuid4())
    assert (await operator("breaks", "show", nobody)).failure == f"there is no break {nobody}"
    done = await operator("breaks", "resolve", nobody, "--evidence", "x")
    assert done.failure == f"there is no break {nobody}"
    assert (
        await operator("breaks", "resolve", nobody, "--evidence", " ")
    ).failure == "say what shows it: --evidence TEXT"


async def test_our_accounts_are_listed_and_opened(api: Api, operator: CommandBeside) -> None:
    listed = await operator("float", "list")
    assert "600001:utility" in listed.out
    assert "KES 1,00" in listed.out
    assert (await operator("float", "open", "777001")).out == "The accounts of 777001 are open.\n"
    assert (await operator("float", "open", "nonsense")).failure == "nonsense is no shortcode"


async def test_money_moves_and_leaves_once_per_receipt(api: Api, operator: CommandBeside) -> None:
    receipt = new_receipt()
    move = ("float", "move", "--from", "600001:utility", "--to", "600001:working", "--receipt", receipt)
    assert (
        await operator(*move, "--amount", "7")
    ).out == "Booked KES 7 from 600001:utility to 600001:working.\n"
    assert "was booked before" in (await operator(*move, "--amount", "7")).out
    other = await operator(*move, "--amount", "8")
    assert other.failure == f"{receipt} was booked before as another move; nothing moved"
    back = await operator(
        "float",
        "move",
        "--from",
        "600001:working",
        "--to",
        "600001:utility",
        "--amount",
        "7",
        "--receipt",
        new_receipt(),
    )
    assert back.code == 0
    defunded = await operator(
        "float", "defund", "600001:utility", "--amount", "1.50", "--receipt", new_receipt()
    )
    assert defunded.out == "Booked KES 1.50 from 600001:utility to the bank.\n"
    funded = await operator("float", "fund", "600001:utility", "--amount", "1.50", "--receipt", new_receipt())
    assert funded.code == 0


async def test_a_move_is_booked_for_when_it_happened(api: Api, operator: CommandBeside) -> None:
    receipt = new_receipt()
    verb = ("float", "fund", "600001:utility", "--amount", "3", "--receipt", receipt)
    assert (await operator(*verb, "--at", "2024-02-29 12:00:00")).code == 0
    (row,) = await api.rows("SELECT event_at FROM mpesa.float_moves WHERE receipt = $1", receipt)
    assert row["event_at"] == datetime(2024, 2, 29, 9, 0, tzinfo=UTC)
    refused = await operator(*verb, "--at", "2099-01-01 00:00")
    assert refused.failure == "2099-01-01 00:00:00 in East Africa Time is still to come"
    await operator("float", "defund", "600001:utility", "--amount", "3", "--receipt", new_receipt())


async def test_a_savers_receipt_and_nonsense_are_refused(saver: Saver, operator: CommandBeside) -> None:
    receipt = await saver.deposit(10_000)
    done = await operator("float", "fund", "600000:utility", "--amount", "1", "--receipt", receipt)
    assert done.failure == f"{receipt} is a saver's payment; nothing moved"
    for place, amount, why in (
        ("600000", "1", "a place is SHORTCODE:ACCOUNT"),
        ("600000:utility", "one", "not a decimal amount"),
        ("600000:utility", "0", "the amount must be more than zero"),
    ):
        refused = await operator("float", "fund", place, "--amount", amount, "--receipt", new_receipt())
        assert refused.failure.startswith(why)


async def test_nobody_changes_anything_without_a_name(
    operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZANARI_OPERATOR")
    for verb in (
        ("float", "open", "777001"),
        ("float", "fund", "600001:utility", "--amount", "1", "--receipt", new_receipt()),
        ("breaks", "resolve", str(uuid4()), "--evidence", "x"),
        ("deposits", "reverse", new_receipt(), "--evidence", "x"),
        ("deposits", "keep", new_receipt(), "--evidence", "x"),
    ):
        assert (await operator(*verb)).failure.startswith("say who you are")


async def test_a_payout_in_doubt_is_asked_about_first_and_what_came_of_it_is_told(
    api: Api, operator: CommandBeside
) -> None:
    payout = await withdrawing(await payer(api), 20_000)
    api.emulator.faults.next("b2c", "lose_callback")
    await api.work()
    assert await payout.state() == "submitted"
    await api.alter(
        "UPDATE savings.payouts SET submitting_at = submitting_at - interval '5 minutes' WHERE id = $1",
        payout.id,
    )
    done = await operator("reconcile")
    assert "asking M-PESA about 1 of 1 payouts in doubt" in done.err
    assert "M-PESA was asked about 1 payouts in doubt and answered 1." in done.out
    assert "not answered yet" not in done.out
    assert await payout.state() == "settled"
    again = await operator("reconcile")
    assert "payouts in doubt" not in again.out + again.err


def test_what_was_not_seen_about_payouts_in_doubt_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show_hastened(Hastened(in_doubt=30, asked=18, answered=15, unsent=2))
    told = capsys.readouterr().out
    assert "M-PESA was asked about 18 payouts in doubt and answered 15." in told
    assert "3 are not answered yet" in told
    assert "2 could not be asked about" in told
    assert "10 were not asked about" in told
