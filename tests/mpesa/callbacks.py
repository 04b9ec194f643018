"""What tests of the inbox look at: what is stored of a body, and bodies of every kind. Asserts nothing."""

import json
from typing import Any, Final

import asyncpg

from tests.mpesa.payments import payment
from tests.support.app import Api
from tests.support.daraja_shapes import sample
from zanari_api.mpesa.callback_store import body_place
from zanari_api.mpesa.config import CALLBACK_PATHS
from zanari_api.mpesa.inbox import CallbackKind

ACKNOWLEDGED: Final = {"ResultCode": 0, "ResultDesc": "Success"}

SAMPLES: Final = {
    CallbackKind.STK: "p01",
    CallbackKind.B2C_RESULT: "p25",
    CallbackKind.B2C_TIMEOUT: "p31",
    CallbackKind.STATUS_RESULT: "p37",
    CallbackKind.STATUS_TIMEOUT: "p31",
    CallbackKind.BALANCE_RESULT: "p39",
    CallbackKind.BALANCE_TIMEOUT: "p31",
    CallbackKind.REVERSAL_RESULT: "p41",
    CallbackKind.REVERSAL_TIMEOUT: "p31",
}
"""A published body of each kind that answers something of ours."""


def path_of(kind: CallbackKind) -> str:
    return CALLBACK_PATHS[kind][1]


def body_of(kind: CallbackKind, **more: Any) -> bytes:
    """Return a body of a kind, as published, that is nothing like any other while `more` is not."""
    if kind in SAMPLES:
        return json.dumps(sample(SAMPLES[kind]) | more, default=str).encode()
    if kind is CallbackKind.PULL:
        return json.dumps({"ResponseCode": "1001", "Response": "[[]]"} | more).encode()
    return payment("rent", **more)


async def stored(api: Api, kind: CallbackKind, body: bytes) -> list[asyncpg.Record]:
    """Return the inbox's row of a body, if there is one."""
    keys = await api.runtime.service_keys.keys()
    digest = keys.index.digest("callback", kind.encode(), body)
    return await api.rows("SELECT * FROM mpesa.callbacks WHERE dedupe_hash = $1", digest)


async def kept(api: Api, kind: CallbackKind, body: bytes) -> asyncpg.Record:
    """Return the inbox's row of a body, which must be there."""
    (row,) = await stored(api, kind, body)
    return row


async def opened(api: Api, row: asyncpg.Record) -> Any:
    """Return the body of a row, decrypted and read as JSON."""
    keys = await api.runtime.service_keys.keys()
    return json.loads(keys.inbox.decrypt(row["body"], body_place(row["id"])))
