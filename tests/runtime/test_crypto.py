"""Envelope encryption: text opens at its own place under its own key only; keys rotate; hashes do not collide."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.support import postgres
from zanari_api.runtime.crypto import (
    DataKey,
    IndexKey,
    Keyring,
    Place,
    ServiceKeyStore,
    Undecryptable,
)
from zanari_api.runtime.db import Database

OLD, NEW = (f"{kid}:{base64.b64encode(os.urandom(32)).decode()}" for kid in ("old", "new"))
PLACE = Place("savings.savers", "first_name", uuid4())
ELSEWHERE = [
    replace(PLACE, table="savings.mpesa_accounts"),
    replace(PLACE, column="last_name"),
    replace(PLACE, row_id=uuid4()),
]


@pytest.fixture
async def db(database: postgres.Database) -> AsyncIterator[Database]:
    made = Database(database.service_dsn)
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("text", [b"", b"Wanjiku", "Wanjikũ".encode(), bytes(10_000)], ids=len)
def test_text_is_read_back_at_its_place(text: bytes) -> None:
    key = DataKey(os.urandom(32))
    assert key.decrypt(key.encrypt(text, PLACE), PLACE) == text


@pytest.mark.parametrize("place", ELSEWHERE, ids=["table", "column", "row"])
def test_text_that_was_moved_elsewhere_does_not_open(place: Place) -> None:
    key = DataKey(os.urandom(32))
    sealed = key.encrypt(b"Wanjiku", PLACE)
    with pytest.raises(Undecryptable):
        key.decrypt(sealed, place)


def test_text_does_not_open_under_another_key() -> None:
    sealed = DataKey(os.urandom(32)).encrypt(b"Wanjiku", PLACE)
    with pytest.raises(Undecryptable):
        DataKey(os.urandom(32)).decrypt(sealed, PLACE)


def test_text_that_was_tampered_with_or_cut_does_not_open() -> None:
    key = DataKey(os.urandom(32))
    sealed = key.encrypt(b"Wanjiku", PLACE)
    for place in range(len(sealed)):
        spoiled = bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]])
        with pytest.raises(Undecryptable):
            key.decrypt(spoiled, PLACE)
    for length in range(len(sealed)):
        with pytest.raises(Undecryptable):
            key.decrypt(sealed[:length], PLACE)


def test_the_same_text_is_never_the_same_bytes() -> None:
    key = DataKey(os.urandom(32))
    assert len({key.encrypt(b"Wanjiku", PLACE) for _ in range(100)}) == 100


def test_a_wrapped_key_opens_what_it_sealed() -> None:
    ring = Keyring.parse(OLD)
    key, wrapped = ring.new_data_key(PLACE)
    sealed = key.encrypt(b"Wanjiku", PLACE)
    assert ring.data_key(wrapped, PLACE).decrypt(sealed, PLACE) == b"Wanjiku"


@pytest.mark.parametrize("place", ELSEWHERE, ids=["table", "column", "row"])
def test_a_wrapped_key_that_was_moved_elsewhere_does_not_open(place: Place) -> None:
    ring = Keyring.parse(OLD)
    _, wrapped = ring.new_data_key(PLACE)
    with pytest.raises(Undecryptable):
        ring.unwrap(wrapped, place)


def test_after_a_rotation_old_keys_still_open_and_new_ones_need_the_new_key() -> None:
    before, during, after = Keyring.parse(OLD), Keyring.parse(f"{NEW},{OLD}"), Keyring.parse(NEW)
    old = before.wrap(b"o" * 32, PLACE)
    new = during.wrap(b"n" * 32, PLACE)
    assert during.unwrap(old, PLACE) == b"o" * 32
    assert after.unwrap(new, PLACE) == b"n" * 32
    for ring, wrapped in ((after, old), (before, new)):
        with pytest.raises(Undecryptable, match="no PII key with id"):
            ring.unwrap(wrapped, PLACE)


def test_a_key_under_a_known_id_but_another_secret_does_not_open() -> None:
    other = "old:" + base64.b64encode(os.urandom(32)).decode()
    with pytest.raises(Undecryptable):
        Keyring.parse(other).unwrap(Keyring.parse(OLD).wrap(b"o" * 32, PLACE), PLACE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        OLD.partition(":")[2],
        f":{OLD.partition(':')[2]}",
        "old:",
        "old:not base64!",
        "old:" + base64.b64encode(os.urandom(31)).decode(),
        f"{OLD},{OLD}",
        f"{OLD},new",
        f"{'x' * 256}:{OLD.partition(':')[2]}",
    ],
    ids=range(10),
)
def test_what_is_no_ring_of_keys_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|entry") as refused:
        Keyring.parse(text)
    assert OLD.partition(":")[2] not in str(refused.value)
    assert "not base64!" not in str(refused.value)


def test_spaces_around_entries_do_not_matter() -> None:
    wrapped = Keyring.parse(NEW).wrap(b"n" * 32, PLACE)
    assert Keyring.parse(f" {NEW} , {OLD} ,").unwrap(wrapped, PLACE) == b"n" * 32


def test_a_blind_index_is_the_same_for_the_same_number_and_key_only() -> None:
    one, other = IndexKey(b"1" * 32), IndexKey(b"2" * 32)
    assert one.number("254712345678") == one.number("254712345678")
    assert len({one.number("254712345678"), one.number("254712345679"), other.number("254712345678")}) == 3


def test_hashes_of_different_uses_and_parts_never_compare_equal() -> None:
    key = IndexKey(b"1" * 32)
    hashed = [
        key.digest("use", b"ab", b"c"),
        key.digest("use", b"a", b"bc"),
        key.digest("use", b"abc"),
        key.digest("use", b"abc", b""),
        key.digest("us", b"eabc"),
        key.digest("other", b"abc"),
    ]
    assert len(set(hashed)) == len(hashed)


async def test_two_processes_that_start_at_once_make_one_pair_of_service_keys(
    db: Database, database: postgres.Database
) -> None:
    others = [Database(database.service_dsn) for _ in range(6)]
    for other in others:
        await other.open()
    stores = [ServiceKeyStore(each, Keyring.parse(OLD)) for each in (db, *others)]
    made = await asyncio.gather(*(store.keys() for store in stores))
    for other in others:
        await other.close()
    assert len({keys.index.number("254712345678") for keys in made}) == 1
    sealed = made[0].inbox.encrypt(b"a body", PLACE)
    assert {keys.inbox.decrypt(sealed, PLACE) for keys in made} == {b"a body"}
    async with database.connected("supabase_admin") as connection:
        assert await connection.fetchval("SELECT count(*) FROM runtime.data_keys") == 2


async def test_service_keys_outlive_a_rotation_and_are_lost_without_their_wrapper(db: Database) -> None:
    before = await ServiceKeyStore(db, Keyring.parse(OLD)).keys()
    during = await ServiceKeyStore(db, Keyring.parse(f"{NEW},{OLD}")).keys()
    assert during.index.number("254712345678") == before.index.number("254712345678")
    with pytest.raises(Undecryptable):
        await ServiceKeyStore(db, Keyring.parse(NEW)).keys()


async def test_the_two_service_keys_are_not_each_others(db: Database, database: postgres.Database) -> None:
    await ServiceKeyStore(db, Keyring.parse(OLD)).keys()
    async with database.connected("supabase_admin") as connection:
        swap = """
            UPDATE runtime.data_keys AS k SET wrapped_key = other.wrapped_key
              FROM runtime.data_keys AS other WHERE other.purpose <> k.purpose
        """
        await connection.execute(swap)
        with pytest.raises(Undecryptable):
            await ServiceKeyStore(db, Keyring.parse(OLD)).keys()
        await connection.execute(swap)
