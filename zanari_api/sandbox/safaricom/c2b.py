"""C2B: registers addresses, takes a customer's payment to a shortcode, asks for validation, announces it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx

from zanari_api.sandbox.safaricom.books import Account, Kind, Story
from zanari_api.sandbox.safaricom.callbacks import c2b_body
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.courier import Extra, Message
from zanari_api.sandbox.safaricom.faults import Armed, Fault, Flow, Place
from zanari_api.sandbox.safaricom.records import Registration
from zanari_api.sandbox.safaricom.requests import ApiError, Fields, Reply
from zanari_api.sandbox.safaricom.wire import JsonObject, loads_object

FORBIDDEN_WORDS: Final = ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query", "ngrok", "mockbin")
UNKNOWN_SHORTCODE: Final = "999999"
"""What a stranger's confirmation is for."""


class PaymentRefused(Exception):  # noqa: N818 (reads as what it says)
    """The payment did not happen; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A customer's payment that has happened."""

    receipt: str
    shortcode: str
    amount_cents: int
    account_reference: str
    msisdn: str
    at: datetime
    balance_cents: int
    third_party_id: str = ""


class CustomerPayments:
    """Payments from customers' phones to our shortcodes."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register(self, fields: Fields, *, version: int) -> Reply:
        """Keep where a shortcode's payments are announced."""
        shortcode = self._core.need_shortcode(fields, "ShortCode")
        response_type = fields.one_of("ResponseType", ("Completed", "Cancelled"))
        urls = {name: fields.url(name) for name in ("ConfirmationURL", "ValidationURL")}
        for name, url in urls.items():
            if any(word in url.lower() for word in FORBIDDEN_WORDS):
                raise ApiError(400, fields.api.field_code, f"Bad Request - Invalid {name}")
        self._core.records.registrations[shortcode] = Registration(
            shortcode=shortcode,
            version=version,
            completes_unasked=response_type == "Completed",
            confirmation_url=urls["ConfirmationURL"],
            validation_url=urls["ValidationURL"],
        )
        self._core.on_change()
        # The key is misspelt by Safaricom.
        answer = {"OriginatorCoversationID": self._core.ids.request(), "ResponseCode": "0"}
        return Reply({**answer, "ResponseDescription": "Success"})

    async def pay(
        self, *, shortcode: str, amount_cents: int, account_reference: str, msisdn: str, validate: bool
    ) -> Payment:
        """Pay a shortcode from a phone, as its owner does from the menu. Raises PaymentRefused."""
        core = self._core
        handset = core.handsets.of(msisdn)
        if not core.books.knows(shortcode):
            raise PaymentRefused("there is no such shortcode")
        if not handset.registered:
            raise PaymentRefused("the number is not registered with M-PESA")
        if handset.balance_cents < amount_cents:
            raise PaymentRefused("there is not enough money on the phone")
        armed = core.faults.take(Flow.C2B, Place.ANSWER)
        receipt = core.ids.receipt(core.clock.now())
        draft = Payment(
            receipt=receipt,
            shortcode=shortcode,
            amount_cents=amount_cents,
            account_reference=account_reference,
            msisdn=msisdn,
            at=core.clock.now(),
            balance_cents=0,
        )
        third_party_id = await self._validate(draft, armed) if validate else ""
        payment = self.book(draft, kind=Kind.PAY_BILL, third_party_id=third_party_id)
        self.announce(payment, armed)
        return payment

    def book(self, draft: Payment, *, kind: Kind, third_party_id: str = "") -> Payment:
        """Move the money from the phone to the shortcode's utility account."""
        core = self._core
        at = core.clock.now()
        story = Story(
            kind=kind,
            details=f"Pay Bill from {draft.msisdn[:4]}*****{draft.msisdn[-3:]} Acc. {draft.account_reference}",
            msisdn=draft.msisdn,
            account_reference=draft.account_reference,
        )
        core.handsets.of(draft.msisdn).balance_cents -= draft.amount_cents
        change = (Account.UTILITY, draft.amount_cents, story)
        [movement] = core.books.post(draft.receipt, at, draft.shortcode, [change])
        core.on_change()
        return Payment(
            receipt=draft.receipt,
            shortcode=draft.shortcode,
            amount_cents=draft.amount_cents,
            account_reference=draft.account_reference,
            msisdn=draft.msisdn,
            at=at,
            balance_cents=movement.balance_cents,
            third_party_id=third_party_id,
        )

    def announce(self, payment: Payment, armed: Armed | None, *, hurry: bool = False) -> None:
        """Send the confirmation, where the shortcode has registered for it."""
        core = self._core
        registration = core.records.registrations.get(payment.shortcode)
        if registration is None:
            return
        body = self._body(payment, registration, armed, balance_cents=payment.balance_cents)
        other = {**body, "TransID": core.ids.receipt(payment.at), "BusinessShortCode": UNKNOWN_SHORTCODE}
        dearer = self._body(
            payment, registration, armed, balance_cents=None, amount_cents=payment.amount_cents + 100_000
        )
        message = Message(
            flow=Flow.C2B,
            kind="c2b_confirmation",
            url=registration.confirmation_url,
            body=body,
            extras={
                Fault.FORGED_UNKNOWN: Extra(other, genuine=False),
                Fault.FORGED_AMOUNT: Extra(dearer, genuine=False, after=True),
            },
        )
        core.deliver_later(message, core.faults.take(Flow.C2B, Place.DELIVERY), hurry=hurry)

    async def _validate(self, draft: Payment, armed: Armed | None) -> str:
        """Ask whether the payment may happen; return the ThirdPartyTransID of the answer."""
        core = self._core
        registration = core.records.registrations.get(draft.shortcode)
        if registration is None:
            return ""
        body = self._body(draft, registration, armed, balance_cents=None)
        message = Message(flow=Flow.C2B, kind="c2b_validation", url=registration.validation_url, body=body)
        answer = _read_answer(await core.courier.ask(message, timeout_s=core.delays.validation_timeout_s))
        if answer is None:
            if not registration.completes_unasked:
                raise PaymentRefused("validation gave no answer in time")
            return ""
        code = str(answer.get("ResultCode"))
        if code != "0":
            raise PaymentRefused(f"validation refused it: {code}")
        return str(answer.get("ThirdPartyTransID") or "")

    def _body(
        self,
        payment: Payment,
        registration: Registration,
        armed: Armed | None,
        *,
        balance_cents: int | None,
        amount_cents: int | None = None,
    ) -> JsonObject:
        return c2b_body(
            receipt=payment.receipt,
            shortcode=payment.shortcode,
            amount_cents=payment.amount_cents if amount_cents is None else amount_cents,
            account_reference=payment.account_reference,
            handset=self._core.handsets.of(payment.msisdn),
            at=payment.at,
            registration=registration,
            balance_cents=balance_cents,
            third_party_id=payment.third_party_id,
            shape=armed.fault if armed else None,
        )


def _read_answer(response: httpx.Response | None) -> "JsonObject | None":
    if response is None or not response.is_success:
        return None
    try:
        answer = loads_object(response.content)
    except ValueError:
        return None
    return answer if "ResultCode" in answer else None
