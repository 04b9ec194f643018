"""Account balances as Safaricom tells them, and reversals of what customers paid. Reverses no payout."""

from dataclasses import replace
from typing import Final

from zanari_api.sandbox.safaricom.books import (
    FROM_CUSTOMERS,
    Account,
    Kind,
    Movement,
    Overdrawn,
    story_of_reversal,
)
from zanari_api.sandbox.safaricom.callbacks import (
    SUCCESS,
    SUCCESS_TEXT,
    balance_text,
    timeout_url_reference,
    utility_text,
)
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.faults import Flow
from zanari_api.sandbox.safaricom.questions import Said, accept, failure, reply
from zanari_api.sandbox.safaricom.records import Outcome
from zanari_api.sandbox.safaricom.requests import Fields, Reply
from zanari_api.sandbox.safaricom.tariff import REVERSAL_FEE_CENTS
from zanari_api.sandbox.safaricom.wire import shillings, stamp

TEXTS: Final = {
    "1": "The balance is insufficient for the transaction.",
    "R000001": "The transaction has already been reversed.",
    "R000002": "The OriginalTransactionID is invalid.",
}


class NotReversible(Exception):  # noqa: N818 (reads as what it says)
    """The payment cannot be taken back; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(TEXTS[code])
        self.code = code


class Corrections:
    """Balances and reversals."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def balance(self, fields: Fields) -> Reply:
        """Accept a question for a shortcode's balances. Raises ApiError."""
        core = self._core
        fields.text("Initiator", at_most=100)
        fields.one_of("CommandID", ("AccountBalance",))
        fields.one_of("IdentifierType", ("4",))
        shortcode = core.need_shortcode(fields, "PartyA")

        def told() -> Said:
            now = core.clock.now()
            return Said(
                outcome=SUCCESS,
                transaction_id=core.ids.placeholder(now),
                parameters=[
                    ("AccountBalance", balance_text(core.books, shortcode)),
                    ("BOCompletedTime", stamp(now)),
                ],
            )

        asked = accept(core, Flow.BALANCE, fields)
        return reply(core, asked, told, reference=timeout_url_reference("abresults"))

    def reversal(self, fields: Fields) -> Reply:
        """Accept a request to take a customer's payment back, whole. Raises ApiError."""
        core = self._core
        fields.text("Initiator", at_most=100)
        fields.one_of("CommandID", ("TransactionReversal",))
        # The key is misspelt by Safaricom.
        fields.one_of("RecieverIdentifierType", ("11",))
        shortcode = core.need_shortcode(fields, "ReceiverParty")
        receipt = fields.text("TransactionID", at_most=20)
        amount_cents = fields.whole_amount_cents()
        asked = accept(core, Flow.REVERSAL, fields)

        def carry_out() -> Said:
            try:
                made = self.take_back(receipt, shortcode=shortcode, amount_cents=amount_cents)
            except NotReversible as refused:
                return failure(core, Outcome(refused.code, str(refused)))
            return self._told(made)

        return reply(core, asked, carry_out, reference=timeout_url_reference("reversalresults"))

    def take_back(
        self, receipt: str, *, shortcode: str | None = None, amount_cents: int | None = None
    ) -> Movement:
        """Take a customer's payment from the shortcode back to the phone. Raises NotReversible."""
        core = self._core
        original = next((one for one in core.books.find(receipt) if one.story.kind in FROM_CUSTOMERS), None)
        if (
            original is None
            or shortcode not in {None, original.shortcode}
            or amount_cents not in {None, original.change_cents}
        ):
            raise NotReversible("R000002")
        if core.books.reversal_of(receipt) is not None:
            raise NotReversible("R000001")
        story = story_of_reversal(original, details=f"Pay Bill Reversal of {receipt}")
        now = core.clock.now()
        charged = replace(story, kind=Kind.CHARGE, details="Pay Bill Reversal Charge")
        changes = [
            (Account.UTILITY, -original.change_cents, story),
            (Account.CHARGES_PAID, -REVERSAL_FEE_CENTS, charged),
        ]
        try:
            made, _charge = core.books.post(core.ids.receipt(now), now, original.shortcode, changes)
        except Overdrawn as error:
            raise NotReversible("1") from error
        if story.msisdn is not None:
            core.handsets.of(story.msisdn).balance_cents += original.change_cents
        core.on_change()
        return made

    def _told(self, made: Movement) -> Said:
        core = self._core
        msisdn = made.story.msisdn or ""
        return Said(
            outcome=Outcome("0", SUCCESS_TEXT, made.receipt),
            transaction_id=made.receipt,
            parameters=[
                ("DebitAccountBalance", utility_text(core.books, made.shortcode)),
                ("Amount", shillings(-made.change_cents)),
                ("TransCompletedTime", int(stamp(made.at))),
                ("OriginalTransactionID", made.story.reverses),
                ("Charge", shillings(REVERSAL_FEE_CENTS)),
                ("CreditPartyPublicName", f"{msisdn} - {core.handsets.of(msisdn).name}"),
                ("DebitPartyPublicName", f"{made.shortcode} - {core.organisation}"),
            ],
        )
