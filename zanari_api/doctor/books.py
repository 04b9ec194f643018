"""Looks whether the books were proved lately, and hold. Proves nothing itself."""

from datetime import timedelta
from typing import Final

from zanari_api.doctor.database import database_of
from zanari_api.doctor.findings import Finding, failed, passed
from zanari_api.doctor.patient import Patient
from zanari_api.reconciliation import facts
from zanari_api.reconciliation.schedules import BOOKS_CHECKED_EVERY
from zanari_api.runtime.db import Role

OVERDUE: Final = 3 * BOOKS_CHECKED_EVERY


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
