"""Transaction status: tells what became of a payout, a payment or a reversal, by its receipt or its conversation."""

from typing import Final

from zanari_api.sandbox.safaricom.books import FROM_CUSTOMERS, Kind, Movement
from zanari_api.sandbox.safaricom.callbacks import SUCCESS, Parameters, movement_reason
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.sandbox.safaricom.questions import Asked, Said, accept, failure, reply
from zanari_api.sandbox.safaricom.records import EXPIRED, Outcome, Payout
from zanari_api.sandbox.safaricom.requests import Fields, Reply
from zanari_api.sandbox.safaricom.wire import JsonValue, kes, stamp

NOT_FOUND: Final = Outcome("2032", "The transaction receipt number does not exist.")
"""The code is not on Safaricom's pages; integrators have seen it."""


class Status:
    """Answers about what the emulator's books and records know."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def ask(self, fields: Fields) -> Reply:
        """Accept a question; the answer follows. Raises ApiError."""
        core = self._core
        fields.text("Initiator", at_most=100)
        fields.one_of("CommandID", ("TransactionStatusQuery",))
        fields.one_of("IdentifierType", ("4",))
        shortcode = core.need_shortcode(fields, "PartyA")
        fields.optional("Occasion", at_most=100)
        # The pages of 2025 say Original, those before them Originator.
        names = ("TransactionID", "OriginalConversationID", "OriginatorConversationID")
        wanted = next((fields.text(name) for name in names if fields.body.get(name)), None)
        if wanted is None:
            raise fields.refusal("TransactionID")
        asked = accept(core, Flow.STATUS, fields)
        return reply(
            core, asked, lambda: self._answer(asked, wanted, shortcode), reference={"Key": "Occasion"}
        )

    def _answer(self, asked: Asked, wanted: str, shortcode: str) -> Said:
        core = self._core
        parameters = None
        if not (asked.answer and asked.answer.fault is Fault.NOT_FOUND):
            parameters = self._find(wanted, shortcode)
        if parameters is None:
            return failure(core, NOT_FOUND)
        return Said(
            outcome=SUCCESS,
            transaction_id=core.ids.placeholder(core.clock.now()),
            parameters=core.ids.shuffled(parameters),
        )

    def _find(self, wanted: str, shortcode: str) -> Parameters | None:
        payout = self._core.records.find_payout(wanted)
        if payout is not None and payout.shortcode == shortcode:
            return self._of_payout(payout)
        movements = [one for one in self._core.books.find(wanted) if one.shortcode == shortcode]
        return self._of_movement(movements[0]) if movements else None

    def _of_payout(self, payout: Payout) -> Parameters:
        core = self._core
        receipt = payout.outcome.receipt if payout.outcome else None
        movements = core.books.find(receipt or "")
        fee_cents = -sum(one.change_cents for one in movements if one.story.kind is Kind.CHARGE)
        handset = core.handsets.of(payout.msisdn)
        finished: JsonValue = stamp(payout.finished_at) if payout.finished_at else None
        ours = f"{payout.shortcode} - {core.organisation}"
        return [
            ("DebitPartyName", ours),
            (self._second_party(), f"{payout.msisdn} - {handset.name}"),
            ("OriginatorConversationID", payout.originator_conversation_id),
            ("InitiatedTime", self._time(stamp(payout.requested_at))),
            ("DebitAccountType", "Utility Account"),
            ("DebitPartyCharges", f"Fee For B2C Payment|KES|{kes(fee_cents)}" if fee_cents else None),
            ("TransactionReason", None),
            ("ReasonType", "Business Payment to Customer via API"),
            ("TransactionStatus", _state(payout)),
            ("FinalisedTime", self._time(finished)),
            ("Amount", self._amount(payout.amount_cents)),
            ("ConversationID" if core.ids.chance() else "Conversation ID", payout.conversation_id),
            ("ReceiptNo", payout.transaction_id or None),
        ]

    def _of_movement(self, movement: Movement) -> Parameters:
        core = self._core
        story = movement.story
        theirs = f"{story.msisdn} - {core.handsets.of(story.msisdn).name}" if story.msisdn else "Bank"
        ours = f"{movement.shortcode} - {core.organisation}"
        debit, credit = (ours, theirs) if movement.change_cents < 0 else (theirs, ours)
        at = stamp(movement.at)
        from_customer = story.kind in FROM_CUSTOMERS
        return [
            ("DebitPartyName", debit),
            ("CreditPartyName", credit),
            ("InitiatedTime", self._time(at)),
            ("DebitAccountType", "MMF Account For Customer" if from_customer else "Utility Account"),
            ("DebitPartyCharges", None),
            ("TransactionReason", None),
            ("ReasonType", movement_reason(movement)),
            ("TransactionStatus", "Completed"),
            ("FinalisedTime", self._time(at)),
            ("Amount", self._amount(abs(movement.change_cents))),
            ("ReceiptNo", movement.receipt),
        ]

    def _second_party(self) -> str:
        """Safaricom's sample names the customer as a second debit party."""
        return "CreditPartyName" if self._core.ids.chance() else "DebitPartyName"

    def _time(self, written: JsonValue) -> JsonValue:
        return int(written) if isinstance(written, str) and self._core.ids.chance() else written

    def _amount(self, cents: int) -> JsonValue:
        text = kes(cents)
        if self._core.ids.chance():
            return text.removesuffix(".00")
        return text if cents % 100 else cents // 100


def _state(payout: Payout) -> str:
    """Return a final state, or one that is not."""
    if payout.outcome is None:
        return "Pending"
    if payout.outcome == EXPIRED:
        return "Expired"
    return "Completed" if payout.outcome.succeeded else "Declined"
