"""Sets a saver's PIN and tries it: hashes outside transactions, judges under the row's lock, never keeps a PIN.

A try has three steps: read the PIN, hash what was sent, judge. Many may hash at once; they are judged one after
another, by what the row says then. So no more tries are answered than the lock allows, and what was hashed
against a PIN that was replaced meanwhile begins again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from zanari_api.kit.clock import Clock
from zanari_api.runtime.crypto import DataKey, Keyring, Place
from zanari_api.runtime.db import Database, Role, TryAgain, Tx
from zanari_api.users import holds, linking, pin_hashing, pin_queries, pin_rules, service, step_up
from zanari_api.users.errors import FreshSignInRequired, PinNotSet, PinTooWeak
from zanari_api.users.pin_queries import PinRow
from zanari_api.users.step_up import Purpose, StepUp

Done = TypeVar("Done")

ROUNDS_MAX: Final = 3
"""How often to begin again because the PIN was replaced meanwhile."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """It was not the PIN, and was counted."""

    tries_left: int


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many wrong tries: this one was the last of them, or was not made at all."""

    until: datetime


@dataclass(frozen=True, slots=True)
class PinSet:
    """The PIN is what was asked for. `held_until`: until when payouts wait, as after a forgotten one was replaced."""

    set_at: datetime
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SaverPin:
    """One saver's PIN, with what it takes to read and write it."""

    saver_id: UUID
    database: Database
    keyring: Keyring
    clock: Clock

    async def verify(self, pin: str, *, purpose: Purpose) -> StepUp | Wrong | Locked:
        """Try the PIN; a right one earns a step-up token, and the wrong ones before it are forgiven.

        Raises PinNotSet, TryAgain.
        """

        async def earn(tx: Tx, stored: PinRow, now: datetime) -> StepUp:
            await pin_queries.note_tries(tx, saver_id=self.saver_id, wrong_tries=0, locked_until=None)
            return await step_up.issue(
                tx, saver_id=self.saver_id, purpose=purpose, pin_version=stored.version, now=now
            )

        return await self._try(pin, earn)

    async def change(self, current_pin: str, new_pin: str) -> PinSet | Wrong | Locked:
        """Replace the PIN by proving it. A wrong proof counts as any other wrong try.

        Raises PinTooWeak, PinNotSet, TryAgain.
        """
        sealed_hash = await self._seal(new_pin, await self._key_for(new_pin))

        async def replace(tx: Tx, _stored: PinRow, now: datetime) -> PinSet:
            await pin_queries.replace_pin(
                tx, saver_id=self.saver_id, sealed_hash=sealed_hash, set_at=now, reset_at=None
            )
            return PinSet(set_at=now)

        return await self._try(current_pin, replace)

    async def set(self, new_pin: str, *, signed_in_at: datetime | None) -> PinSet:
        """Set the first PIN, or replace a forgotten one after a sign-in of the last five minutes.

        The second ends a lock and holds payouts for 48 hours. Asked again for the PIN that is set, it changes
        nothing. Raises PinTooWeak, FreshSignInRequired, TryAgain.
        """
        key = await self._key_for(new_pin)
        sealed_hash = await self._seal(new_pin, key)
        for _ in range(ROUNDS_MAX):
            stored, _key = await self._read()
            if stored is not None:
                if not pin_rules.is_fresh(signed_in_at, now=self.clock.now()):
                    raise FreshSignInRequired
                if stored.wrong_tries == 0 and await pin_hashing.matches(self._open(stored, key), new_pin):
                    # A lost answer or a second tap. It is no way to guess: any other PIN ends in a hold.
                    return PinSet(set_at=stored.set_at, held_until=await self._held_until())
            if (done := await self._put(sealed_hash, was=stored)) is not None:
                return done
        raise TryAgain

    async def _held_until(self) -> datetime | None:
        """Return until when the saver's payouts are held; None when they may go."""
        async with self.database.transaction(Role.API, self.saver_id) as tx:
            return await holds.payout_hold_until(tx, saver_id=self.saver_id, now=self.clock.now())

    async def _put(self, sealed_hash: bytes, *, was: PinRow | None) -> PinSet | None:
        """Write the PIN in place of what was read; None when another was set meanwhile."""

        async def write(tx: Tx) -> PinSet | None:
            now = self.clock.now()
            if was is None:
                inserted = await pin_queries.insert_pin(
                    tx, saver_id=self.saver_id, sealed_hash=sealed_hash, set_at=now
                )
                return PinSet(set_at=now) if inserted else None
            stored = await pin_queries.lock_pin(tx, saver_id=self.saver_id)
            if stored is None or stored.version != was.version:
                return None
            await pin_queries.replace_pin(
                tx, saver_id=self.saver_id, sealed_hash=sealed_hash, set_at=now, reset_at=now
            )
            held_until = await holds.hold_for_pin_reset(tx, saver_id=self.saver_id, now=now)
            return PinSet(set_at=now, held_until=held_until)

        return await self.database.unit_of_work(write, role=Role.API, saver_id=self.saver_id)

    async def _try(
        self, pin: str, when_right: Callable[[Tx, PinRow, datetime], Awaitable[Done]]
    ) -> Done | Wrong | Locked:
        """Hash, then judge. `when_right` runs in the transaction of the verdict, with the row locked."""
        for _ in range(ROUNDS_MAX):
            stored, key = await self._read()
            if stored is None:
                raise PinNotSet
            if (locked := _lock_of(stored, self.clock.now())) is not None:
                return locked
            is_right = await pin_hashing.matches(self._open(stored, key), pin)
            verdict = await self._judge(stored.version, when_right if is_right else None)
            if verdict is not None:
                return verdict
        raise TryAgain

    async def _judge(
        self, version: int, when_right: Callable[[Tx, PinRow, datetime], Awaitable[Done]] | None
    ) -> Done | Wrong | Locked | None:
        """Count a wrong try, or do what a right one allows; neither during a lock. None: the PIN was replaced."""

        async def judge(tx: Tx) -> Done | Wrong | Locked | None:
            stored = await pin_queries.lock_pin(tx, saver_id=self.saver_id)
            if stored is None or stored.version != version:
                return None
            now = self.clock.now()
            if (locked := _lock_of(stored, now)) is not None:
                return locked
            if when_right is not None:
                return await when_right(tx, stored, now)
            wrong_tries = stored.wrong_tries + 1
            wait = pin_rules.lock_for(wrong_tries)
            until = None if wait is None else now + wait
            await pin_queries.note_tries(
                tx, saver_id=self.saver_id, wrong_tries=wrong_tries, locked_until=until
            )
            return Wrong(pin_rules.tries_left(wrong_tries)) if until is None else Locked(until)

        return await self.database.unit_of_work(judge, role=Role.API, saver_id=self.saver_id)

    async def _read(self) -> tuple[PinRow | None, DataKey]:
        """Return the PIN, None before the first, and the saver's data key."""
        async with self.database.transaction(Role.API, self.saver_id) as tx:
            saver = await service.find_saver(tx, saver_id=self.saver_id)
            stored = await pin_queries.find_pin(tx, saver_id=self.saver_id)
        return stored, service.data_key_of(saver, self.keyring)

    async def _key_for(self, new_pin: str) -> DataKey:
        """Return the saver's data key when the PIN is not too easy to guess. Raises PinTooWeak, which says why."""
        async with self.database.transaction(Role.API, self.saver_id) as tx:
            saver = await service.find_saver(tx, saver_id=self.saver_id)
            key = service.data_key_of(saver, self.keyring)
            numbers = await linking.list_numbers(tx, saver_id=self.saver_id, data_key=key)
        known = [saver.member_code, *(number.msisdn for number in numbers)]
        reason = pin_rules.weakness(new_pin, known=known)
        if reason is not None:
            raise PinTooWeak(f"This PIN is too easy to guess. {reason}")
        return key

    async def _seal(self, pin: str, key: DataKey) -> bytes:
        return key.encrypt(await pin_hashing.hash_pin(pin), _place(self.saver_id))

    def _open(self, stored: PinRow, key: DataKey) -> bytes:
        return key.decrypt(stored.hash, _place(self.saver_id))


def _lock_of(stored: PinRow, now: datetime) -> Locked | None:
    until = stored.locked_until
    return Locked(until) if until is not None and until > now else None


def _place(saver_id: UUID) -> Place:
    return Place("savings.pins", "hash", saver_id)
