"""When the chain is sealed, verified and its head written down. Does none of it itself."""

from datetime import timedelta
from typing import Final

from zanari_api.reconciliation import chain_service
from zanari_api.reconciliation.chain_service import Chaining
from zanari_api.runtime.schedules import Schedule

SEALED_EVERY: Final = timedelta(seconds=2)
HEAD_NOTED_EVERY: Final = timedelta(minutes=1)
VERIFIED_EVERY: Final = timedelta(minutes=15)

SEAL_LEASE: Final = timedelta(minutes=2)
"""A worker that dies while it seals keeps others from it for so long."""

VERIFICATION_OVERDUE: Final = timedelta(hours=6)
"""A chain that was not verified to its end for so long: the alert ChainVerificationStale, and the doctor, say so."""

VERIFY_LEASE: Final = timedelta(hours=2)
"""As long as a pass over the whole chain may take: then, though a worker dies in it, the next one is not overdue."""


def schedules_of(parts: Chaining) -> list[Schedule]:
    """Return the schedules. Heads are noted only where there is a place for them."""

    async def seal() -> None:
        await chain_service.seal(parts)

    async def note_head() -> None:
        await chain_service.note_head(parts)

    async def verify() -> None:
        await chain_service.verify(parts)

    found = [
        Schedule(name="chain_sealing", run=seal, every=SEALED_EVERY, lease=SEAL_LEASE),
        Schedule(name="chain_verification", run=verify, every=VERIFIED_EVERY, lease=VERIFY_LEASE),
    ]
    if parts.heads is not None:
        found.append(Schedule(name="chain_head", run=note_head, every=HEAD_NOTED_EVERY))
    return found
