"""Looks at one thing after another, each within its time. A look that breaks is a failed line, and the next goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from zanari_api.doctor.findings import Finding, Line, Outcome, failed, not_checked
from zanari_api.doctor.patient import Patient
from zanari_api.kit.errors import Unavailable

LOOK_TIMEOUT_S: Final = 15


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that is looked at."""

    name: str
    at: Callable[[Patient], Awaitable[Finding]]
    needs_database: bool = False


async def examine(
    patient: Patient, looks: Sequence[Look], *, timeout_s: float = LOOK_TIMEOUT_S
) -> list[Line]:
    """Look at everything, and return a line for each look, in order.

    The first look that is made is `database`: where it fails, what would ask the database is not looked at.
    """
    at_database = [look for look in looks if look.name == "database"]
    known = {look.name: await _seen(look, patient, timeout_s) for look in at_database}
    database_is_there = all(finding.outcome is Outcome.PASSED for finding in known.values())

    async def see(look: Look) -> Line:
        if look.name in known:
            return Line(look.name, known[look.name])
        if look.needs_database and not database_is_there:
            return Line(look.name, not_checked("the database does not answer: see the line database"))
        return Line(look.name, await _seen(look, patient, timeout_s))

    return await asyncio.gather(*(see(look) for look in looks))


async def _seen(look: Look, patient: Patient, timeout_s: float) -> Finding:
    try:
        async with asyncio.timeout(timeout_s):
            return await look.at(patient)
    except TimeoutError:
        return failed(
            f"no answer within {timeout_s:g} s", "see whether it is reached from here at all, then again"
        )
    except Unavailable as error:
        return failed(str(error), "see the line database, then again")
    except Exception as error:  # noqa: BLE001 (whatever breaks a look is a line of it, and the others go on)
        # Its text may quote what it was given.
        return failed(
            f"the look itself broke ({type(error).__name__})", "tell the developers, with the line's name"
        )
