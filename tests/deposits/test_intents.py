"""Intents: stored before anybody is asked, taken back only while nothing was sent, and changed by no saver's hand."""

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.postgres import Database
from tests.support.savers import Saver
from zanari_api.deposits import intents
from zanari_api.deposits.errors import PromptOpen
from zanari_api.deposits.references import IntentReference, parse_account_reference
from zanari_api.deposits.rows import Intent, IntentState, Purpose
from zanari_api.runtime.db import Role, Tx
from zanari_api.users import service as users

MINUTE = timedelta(minutes=1)


async def request(api: Api, saver: Saver, *, in_minutes: int = 0, role: Role = Role.API) -> Intent:
    """Store a deposit of KES 100 as a saver's request does, to be sent in so many minutes."""
    keys = await api.runtime.service_keys.keys()
    now = api.clock.now()

    async def store(tx: Tx) -> Intent:
        assert saver.phone is not None
        return await intents.request(
            tx,
            saver=await users.lock_saver(tx, saver_id=saver.id),
            purpose=Purpose.DEPOSIT,
            amount_cents=10_000,
            goal_id=None,
            account_id=None,
            msisdn=saver.phone,
            shortcode=SHORTCODE,
            index=keys.index,
            keyring=api.runtime.keyring,
            now=now,
            not_before=now + in_minutes * MINUTE if in_minutes else None,
        )

    return await api.db.unit_of_work(store, role=role, saver_id=saver.id)


async def stored(api: Api, intent: Intent) -> Intent:
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await intents.find(tx, saver_id=intent.saver_id, intent_id=intent.id)
    assert found is not None
    return found


async def cancel(api: Api, intent: Intent) -> bool:
    async def give_up(tx: Tx) -> bool:
        await users.lock_saver(tx, saver_id=intent.saver_id)
        return await intents.cancel_requested(tx, intent, reason="skipped", now=api.clock.now())

    return await api.db.unit_of_work(give_up, role=Role.API, saver_id=intent.saver_id)


async def test_an_intent_is_found_by_its_reference_and_holds_the_number_encrypted(
    api: Api, saver: Saver
) -> None:
    intent = await request(api, saver)
    assert parse_account_reference(intent.reference) == IntentReference(intent.reference)
    assert len(intent.reference) == 12
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert await intents.find_by_reference(tx, reference=intent.reference) == intent
        assert await intents.find_by_reference(tx, reference="Z00000000000") is None
        row = await users.find_saver(tx, saver_id=saver.id)
    assert saver.phone is not None
    assert saver.phone.encode() not in intent.msisdn
    key = users.data_key_of(row, api.runtime.keyring)
    assert key.decrypt(intent.msisdn, intents.msisdn_place(intent.id)).decode() == saver.phone


async def test_a_reference_that_is_taken_is_drawn_again(
    api: Api, saver: Saver, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter([4_711, 4_711, 4_712])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(numbers))
    first = await request(api, saver)
    other = await api.new_saver()
    second = await request(api, other)
    assert (first.reference[:-1], second.reference[:-1]) == ("Z0000004711", "Z0000004712")


async def test_one_that_is_wanted_later_keeps_nobody_away_until_then(api: Api, saver: Saver) -> None:
    later = await request(api, saver, in_minutes=10)
    assert not later.is_open(api.clock.now())
    now = await request(api, saver)
    assert now.is_open(api.clock.now())
    with pytest.raises(PromptOpen) as refused:
        await request(api, saver)
    assert refused.value.retry_after in {119, 120}
    api.clock.advance(minutes=3)
    assert await cancel(api, await request(api, saver))
    api.clock.advance(minutes=7)
    with pytest.raises(PromptOpen):
        await request(api, saver)


async def test_it_is_taken_back_while_nothing_was_sent_and_not_after(api: Api, saver: Saver) -> None:
    intent = await request(api, saver)
    assert await cancel(api, intent)
    assert (await stored(api, intent)).state is IntentState.FAILED
    assert (await stored(api, intent)).reason == "skipped"
    assert not await cancel(api, intent)
    sent = await request(api, saver)
    await api.alter("UPDATE savings.intents SET submitting_at = $2 WHERE id = $1", sent.id, api.clock.now())
    assert not await cancel(api, sent)
    assert (await stored(api, sent)).state is IntentState.REQUESTED


# What a saver's own role may do

AS_SAVER = ("SET LOCAL ROLE zanari_api", "SELECT set_config('zanari.saver_id', $1, true)")


async def tried(database: Database, saver_id: UUID, sql: str, *args: object) -> str:
    """Run a statement as a saver's request would, and take it back. Returns its command tag."""
    async with database.connected("zanari_service") as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(AS_SAVER[0])
            await connection.execute(AS_SAVER[1], str(saver_id))
            return await connection.execute(sql, *args)
        finally:
            await transaction.rollback()


async def test_a_saver_can_neither_settle_nor_reopen_nor_take_back_what_was_sent(
    api: Api, saver: Saver, database: Database
) -> None:
    intent = await request(api, saver)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await tried(
            database,
            saver.id,
            "UPDATE savings.intents SET state = 'settled', finished_at = now() WHERE id = $1",
            intent.id,
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await tried(
            database, saver.id, "UPDATE savings.intents SET amount_cents = 100 WHERE id = $1", intent.id
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await tried(database, saver.id, "DELETE FROM savings.intents WHERE id = $1", intent.id)
    give_up = "UPDATE savings.intents SET state = 'failed', reason = 'x', finished_at = now() WHERE id = $1"
    assert await tried(database, saver.id, give_up, intent.id) == "UPDATE 1"
    assert await tried(database, uuid4(), give_up, intent.id) == "UPDATE 0"
    await api.alter("UPDATE savings.intents SET submitting_at = now() WHERE id = $1", intent.id)
    assert await tried(database, saver.id, give_up, intent.id) == "UPDATE 0"


@pytest.mark.parametrize("role", ["zanari_api", "zanari_system"])
@pytest.mark.parametrize(
    "act", ["UPDATE savings.intent_events SET cause = 'x'", "DELETE FROM savings.intent_events"]
)
async def test_what_happened_to_an_intent_is_changed_by_nobody(
    api: Api, saver: Saver, database: Database, role: str, act: str
) -> None:
    await request(api, saver)
    async with database.connected("zanari_service") as connection:
        await connection.execute(f"SET ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(act)


async def test_a_deposit_that_has_a_receipt_keeps_it(api: Api, saver: Saver, database: Database) -> None:
    receipt = await saver.deposit(10_000)
    async with database.connected("zanari_service") as connection:
        await connection.execute("SET ROLE zanari_system")
        changed = await connection.execute(
            "UPDATE savings.deposits SET receipt = 'OTHER' WHERE receipt = $1", receipt
        )
        assert changed == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "UPDATE savings.deposits SET amount_cents = 1 WHERE receipt = $1", receipt
            )
