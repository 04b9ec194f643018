"""Reversals as Safaricom and operators bring them about, for the tests of what follows in our books."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.app import Api
from tests.support.savers import new_receipt
from zanari_api.deposits.correction_rows import Proof
from zanari_api.deposits.corrections import ReversalCause
from zanari_api.mpesa.taking_back import TakenBack, take_back
from zanari_api.runtime.db import Role, Tx


def proof_of(api: Api, *, cause: ReversalCause = ReversalCause.OPERATOR, at: datetime | None = None) -> Proof:
    return Proof(
        cause=cause,
        text="the payer's bank called",
        reversal_receipt=new_receipt(),
        callback_id=None,
        event_at=at or api.clock.now(),
    )


async def take(api: Api, receipt: str, *, amount_cents: int | None = None) -> TakenBack:
    """Take a deposit back with an operator's evidence."""
    proof = proof_of(api)

    async def work(tx: Tx) -> TakenBack:
        return await take_back(
            tx, receipt=receipt, amount_cents=amount_cents, proof=proof, now=api.clock.now()
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


@dataclass(frozen=True, slots=True)
class Owing:
    """What a saver owes, by the ledger alone."""

    api: Api

    async def __call__(self, saver_id: object) -> int:
        rows = await self.api.rows(
            "SELECT -balance_cents AS owed FROM ledger.balances WHERE saver_id = $1 AND kind = 'receivable'",
            saver_id,
        )
        return rows[0]["owed"] if rows else 0


def result(
    *,
    code: object = 0,
    conversation_id: str = "AG_20261125_0000000000000000000a",
    originator: str = "1-2-3",
    transaction_id: str = "TKZ0000000",
    parameters: dict[str, Any] | None = None,
) -> bytes:
    """Return the Result of a reversal as Safaricom shapes it."""
    envelope: dict[str, Any] = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": "whatever it says",
        "OriginatorConversationID": originator,
        "ConversationID": conversation_id,
        "TransactionID": transaction_id,
    }
    if parameters is not None:
        items = [{"Key": key, "Value": value} for key, value in parameters.items()]
        envelope["ResultParameters"] = {"ResultParameter": items}
    return json.dumps({"Result": envelope}).encode()
