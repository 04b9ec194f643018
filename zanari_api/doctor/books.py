"""Looks whether books and chain were proved lately, and hold. Proves nothing itself."""

from datetime import timedelta
from typing import Final

from zanari_api.doctor.database import database_of
from zanari_api.doctor.findings import Finding, failed, passed
from zanari_api.doctor.patient import Patient
from zanari_api.reconciliation import chain_service, facts
from zanari_api.reconciliation.chain_schedules import VERIFICATION_OVERDUE
from zanari_api.reconciliation.schedules import BOOKS_CHECKED_EVERY
from zanari_api.runtime.db import Role

OVERDUE: Final = 3 * BOOKS_CHECKED_EVERY

SEALING_OVERDUE: Final = timedelta(minutes=10)


async def books_hold(patient: Patient) -> Finding:
    """Look when the worker last proved the books to the end, and what it found. Nothing is proved by this look."""
    now = patient.clock.now()
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        known = await facts.read(tx, now=now)
    if known.books_broken:
        return failed(
            f"{known.books_broken} promises are broken, and money out is frozen",
            "zanari breaks list, at once",
        )
    if known.books_checked_at is None:
        return failed("they were never proved to the end", "start a worker: zanari worker")
    age = now - known.books_checked_at
    said = f"proved {age // timedelta(minutes=1)} minutes ago"
    if age > OVERDUE:
        return failed(said, "see whether a worker runs, and zanari_schedules_late")
    open_breaks = sum(known.open_breaks.values())
    return passed(f"{said}; {open_breaks} breaks open" if open_breaks else f"{said}; no break open")


async def chain_holds(patient: Patient) -> Finding:
    """Look when the hash chain was last verified to its end, what that found, and whether it is sealed on."""
    now = patient.clock.now()
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        chain = await chain_service.read_facts(tx)
    if chain.bad_rows:
        return failed(
            f"{chain.bad_rows} rows are not what was sealed: a hand was in the database",
            "zanari breaks list, at once",
        )
    if chain.verified_at is None:
        return failed("it was never verified to its end", "start a worker: zanari worker")
    age = now - chain.verified_at
    said = f"{chain.length} rows sealed, verified {age // timedelta(minutes=1)} minutes ago"
    if age > VERIFICATION_OVERDUE:
        return failed(said, "see whether a worker runs, and zanari_schedules_late")
    if chain.unsealed_age > SEALING_OVERDUE:
        return failed(
            f"{chain.unsealed_rows} rows wait to be sealed, for {chain.unsealed_age // timedelta(minutes=1)} minutes",
            "see whether a worker runs, and for a transaction that was left open",
        )
    return passed(said)
