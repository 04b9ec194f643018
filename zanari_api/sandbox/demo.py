"""Seeds a demo saver through the running API, as the app and M-PESA would, and says what to try. Writes no table."""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx

from zanari_api.mpesa.signature import sign
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator

DEMO_SAVER: Final = UUID("018f0000-0000-7000-8000-000000000001")
DEMO_PHONE: Final = "254712345678"
DEMO_GOAL: Final = "School fees"
FIRST_DEPOSIT_CENTS: Final = 50_000
ARRIVES_WITHIN_S: Final = 20


class NotSeeded(Exception):  # noqa: N818 (reads as what it says)
    """The running API refused something that the demo saver needs."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo runs and what it may do there."""

    base_url: str
    token: str
    webhook_secret: str
    safaricom_url: str


async def seed(demo: Demo, safaricom: SafaricomEmulator) -> None:
    """Make the demo saver, a goal and KES 500 in the wallet; what is there already stays. Raises NotSeeded.

    The money comes as it would in life: paid to our paybill from the saver's phone.
    """
    headers = {"Authorization": f"Bearer {demo.token}"}
    async with httpx.AsyncClient(base_url=demo.base_url, headers=headers, timeout=30) as client:
        profile = await _json(client, "GET", "/api/v1/users/me")
        goals = await _json(client, "GET", "/api/v1/goals")
        if any(not goal["is_default"] for goal in goals["data"]):
            return
        goal = {"name": DEMO_GOAL, "emoji": "🎓", "target_cents": 5_000_000}
        await _json(client, "POST", "/api/v1/goals", goal)
        await safaricom.pay_bill(
            amount_cents=FIRST_DEPOSIT_CENTS, account_reference=profile["member_code"], msisdn=DEMO_PHONE
        )
        deadline = time.monotonic() + ARRIVES_WITHIN_S
        while (await _json(client, "GET", "/api/v1/users/me/wallet"))["balance_cents"] == 0:
            if time.monotonic() > deadline:
                raise NotSeeded("the first deposit's confirmation did not come")
            await asyncio.sleep(0.1)


def spend_body(
    *, receipt: str, amount: str, phone: str = DEMO_PHONE, merchant: str = "Mama Njeri Shop"
) -> bytes:
    """Return the body of a signed webhook for a spend at a till, now."""
    record = {
        "transaction_id": receipt,
        "transaction_type": "buy_goods",
        "amount": amount,
        "phone_number": phone,
        "transaction_time": datetime.now(UTC).isoformat(timespec="seconds"),
        "merchant_name": merchant,
    }
    return json.dumps({"record": record}).encode()


def curl(demo: Demo, body: bytes) -> str:
    """Return a request to paste: it does the main job, and is good for five minutes."""
    signature = sign(demo.webhook_secret, body, datetime.now(UTC))
    return (
        f"curl -s {demo.base_url}/api/v1/mpesa/webhooks/roundup \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -H 'X-Mpesa-Signature: {signature}' \\\n"
        f"  -d '{body.decode()}'"
    )


async def _json(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> Any:
    response = await client.request(method, path, json=body)
    if not response.is_success:
        problem = response.json()
        raise NotSeeded(f"{problem['code']}: {problem['detail']}")
    return response.json()


def instructions(demo: Demo, *, receipt: str, command: str) -> str:
    """Return what to read, what to paste and what to look at then. `command` is how ours was started."""
    body = spend_body(receipt=receipt, amount="147")
    authorization = '-H "Authorization: Bearer $TOKEN"'
    return f"""
Zanari is serving {demo.base_url}, with its worker; an emulator of Safaricom listens at {demo.safaricom_url}

  API docs      {demo.base_url}/docs
  demo saver    +{DEMO_PHONE}, KES 500 deposited, goal "{DEMO_GOAL}"

Spend KES 147 at a shop: paste this (its signature is good for five minutes; `{command} spend` makes new ones)

{curl(demo, body)}

KES 3 went from the wallet to the goal. Paste it again: the answer is the same, marked duplicate. Then look at it as
the saver's app does, with an access token

export TOKEN={demo.token}
curl -s {demo.base_url}/api/v1/goals {authorization}
curl -s {demo.base_url}/api/v1/transactions {authorization}
curl -s {demo.base_url}/metrics | grep zanari_spends

Deposit KES 200 by a prompt on the saver's phone, then press its buttons

curl -s {demo.base_url}/api/v1/mpesa/deposits {authorization} \\
  -H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' -d '{{"amount_cents": 20000}}'
{command} phone prompts    # what is on the emulated phones
{command} phone approve    # or: cancel, wrong-pin, time-out
{command} phone --help     # pay the paybill, lose a callback, look at Safaricom's books

`{command} reconcile` compares our books with Safaricom's. Ctrl-C stops everything; the data stays in .zanari/.
"""
