"""`zanari ledger`: whether the books are what was sealed and keep their promises, what accounts held. Only looks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from zanari_api.cli.moments import AsOfOption, moment
from zanari_api.cli.session import operating
from zanari_api.cli.terminal import FAILED, fail, progress, run, say, table
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes
from zanari_api.ledger import accounts, as_of, invariants, sealing, verifying
from zanari_api.ledger.as_of import HeldAt
from zanari_api.ledger.heads import HeadFile, KnownHead
from zanari_api.ledger.sealing import Lag
from zanari_api.ledger.verifying import Progress, Verified
from zanari_api.mpesa.float_service import parse_place
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(
    help="Verify that nobody changed the books, check their promises, see what accounts held.",
    no_args_is_help=True,
)

TOLD_EVERY_ROWS: Final = 100_000
UNSEALED_LATE: Final = timedelta(minutes=15)
"""What has no seal for so long is protected by nothing: sealing does not run."""

SYSTEM_ACCOUNTS: Final = {
    "suspense": accounts.SUSPENSE,
    "in_flight": accounts.IN_FLIGHT,
    "dust": accounts.DUST,
    "funding": accounts.FUNDING,
    "fees": accounts.FEES,
}


@app.command()
def verify(
    head: Annotated[
        Path | None,
        typer.Option(
            "--head",
            help="A file of heads from outside the database; LEDGER_HEAD_FILE when left out.",
        ),
    ] = None,
    first: Annotated[
        int,
        typer.Option("--from", min=1, help="Begin with this row of the chain; what is before is believed."),
    ] = 1,
) -> None:
    """Compute the whole hash chain again from the rows, and name the first bad one. Exit code 1 when there is one.

    Finds rows of the books and of the audit log that were changed, removed or put in after they were sealed. A tail
    that was cut off, or history written anew with all its hashes, shows only against a head that was kept elsewhere:
    without one, the tail is not checked, and this says so. Reads everything, in small steps; nobody has to wait.
    """
    run(_verify(head, first))


@app.command()
def check() -> None:
    """Prove every promise of the books again, from the entries alone. Exit code 1 when one is broken.

    That transfers sum to zero, versions have no gap, no saver's account is below zero, balances are their entries, and
    that the database's own guards are in place. Reads everything in one statement: minutes, on large books.
    """
    run(_check())


@app.command()
def balance(
    account: Annotated[
        str | None,
        typer.Argument(
            help="An account's id, SHORTCODE:utility, or suspense, in_flight, dust, funding, fees."
        ),
    ] = None,
    at: AsOfOption = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All accounts: the system's each, savers' by kind.")
    ] = False,
) -> None:
    """Show what an account held at a moment, by the time of posting, from its entries."""
    if everything == (account is not None):
        fail("name an ACCOUNT, or --all")
    run(_balance_of_all(at) if account is None else _balance(account, at))


@app.command()
def head(
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Append it to this file, where the database's owner cannot change it."),
    ] = None,
) -> None:
    """Print the chain's head: how many rows it has sealed, the hash of the last, and now.

    With --to it is appended as a line, once; a head that goes back behind the file's last is refused.
    """
    run(_head(to))


async def _verify(file: Path | None, first: int) -> None:
    async with operating() as o:
        place = o.parts.heads if file is None else HeadFile(file)
        heads = [] if place is None else place.read()
        after = await verifying.head_before(o.database, first)
        verified = await verifying.verify(o.database, after=after, heads=heads, on_progress=telling())
        async with o.database.transaction(Role.SYSTEM) as tx:
            lag = await sealing.find_lag(tx)
    if first > 1:
        say(f"Rows 1 to {after.count:,} of the chain were not checked.")
    say(_seen(verified, after.count))
    say(_tail(verified, heads))
    for each in verified.restores:
        say(
            f"Row {each.seq:,} marks a restore into another cluster, of {each.at.astimezone(EAT):%Y-%m-%d %H:%M:%S}."
            f" {each.behind:,} rows were sealed then as written shortly before. If nobody restored this database"
            " then, somebody set sealing back, and these may be put in."
        )
    sound = _tell_unsealed(verified, lag) and not verified.bad_rows and verified.rows > 0
    _tell_bad(verified)
    if not sound:
        raise typer.Exit(FAILED)


def _seen(verified: Verified, before: int) -> str:
    if verified.head.count == 0:
        return "Nothing is sealed, so there is nothing to verify: does a worker run?"
    if verified.rows == 0:
        return f"No row was read: the chain ends with row {before:,}."
    if verified.bad_rows:
        return f"The chain was read to row {verified.head.count:,}."
    return f"Rows {before + 1:,} to {verified.head.count:,} of the chain are what was sealed."


def _tail(verified: Verified, heads: Sequence[KnownHead]) -> str:
    if not heads:
        return "Tail not checked: no head was given (--head FILE, or LEDGER_HEAD_FILE)."
    met = len(verified.heads_met)
    if verified.bad_rows:
        return f"It was compared with {met:,} of {len(heads):,} heads."
    if met == 0:
        return f"Tail not checked: none of {len(heads):,} heads counts a row that was read."
    last = verified.heads_met[-1]
    return (
        f"It agrees with {met:,} heads; the last, of {last.at.astimezone(EAT):%Y-%m-%d %H:%M:%S},"
        f" counts {last.head.count:,} rows. What was sealed since then could be cut off unseen."
    )


def _tell_unsealed(verified: Verified, lag: Lag) -> bool:
    """Say what has no seal yet; return whether that is as usual."""
    if not verified.searched:
        say("Rows without a seal were not looked at: nothing was sealed since this database was restored.")
        return False
    if lag.rows == 0:
        return True
    say(f"{lag.rows:,} rows wait for their seal, the oldest for {int(lag.age.total_seconds()):,} seconds.")
    if lag.age <= UNSEALED_LATE:
        return True
    say("That is too long: see whether a worker runs, and zanari_schedules_late.")
    return False


def _tell_bad(verified: Verified) -> None:
    if not verified.bad:
        return
    named = verified.bad[: verifying.BAD_MAX]
    say(f"First bad row: {named[0]}")
    for each in named[1:]:
        say(f"and then: {each}")
    if verified.bad_rows > len(named):
        say(f"and {verified.bad_rows - len(named):,} more.")


def telling(*, every_rows: int = TOLD_EVERY_ROWS) -> Progress:
    """Return what tells a person how far it is, now and then."""
    told = 0

    def tell(rows: int) -> None:
        nonlocal told
        if rows < told:
            told = 0
        if rows - told >= every_rows:
            told = rows
            progress(f"{rows:,} rows")

    return tell


async def _check() -> None:
    async with operating() as o, o.database.transaction(Role.SYSTEM) as tx:
        progress("Reading every entry")
        transfers = await invariants.count_transfers(tx)
        broken = await invariants.check(tx)
    if broken:
        table(
            ("broken promise", "of", "how"), [(each.invariant, each.subject, each.detail) for each in broken]
        )
        say(f"{len(broken)} broken, over {transfers:,} transfers.")
        raise typer.Exit(FAILED)
    if transfers == 0:
        say("There is no transfer yet; the guards of the database are in place.")
        return
    say(f"Every promise of the books holds, over {transfers:,} transfers.")


async def _balance(account: str, at: datetime | None) -> None:
    account_id = _account_id(account)
    async with operating() as o:
        then = moment(at, now=o.clock.now())
        async with o.database.transaction(Role.SYSTEM) as tx:
            held = await as_of.find_held_at(tx, account_id, moment=then)
    if held is None:
        fail(f"there is no account {account}")
    _show([held], then)


async def _balance_of_all(at: datetime | None) -> None:
    async with operating() as o:
        then = moment(at, now=o.clock.now())
        async with o.database.transaction(Role.SYSTEM) as tx:
            held = await as_of.list_held_at(tx, moment=then)
    _show(held, then)
    total = sum(each.as_stored_cents for each in held)
    say(f"Together, credits less debits: {format_kes(total)}.")
    if total:
        raise typer.Exit(FAILED)


def _show(held: Sequence[HeldAt], then: datetime) -> None:
    table(
        ("account", "held", "entries"),
        [(_name(each), format_kes(each.cents), f"{each.entries:,}") for each in held],
        title=f"posted up to {then.astimezone(EAT):%Y-%m-%d %H:%M:%S} (East Africa Time)",
    )


def _name(held: HeldAt) -> str:
    return held.kind if held.shortcode is None else f"{held.kind} {held.shortcode}:{held.float_account}"


def _account_id(account: str) -> UUID:
    """Return which account a person means."""
    if account in SYSTEM_ACCOUNTS:
        return SYSTEM_ACCOUNTS[account]
    try:
        return parse_place(account).account_id if ":" in account else UUID(account)
    except ValueError:
        fail(
            f"{account} is no account: an id, SHORTCODE:utility (or :working, :charges_paid),"
            f" or one of {', '.join(SYSTEM_ACCOUNTS)}"
        )


async def _head(to: Path | None) -> None:
    async with operating() as o:

        async def find(tx: Tx) -> sealing.Head:
            return await sealing.find_head(tx)

        now, found = o.clock.now(), await o.database.unit_of_work(find, role=Role.SYSTEM)
    say(f"{found.count} {found.hash.hex()} {now.isoformat(timespec='seconds')}")
    if to is None:
        return
    if found.count == 0:
        fail("nothing is sealed yet, and a head of nothing protects nothing")
    if not HeadFile(to).note(found, at=now):
        say(f"{to} ends with it already.")
