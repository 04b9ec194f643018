"""B2C: pays a customer from a shortcode's utility account, once per OriginatorConversationID."""

from typing import Final

from zanari_api.sandbox.safaricom.books import Account, Kind, Overdrawn, Story
from zanari_api.sandbox.safaricom.callbacks import SUCCESS_TEXT, timeout_url_reference
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.sandbox.safaricom.handsets import HOLDS_AT_MOST_CENTS, Handset
from zanari_api.sandbox.safaricom.questions import Asked, Said, accept, accepted, failure, forced, message
from zanari_api.sandbox.safaricom.records import EXPIRED, Outcome, Payout
from zanari_api.sandbox.safaricom.requests import ApiError, Fields, Reply
from zanari_api.sandbox.safaricom.tariff import payout_fee_cents
from zanari_api.sandbox.safaricom.wire import JsonValue, dotted, shillings

LEAST_CENTS: Final = 1_000
MOST_CENTS: Final = 25_000_000
TEXTS: Final = {
    "1": "The balance is insufficient for the transaction.",
    "2": "The amount is less than the minimum transaction value.",
    "3": "The amount is more than the maximum transaction value.",
    "8": "The balance of the credit party would exceed the limit.",
    "11": "The debit party is in an invalid state.",
    "2040": "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service.",
}
REFERENCE: Final = timeout_url_reference("b2cresults")


class Paying:
    """Payouts, from the request to the result."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def pay(self, fields: Fields) -> Reply:
        """Accept a payout and let it go on. Raises ApiError, for an id that was accepted before too."""
        core = self._core
        originator_conversation_id = fields.text("OriginatorConversationID", at_most=100)
        fields.text("InitiatorName", at_most=100)
        fields.one_of("CommandID", ("SalaryPayment", "BusinessPayment", "PromotionPayment"))
        amount_cents = fields.whole_amount_cents()
        shortcode = fields.text("PartyA", at_most=10)
        msisdn = fields.msisdn("PartyB")
        fields.optional("Occassion", at_most=100)
        if originator_conversation_id in core.records.payouts:
            raise ApiError(500, "500.002.1001", "Duplicate OriginatorConversationID.")
        asked = accept(core, Flow.B2C, fields, originator_conversation_id=originator_conversation_id)
        payout = Payout(
            originator_conversation_id=originator_conversation_id,
            conversation_id=asked.conversation_id,
            shortcode=shortcode,
            msisdn=msisdn,
            amount_cents=amount_cents,
            request=asked.request,
            requested_at=core.clock.now(),
        )
        core.records.payouts[originator_conversation_id] = payout
        core.on_change()
        return Reply(accepted(asked), core.spawn(self._go_on(asked, payout)))

    def resume(self) -> None:
        """Take up payouts that a restart interrupted."""
        for payout in self._core.records.payouts.values():
            if payout.outcome is None:
                asked = Asked(
                    flow=Flow.B2C,
                    originator_conversation_id=payout.originator_conversation_id,
                    conversation_id=payout.conversation_id,
                    result_url=str(payout.request["ResultURL"]),
                    timeout_url=str(payout.request["QueueTimeOutURL"]),
                    request=payout.request,
                    answer=None,
                    delivery=None,
                )
                self._core.spawn(self._go_on(asked, payout))

    async def _go_on(self, asked: Asked, payout: Payout) -> None:
        core = self._core
        if not asked.hurry:
            await core.pause(core.delays.process_s)
        if asked.delivery and asked.delivery.fault is Fault.TIMEOUT_UNDONE:
            said = failure(core, EXPIRED)
        else:
            said = forced(core, asked) or self._carry_out(payout)
        payout.outcome = said.outcome
        payout.transaction_id = said.transaction_id
        payout.finished_at = core.clock.now()
        core.on_change()
        result = message(core, asked, said, reference=REFERENCE)
        await core.deliver(result, asked.delivery, hurry=asked.hurry)

    def _carry_out(self, payout: Payout) -> Said:
        """Move the money, or say why not."""
        core = self._core
        handset = core.handsets.of(payout.msisdn)
        refused = self._refusal(payout, handset)
        if refused is not None:
            return failure(core, Outcome(refused, TEXTS[refused]))
        now = core.clock.now()
        receipt = core.ids.receipt(now)
        to = f"{payout.msisdn[:4]}*****{payout.msisdn[-3:]}"
        paid = Story(kind=Kind.PAYOUT, details=f"Business Payment to Customer to {to}", msisdn=payout.msisdn)
        charged = Story(kind=Kind.CHARGE, details="Business Payment to Customer Charge", msisdn=payout.msisdn)
        changes = [(Account.UTILITY, -payout.amount_cents, paid)]
        fee_cents = payout_fee_cents(payout.amount_cents)
        if fee_cents:
            changes.append((Account.CHARGES_PAID, -fee_cents, charged))
        try:
            core.books.post(receipt, now, payout.shortcode, changes)
        except Overdrawn:
            return failure(core, Outcome("1", TEXTS["1"]))
        handset.balance_cents += payout.amount_cents
        outcome = Outcome("0", SUCCESS_TEXT, receipt)
        return Said(
            outcome=outcome,
            transaction_id=receipt,
            parameters=core.ids.shuffled(self._parameters(payout, handset, receipt)),
        )

    def _refusal(self, payout: Payout, handset: Handset) -> str | None:
        if not self._core.books.knows(payout.shortcode):
            return "11"
        if payout.amount_cents < LEAST_CENTS:
            return "2"
        if payout.amount_cents > MOST_CENTS:
            return "3"
        if not handset.registered:
            return "2040"
        if handset.balance_cents + payout.amount_cents > HOLDS_AT_MOST_CENTS:
            return "8"
        return None

    def _parameters(self, payout: Payout, handset: Handset, receipt: str) -> list[tuple[str, JsonValue]]:
        core = self._core

        def funds(account: Account) -> JsonValue:
            return shillings(core.books.balance(payout.shortcode, account))

        amount: JsonValue = shillings(payout.amount_cents)
        shown = payout.msisdn if core.ids.chance() else f"0{payout.msisdn[3:]}"
        return [
            ("TransactionAmount", payout.amount_cents // 100 if core.ids.chance() else amount),
            ("TransactionReceipt", receipt),
            ("ReceiverPartyPublicName", f"{shown} - {handset.name}"),
            ("TransactionCompletedDateTime", dotted(core.clock.now())),
            ("B2CUtilityAccountAvailableFunds", funds(Account.UTILITY)),
            ("B2CWorkingAccountAvailableFunds", funds(Account.WORKING)),
            ("B2CRecipientIsRegisteredCustomer", "Y"),
            ("B2CChargesPaidAccountAvailableFunds", funds(Account.CHARGES_PAID)),
        ]
