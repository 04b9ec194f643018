"""STK push and its query: a prompt comes up, its owner decides, money moves, and both callbacks follow."""

import asyncio
from datetime import timedelta
from typing import Final

from zanari_api.sandbox.safaricom.books import Kind
from zanari_api.sandbox.safaricom.c2b import CustomerPayments, Payment
from zanari_api.sandbox.safaricom.callbacks import SUCCESS_TEXT, stk_callback
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.courier import Extra, Message
from zanari_api.sandbox.safaricom.credentials import stk_password
from zanari_api.sandbox.safaricom.faults import Armed, Fault, Flow, Place
from zanari_api.sandbox.safaricom.handsets import ANSWERS, Answer, Handset, Prompt
from zanari_api.sandbox.safaricom.records import Outcome, Push
from zanari_api.sandbox.safaricom.requests import ApiError, Fields, Reply
from zanari_api.sandbox.safaricom.wire import JsonObject

TEXTS: Final = {
    "0": SUCCESS_TEXT,
    "1": "The balance is insufficient for the transaction.",
    "3": "The transaction amount is more than the maximum transaction limit.",
    "17": "Rule limited.",
    "26": "System busy. Try again in a short while.",
    "1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    "1019": "Transaction has expired",
    "1025": "An error occurred while sending a push request",
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached",
    "2001": "The initiator information is invalid.",
    "9999": "An error occurred while sending a push request",
    "SFC_IC0003": "The operator does not exist.",
}
MOST_CENTS: Final = 25_000_000
SAME_AMOUNT_WITHIN: Final = timedelta(minutes=2)
_UNANSWERED: Final = {
    Answer.CANCEL: "1032",
    Answer.WRONG_PIN: "2001",
    Answer.TIME_OUT: "1037",
    Answer.EXPIRE: "1019",
}


def outcome(code: str, receipt: str | None = None) -> Outcome:
    return Outcome(code, TEXTS.get(code, "The request could not be processed."), receipt)


