"""Hashes PINs and checks them, in threads: the event loop never waits for it. Keeps nothing."""

from typing import Final

import anyio
from anyio import CapacityLimiter
from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

# The least that OWASP recommends for argon2id: 19 MiB, two passes, one lane; some 20 ms. More would buy little:
# all PINs there are can be tried on any hash. What keeps a PIN safe is that tries are counted and that the
# stored hash is encrypted; argon2 is for somebody who has both the database and the keys.
HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)

THREADS: Final = 4
"""How many are hashed at once: each takes 19 MiB and a core."""
_slots: Final = CapacityLimiter(THREADS)


async def hash_pin(pin: str) -> bytes:
    """Return the PIN's argon2id hash, with its salt and parameters. Never call it inside a transaction."""
    return (await anyio.to_thread.run_sync(HASHER.hash, pin, limiter=_slots)).encode()


async def matches(stored: bytes, pin: str) -> bool:
    """Tell whether `pin` is the one that was hashed. Never call it inside a transaction."""
    return await anyio.to_thread.run_sync(_matches, stored.decode(), pin, limiter=_slots)


def _matches(stored: str, pin: str) -> bool:
    try:
        return HASHER.verify(stored, pin)
    except VerifyMismatchError:
        return False
