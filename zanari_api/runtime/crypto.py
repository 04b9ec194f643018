"""Envelope encryption and blind indexes: keys wrap keys, a row's place is bound to its text. Stores nothing itself.

PII_KEYS entries wrap data keys; a saver's data key encrypts that saver's personal data, so destroying one
small value erases a person. Two keys of the service's own are kept wrapped in runtime.data_keys: the
inbox's data key, and the key of blind indexes, which therefore survives a change of PII_KEYS.
"""

import base64
import binascii
import hmac
import os
from dataclasses import dataclass
from typing import Final, LiteralString, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zanari_api.runtime.db import Database, Role, Tx

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class Undecryptable(Exception):  # noqa: N818 (reads as what it says of the text)
    """The text was not encrypted under this key, or not for this table, column and row."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an encrypted value lives; authenticated with it, so that a value moved elsewhere does not open."""

    table: str
    column: str
    row_id: UUID

    @property
    def associated_data(self) -> bytes:
        return f"{self.table}.{self.column}:{self.row_id}".encode()


class DataKey:
    """An AES-256-GCM key for many small values, each under a random nonce of its own."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, text: bytes, place: Place) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, place.associated_data)

    def decrypt(self, sealed: bytes, place: Place) -> bytes:
        """Return the text. Raises Undecryptable when key or place is another."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.associated_data)
        except (InvalidTag, ValueError) as error:
            raise Undecryptable from error


class Keyring:
    """The PII keys: `kid:base64 of 32 bytes`, comma-separated; the first is active, the others still unwrap."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._ciphers = {kid: AESGCM(key) for kid, key in keys.items()}
        self._active = next(iter(keys))

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._ciphers)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read PII_KEYS. Raises ValueError, whose text never holds a key."""
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            kid, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error as error:
                raise ValueError("a key is not base64") from error
            if not kid or len(kid.encode()) > 255 or len(key) != KEY_BYTES or kid in keys:  # noqa: PLR2004
                raise ValueError("each entry is kid:base64 of 32 bytes, and each kid is used once")
            keys[kid] = key
        return cls(keys)

    def wrap(self, key: bytes, place: Place) -> bytes:
        """Return `key` encrypted under the active PII key, whose id goes before it in clear."""
        kid = self._active.encode()
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._active].encrypt(nonce, key, place.associated_data)
        return bytes([len(kid)]) + kid + nonce + sealed

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """Return the key that `wrap` hid. Raises Undecryptable when its PII key is not on the ring."""
        kid, rest = wrapped[1 : 1 + wrapped[0]].decode(), wrapped[1 + wrapped[0] :]
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise Undecryptable(f"no PII key with id {kid}")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], place.associated_data)
        except (InvalidTag, ValueError) as error:
            raise Undecryptable from error

    def new_data_key(self, place: Place) -> tuple[DataKey, bytes]:
        """Make a data key; return it with its wrapped form, which is what is stored."""
        key = os.urandom(KEY_BYTES)
        return DataKey(key), self.wrap(key, place)

    def data_key(self, wrapped: bytes, place: Place) -> DataKey:
        return DataKey(self.unwrap(wrapped, place))


class IndexKey:
    """Keyed hashes that find a value without storing it; hashes of different uses never compare equal."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")

    def digest(self, use: str, *parts: bytes) -> bytes:
        """Return HMAC-SHA256 over the use and the parts, each preceded by its length."""
        mac = self._keyed.copy()
        for part in (use.encode(), *parts):
            mac.update(len(part).to_bytes(8, "big") + part)
        return mac.digest()

    def number(self, msisdn: str) -> bytes:
        """Return the blind index of a number (12 digits, no plus)."""
        return self.digest("msisdn", msisdn.encode())


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """The service's own two keys."""

    inbox: DataKey
    index: IndexKey


@dataclass(frozen=True, slots=True)
class _StoredKey:
    purpose: str
    wrapped_key: bytes


FIND_DATA_KEYS: Final[LiteralString] = "SELECT purpose, wrapped_key FROM runtime.data_keys"

INSERT_DATA_KEY: Final[LiteralString] = """
    INSERT INTO runtime.data_keys (purpose, wrapped_key) VALUES ($1, $2) ON CONFLICT (purpose) DO NOTHING
"""

_PURPOSES: Final = {"inbox": UUID(int=1), "index": UUID(int=2)}


class ServiceKeyStore:
    """Loads the service's keys once; the first process of a new database makes them, whoever else tries."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._keys: ServiceKeys | None = None

    async def keys(self) -> ServiceKeys:
        """Return the keys. Raises DatabaseUnavailable, or Undecryptable when PII_KEYS lacks their wrapper."""
        if self._keys is None:
            stored = await self._database.unit_of_work(self._load, role=Role.SYSTEM)
            unwrapped = {
                purpose: self._keyring.unwrap(stored[purpose], _place(purpose)) for purpose in _PURPOSES
            }
            self._keys = ServiceKeys(DataKey(unwrapped["inbox"]), IndexKey(unwrapped["index"]))
        return self._keys

    async def _load(self, tx: Tx) -> dict[str, bytes]:
        stored = {row.purpose: row.wrapped_key for row in await tx.fetch_all(_StoredKey, FIND_DATA_KEYS)}
        if stored.keys() >= _PURPOSES.keys():
            return stored
        for purpose in _PURPOSES:
            _, wrapped = self._keyring.new_data_key(_place(purpose))
            await tx.execute(INSERT_DATA_KEY, purpose, wrapped)
        return {row.purpose: row.wrapped_key for row in await tx.fetch_all(_StoredKey, FIND_DATA_KEYS)}


async def open_stored_keys(tx: Tx, keyring: Keyring) -> int:
    """Open the service's keys that are stored, making none; return how many. Raises Undecryptable."""
    stored = await tx.fetch_all(_StoredKey, FIND_DATA_KEYS)
    for row in stored:
        keyring.unwrap(row.wrapped_key, _place(row.purpose))
    return len(stored)


def _place(purpose: str) -> Place:
    return Place("runtime.data_keys", f"wrapped_key.{purpose}", _PURPOSES[purpose])
