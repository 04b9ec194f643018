"""Deliveries to the signed webhook, as a relay makes them. Asserts nothing but that there is an answer."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from tests.support.app import Api
from tests.support.savers import Saver, answered, new_receipt

PATH: Final = "/api/v1/mpesa/webhooks/roundup"


def record_of(saver: Saver, **fields: object) -> dict[str, Any]:
    return {
        "transaction_id": new_receipt(),
        "transaction_type": "buy_goods",
        "amount": 147,
        "phone_number": saver.phone,
        "transaction_time": datetime.now(UTC).isoformat(timespec="seconds"),
        **fields,
    }


async def deliver(api: Api, record: object, **envelope: object) -> httpx.Response:
    return await api.deliver(json.dumps({"record": record, **envelope}).encode())


async def status_of(api: Api, record: object, **envelope: object) -> str:
    return answered(await deliver(api, record, **envelope))["status"]
