"""The hand that asks for payments by STK push, and tells of them as Safaricom would: by callback, C2B, query, pull."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from tests.support.app import SHORTCODE, Api
from tests.support.savers import Json, Saver, answered, new_receipt
from zanari_api.daraja.payloads import C2BPayment
from zanari_api.deposits import intents, receivables
from zanari_api.deposits.rows import Channel, Intent, Payment
from zanari_api.kit.clock import EAT
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.mpesa import c2b_service, prompt_jobs, settlement
from zanari_api.mpesa.inbox import CallbackKind, Effected
from zanari_api.mpesa.prompt_jobs import Prompting
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import RowJob


@dataclass(frozen=True, slots=True)
class Prompter:
    """Acts on what any saver of the service asks their M-PESA for."""

    api: Api

    async def ask(self, saver: Saver, cents: int = 50_000, **fields: object) -> Json:
        """Ask for a deposit, which must be taken on."""
        return answered(await saver.post("/mpesa/deposits", {"amount_cents": cents, **fields}), 202)

    async def prompted(self, saver: Saver, cents: int = 50_000, **fields: object) -> Json:
        """Ask for a deposit whose prompt then stays on the phone. Returns it as it is then."""
        await self.leave_open(saver)
        asked = await self.ask(saver, cents, **fields)
        await self.api.work()
        return await self.read(saver, asked)

    async def leave_open(self, saver: Saver) -> None:
        """Have the saver look at prompts and press nothing."""
        assert saver.phone is not None
        await self.api.emulator.set_handset(saver.phone, behaviour="ask")

    async def read(self, saver: Saver, deposit: Json) -> Json:
        return answered(await saver.get(f"/mpesa/deposits/{deposit['id']}"))

    async def state(self, saver: Saver, deposit: Json) -> tuple[str, str | None]:
        """Return the state of what was asked for, and its reason."""
        read = await self.read(saver, deposit)
        return read["state"], read["reason"]

    async def intent(self, deposit: Json) -> Intent:
        """Return it as it is stored."""
        (row,) = await self.api.rows(
            "SELECT saver_id FROM savings.intents WHERE id = $1", UUID(deposit["id"])
        )
        async with self.api.db.transaction(Role.SYSTEM) as tx:
            found = await intents.find(tx, saver_id=row["saver_id"], intent_id=UUID(deposit["id"]))
        assert found is not None
        return found

    async def column(self, deposit: Json, name: str) -> Any:
        """Return one column of it that nobody is shown."""
        (row,) = await self.api.rows("SELECT * FROM savings.intents WHERE id = $1", UUID(deposit["id"]))
        return row[name]

    async def steps(self, deposit: Json) -> list[tuple[str, str]]:
        """Return each of its steps with its cause."""
        rows = await self.api.rows(
            "SELECT state, cause FROM savings.intent_events WHERE intent_id = $1 ORDER BY happened_at, id",
            UUID(deposit["id"]),
        )
        return [(row["state"], row["cause"]) for row in rows]

    def handle(self, saver: Saver) -> str:
        """Return Safaricom's handle of the prompt that is on the saver's phone."""
        (prompt,) = [prompt for prompt in self.api.emulator.open_prompts() if prompt.msisdn == saver.phone]
        return prompt.checkout_request_id

    async def tell(
        self,
        handle: str,
        *,
        code: int | str = 0,
        receipt: str | None = None,
        cents: int = 50_000,
        **more: Any,
    ) -> httpx.Response:
        """Post the callback of a push; `more` replaces items of its metadata, None takes one away."""
        callback: Json = {
            "MerchantRequestID": "29115-34620561-1",
            "CheckoutRequestID": handle,
            "ResultCode": code,
            "ResultDesc": "As Safaricom says it.",
        }
        if code in {0, "0"}:
            items = {
                "Amount": cents // 100,
                "MpesaReceiptNumber": receipt or new_receipt(),
                "TransactionDate": int(self.api.clock.now().astimezone(EAT).strftime("%Y%m%d%H%M%S")),
                "PhoneNumber": 254708374149,
                **more,
            }
            callback["CallbackMetadata"] = {
                "Item": [{"Name": name, "Value": value} for name, value in items.items() if value is not None]
            }
        body = json.dumps({"Body": {"stkCallback": callback}}).encode()
        response = await self.api.call_back("/stk", body)
        assert response.status_code == 200, response.text
        return response

    async def pay(self, intent: Intent, *, receipt: str, cents: int = 50_000) -> None:
        """Have M-PESA confirm a payment under an intent's reference."""
        await self.api.pay_in(cents, account_reference=intent.reference, receipt=receipt)

    async def pull(self, intent: Intent, *, receipt: str, cents: int = 50_000) -> Effected:
        """Have a payment under an intent's reference found by a pull."""
        told = C2BPayment(
            receipt=receipt,
            amount_cents=cents,
            shortcode=SHORTCODE,
            occurred_at=self.api.clock.now(),
            transaction_type="c2b-pay-bill-debit",
            account_reference=intent.reference,
            invoice_number=None,
            org_balance_cents=None,
            third_party_id=None,
            msisdn_raw=None,
            first_name=None,
            middle_name=None,
            last_name=None,
            extra={},
        )
        intake = await self.api.app.state.parts.intake()

        async def book(tx: Tx) -> Effected:
            return await c2b_service.book(tx, told, channel=Channel.PULL, callback_id=None, intake=intake)

        return await self.api.db.unit_of_work(book, role=Role.SYSTEM)

    async def answer_query(self, intent: Intent) -> Effected:
        """Have a query that was under way say that it is paid."""
        payment = Payment(
            receipt=None,
            amount_cents=intent.amount_cents,
            shortcode=intent.shortcode,
            event_at=self.api.clock.now(),
            callback_id=None,
            channel=Channel.STK_QUERY,
        )
        intake = await self.api.app.state.parts.intake()

        async def settle(tx: Tx) -> Effected:
            return await settlement.settle(tx, intent, payment, intake=intake)

        return await self.api.db.unit_of_work(settle, role=Role.SYSTEM)

    def jobs(self) -> tuple[RowJob[Any], RowJob[Any]]:
        """Return the job that sends and the one that asks, as the worker runs them."""
        parts = self.api.app.state.parts
        sends, asks = prompt_jobs.jobs(
            Prompting(
                database=parts.runtime.database,
                daraja=parts.daraja,
                clock=parts.runtime.clock,
                intake=parts.intake,
                callback_url=parts.mpesa.callback_url(CallbackKind.STK),
            )
        )
        return sends, asks

    async def later(self, **parts: int) -> None:
        """Move the clock on, and do what is due then."""
        self.api.clock.advance(timedelta(**parts))
        await self.api.work()


async def owe(api: Api, saver: Saver, cents: int) -> UUID:
    """Have a saver owe something, as a payment that M-PESA took back leaves it. Returns the account of it."""

    async def lend(tx: Tx) -> UUID:
        account_id = await receivables.receivable_account(tx, saver_id=saver.id)
        transfer = Transfer(
            key=f"tests_debt:{account_id}",
            kind="tests_debt",
            event_at=api.clock.now(),
            entries=((account_id, -cents), (accounts.FUNDING, cents)),
        )
        await posting.post_one(tx, transfer)
        return account_id

    return await api.db.unit_of_work(lend, role=Role.SYSTEM)
