"""The one access token of all processes: read from memory, then from the database, then asked for by one of them.

A new token ends the one before, so only the holder of the row's lease asks. No transaction is open while
HTTP is: the lease is claimed in one, Safaricom is asked, and the answer is stored in another, which finds the
lease still held or stores nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from zanari_api.daraja import queries
from zanari_api.daraja.errors import DarajaUnavailable, Hindrance, Operation
from zanari_api.kit.clock import Clock
from zanari_api.kit.errors import Unavailable
from zanari_api.kit.ids import new_id
from zanari_api.runtime.crypto import Place, ServiceKeyStore, Undecryptable
from zanari_api.runtime.db import Database, Role

LEASE_SPARE: Final = timedelta(seconds=10)
"""How much longer than asking a lease lasts: the answer is still to be stored."""

POLL: Final = timedelta(seconds=0.1)
POLLS_SPARE: Final = 50
"""How often a process looks again after the lease of one that died has run out."""

MARGIN: Final = timedelta(seconds=60)
"""A token is not used in its last minute, nor in the last tenth of a shorter life."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FreshToken:
    """What Safaricom answered."""

    text: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A usable token; `generation` tells it from those before and after."""

    text: str = field(repr=False)
    generation: int
    expires_at: datetime


class Tokens:
    """Hands out the token. `ask` does the HTTP; it raises a DarajaError when it gets none.

    `lease` outlasts the longest asking, and `polls_max` looks outlast the lease.
    """

    def __init__(
        self,
        *,
        app: tuple[str, str],
        database: Database,
        service_keys: ServiceKeyStore,
        clock: Clock,
        ask: Callable[[], Awaitable[FreshToken]],
        longest_ask: timedelta,
    ) -> None:
        """Keep the token of `app`: the host and the consumer key. `longest_ask` is what `ask` takes at most."""
        self._app = app
        self._database = database
        self._service_keys = service_keys
        self._clock = clock
        self._ask = ask
        self.lease = longest_ask + LEASE_SPARE
        self.polls_max = self.lease // POLL + POLLS_SPARE
        self._held: AccessToken | None = None
        self._one_at_a_time = asyncio.Lock()

    async def get(self, *, refused: AccessToken | None = None) -> AccessToken:
        """Return a token newer than the one that was `refused`.

        Raises DarajaUnavailable (no_token) when Safaricom gives none or the database is away.
        """
        after = 0 if refused is None else refused.generation
        held = self._usable(self._held, after)
        if held is not None:
            return held
        async with self._one_at_a_time:
            held = self._usable(self._held, after)
            if held is None:
                try:
                    held = self._held = await self._get_shared(after)
                except Unavailable as error:
                    raise DarajaUnavailable(Operation.TOKEN, Hindrance.NO_TOKEN) from error
            return held

    async def renew(self) -> AccessToken:
        """Return a token that Safaricom has given since this was called, whichever is at hand.

        The one before ends; every process finds that out with its next call, which takes this one up. Raises
        DarajaRefused, DarajaUnresolved or DarajaUnavailable as asking does.
        """
        async with self._one_at_a_time:
            try:
                _, generation = await self._read(await self._token_id())
                renewed = self._held = await self._get_shared(generation)
            except Unavailable as error:
                raise DarajaUnavailable(Operation.TOKEN, Hindrance.NO_TOKEN) from error
            return renewed

    async def _get_shared(self, after: int) -> AccessToken:
        token_id = await self._token_id()
        for _ in range(self.polls_max):
            stored, generation = await self._read(token_id)
            usable = self._usable(stored, after)
            if usable is not None:
                return usable
            lease_id = await self._claim(token_id, generation)
            asked = None if lease_id is None else await self._ask_and_store(token_id, lease_id)
            if asked is not None:
                return asked
            await self._clock.sleep(POLL.total_seconds())
        raise DarajaUnavailable(Operation.TOKEN, Hindrance.NO_TOKEN)

    async def _read(self, token_id: UUID) -> tuple[AccessToken | None, int]:
        """Return the stored token, if it can be opened, and how many there were."""
        async with self._database.transaction(Role.SYSTEM) as tx:
            row = await queries.find_token(tx, token_id=token_id)
        if row is None or row.sealed_token is None or row.expires_at is None:
            return None, 0
        keys = await self._service_keys.keys()
        try:
            text = keys.inbox.decrypt(row.sealed_token, _place(token_id)).decode()
        except Undecryptable:
            log.warning("daraja_token_unreadable", generation=row.generation)
            return None, row.generation
        return AccessToken(text, row.generation, row.expires_at), row.generation

    async def _claim(self, token_id: UUID, generation: int) -> UUID | None:
        lease_id, now = new_id(), self._clock.now()
        async with self._database.transaction(Role.SYSTEM) as tx:
            claimed = await queries.claim_lease(
                tx,
                token_id=token_id,
                lease_id=lease_id,
                generation=generation,
                now=now,
                until=now + self.lease,
            )
        return lease_id if claimed else None

    async def _ask_and_store(self, token_id: UUID, lease_id: UUID) -> AccessToken | None:
        """Ask Safaricom, and store what it gives; None when the lease ran out meanwhile and another asked."""
        try:
            asked_at = self._clock.now()
            fresh = await self._ask()
        except BaseException:
            # Whoever comes next need not wait for the lease to run out, unless the database is away as well.
            with suppress(Unavailable):
                async with self._database.transaction(Role.SYSTEM) as tx:
                    await queries.release_lease(tx, token_id=token_id, lease_id=lease_id)
            raise
        expires_at = asked_at + fresh.lifetime - min(MARGIN, fresh.lifetime // 10)
        keys = await self._service_keys.keys()
        async with self._database.transaction(Role.SYSTEM) as tx:
            generation = await queries.store_token(
                tx,
                token_id=token_id,
                lease_id=lease_id,
                sealed_token=keys.inbox.encrypt(fresh.text.encode(), _place(token_id)),
                expires_at=expires_at,
            )
        if generation is None:
            log.warning("daraja_token_lease_lost")
            return None
        log.info("daraja_token_stored", generation=generation, expires_at=expires_at)
        return AccessToken(fresh.text, generation, expires_at)

    def _usable(self, token: AccessToken | None, after: int) -> AccessToken | None:
        if token is None or token.generation <= after or token.expires_at <= self._clock.now():
            return None
        return token

    async def _token_id(self) -> UUID:
        """Return the row's id: a keyed hash, since a consumer key is a credential too."""
        keys = await self._service_keys.keys()
        return UUID(bytes=keys.index.digest("daraja_app", *(part.encode() for part in self._app))[:16])


def _place(token_id: UUID) -> Place:
    return Place("runtime.daraja_tokens", "sealed_token", token_id)