class Prompting:
    """STK pushes, from the request to the callbacks."""

    def __init__(self, core: Core, payments: CustomerPayments) -> None:
        self._core = core
        self._payments = payments

    def push(self, fields: Fields) -> Reply:
        """Accept a push and let it go on. Raises ApiError."""
        core = self._core
        self._check_password(fields)
        fields.one_of("TransactionType", ("CustomerPayBillOnline", "CustomerBuyGoodsOnline"))
        amount_cents = fields.whole_amount_cents()
        fields.msisdn("PartyA")
        msisdn = fields.msisdn("PhoneNumber")
        callback_url = fields.url("CallBackURL")
        account_reference = fields.text("AccountReference", at_most=12)
        fields.text("TransactionDesc", at_most=13)
        if msisdn in core.handsets.prompts:
            raise ApiError(500, "500.001.1001", TEXTS["1001"])
        now = core.clock.now()
        push = Push(
            checkout_request_id=core.ids.checkout_request(now, msisdn),
            merchant_request_id=core.ids.request(),
            shortcode=fields.text("PartyB", at_most=10),
            msisdn=msisdn,
            amount_cents=amount_cents,
            account_reference=account_reference,
            callback_url=callback_url,
            requested_at=now,
        )
        core.records.pushes[push.checkout_request_id] = push
        core.on_change()
        answer = core.faults.take(Flow.STK, Place.ANSWER)
        delivery = core.faults.take(Flow.STK, Place.DELIVERY)
        fails = answer is not None and answer.fault is Fault.FAIL_WITH
        prompt = self._hold_subscriber(push, shown=not fails)
        going = core.spawn(self._go_on(push, prompt, answer, delivery, hurry=fields.hurry))
        return Reply(_accepted(push), going)

    def _hold_subscriber(self, push: Push, *, shown: bool) -> Prompt:
        """Keep others from prompting the same subscriber, whether or not anything comes up on the screen."""
        handsets = self._core.handsets
        handset = handsets.of(push.msisdn)
        prompt = Prompt(
            msisdn=push.msisdn,
            checkout_request_id=push.checkout_request_id,
            shortcode=push.shortcode,
            amount_cents=push.amount_cents,
            account_reference=push.account_reference,
            shown_at=push.requested_at,
            on_screen=shown and handset.reachable and handset.registered,
            answer=asyncio.get_running_loop().create_future(),
        )
        handsets.prompts[push.msisdn] = prompt
        return prompt

    def query(self, fields: Fields) -> Reply:
        """Answer what became of a push. Raises ApiError while it is on the handset, and for an unknown one."""
        core = self._core
        self._check_password(fields)
        push = core.records.pushes.get(fields.text("CheckoutRequestID"))
        armed = core.faults.take(Flow.QUERY, Place.ANSWER)
        fault = armed.fault if armed else None
        if push is None or fault is Fault.NOT_FOUND:
            raise ApiError(404, "01", "No transaction found")
        result = outcome("1037") if fault is Fault.CONTRADICT else push.outcome
        if result is None:
            if fault is not Fault.PENDING_BY_CODE:
                raise ApiError(500, "500.001.1001", "The transaction is being processed")
            result = Outcome("4999", "The transaction is still under processing")
        as_number = fault is Fault.OTHER_CODE_TYPE and result.code.isdigit()
        return Reply(
            {
                "ResponseCode": "0",
                "ResponseDescription": "The service request has been accepted successfully",
                "MerchantRequestID": push.merchant_request_id,
                "CheckoutRequestID": push.checkout_request_id,
                "ResultCode": int(result.code) if as_number else result.code,
                "ResultDesc": result.text,
            }
        )

    def resume(self) -> None:
        """Let prompts that a restart interrupted end as unanswered."""
        for push in self._core.records.pushes.values():
            if push.outcome is None:
                push.outcome = outcome("1037")
                self._core.deliver_later(self._message(push, push.outcome, None), None)
        self._core.on_change()

    async def _go_on(
        self, push: Push, prompt: Prompt, answer: Armed | None, delivery: Armed | None, *, hurry: bool
    ) -> None:
        core = self._core
        try:
            if answer and answer.fault is Fault.FAIL_WITH:
                await core.pause(0 if hurry else core.delays.prompt_s)
                push.outcome = outcome(answer.code or "1037")
            else:
                push.outcome = await self._decide(push, prompt, hurry=hurry)
        finally:
            core.handsets.prompts.pop(push.msisdn, None)
        core.on_change()
        shape = answer.fault if answer else None
        message = self._message(push, push.outcome, shape)
        await core.deliver(message, delivery, hurry=hurry)

    async def _decide(self, push: Push, prompt: Prompt, *, hurry: bool) -> Outcome:
        core = self._core
        handset = core.handsets.of(push.msisdn)
        pressed = await self._wait_for_answer(handset, prompt, hurry=hurry)
        if not handset.registered or not core.books.knows(push.shortcode):
            return outcome("SFC_IC0003")
        if pressed is not Answer.APPROVE:
            return outcome(_UNANSWERED[pressed])
        if push.amount_cents > MOST_CENTS:
            return outcome("3")
        if handset.balance_cents < push.amount_cents:
            return outcome("1")
        now = core.clock.now()
        if core.books.paid_lately(
            shortcode=push.shortcode,
            msisdn=push.msisdn,
            amount_cents=push.amount_cents,
            at=now,
            within=SAME_AMOUNT_WITHIN,
        ):
            return outcome("17")
        draft = Payment(
            receipt=core.ids.receipt(now),
            shortcode=push.shortcode,
            amount_cents=push.amount_cents,
            account_reference=push.account_reference,
            msisdn=push.msisdn,
            at=now,
            balance_cents=0,
        )
        # Both are kept together: a restart must not call a payment unanswered.
        push.outcome = outcome("0", draft.receipt)
        payment = self._payments.book(draft, kind=Kind.PROMPTED)
        self._payments.announce(payment, core.faults.take(Flow.C2B, Place.ANSWER), hurry=hurry)
        return push.outcome

    async def _wait_for_answer(self, handset: Handset, prompt: Prompt, *, hurry: bool) -> Answer:
        """Return what becomes of the prompt; a button pressed by hand comes before the owner's habit."""
        core = self._core
        if not prompt.on_screen:
            await core.pause(0 if hurry else core.delays.prompt_s)
            return Answer.TIME_OUT
        habit = ANSWERS.get(handset.behaviour)
        if habit is None:
            wait_s = core.delays.prompt_expires_s
            answered = await core.either(prompt.answer, wait_s)
            return prompt.answer.result() if answered else Answer.TIME_OUT
        if hurry or not core.delays.prompt_s:
            return habit
        answered = await core.either(prompt.answer, core.delays.prompt_s, parked=False)
        return prompt.answer.result() if answered else habit

    def _message(self, push: Push, result: Outcome, shape: Fault | None) -> Message:
        core = self._core
        at = core.clock.now()
        body = stk_callback(push, result, ids=core.ids, at=at, shape=shape)
        extras: dict[Fault, Extra] = {Fault.FORGED_UNKNOWN: Extra(self._forged(push), genuine=False)}
        if result.succeeded:
            before = stk_callback(push, outcome("1037"), ids=core.ids, at=at)
            after = stk_callback(push, outcome("1032"), ids=core.ids, at=at)
            extras[Fault.FAILURE_THEN_SUCCESS] = Extra(before)
            extras[Fault.SUCCESS_THEN_FAILURE] = Extra(after, after=True)
        forged = self._forged(push, amount_cents=push.amount_cents + 100_000, same_ids=True)
        extras[Fault.FORGED_AMOUNT] = Extra(forged, genuine=False)
        return Message(flow=Flow.STK, kind="stk_callback", url=push.callback_url, body=body, extras=extras)

    def _forged(self, push: Push, *, amount_cents: int | None = None, same_ids: bool = False) -> JsonObject:
        core = self._core
        now = core.clock.now()
        stranger = Push(
            checkout_request_id=push.checkout_request_id
            if same_ids
            else core.ids.checkout_request(now, push.msisdn),
            merchant_request_id=push.merchant_request_id if same_ids else core.ids.request(),
            shortcode=push.shortcode,
            msisdn=push.msisdn,
            amount_cents=push.amount_cents if amount_cents is None else amount_cents,
            account_reference=push.account_reference,
            callback_url=push.callback_url,
            requested_at=now,
        )
        return stk_callback(stranger, outcome("0", core.ids.receipt(now)), ids=core.ids, at=now)

    def _check_password(self, fields: Fields) -> None:
        core = self._core
        shortcode = core.need_shortcode(fields, "BusinessShortCode")
        timestamp = fields.text("Timestamp", at_least=14, at_most=14)
        fields.time("Timestamp", "%Y%m%d%H%M%S")
        if fields.text("Password") != stk_password(shortcode, core.secrets.passkey, timestamp):
            raise ApiError(500, "500.001.1001", "Wrong credentials")


def _accepted(push: Push) -> JsonObject:
    return {
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResponseCode": "0",
        "ResponseDescription": "Success. Request accepted for processing",
        "CustomerMessage": "Success. Request accepted for processing",
    }
