"""All that is asked of Safaricom, one method each. Sends a push, a payout or a reversal once and never again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from zanari_api.daraja.config import DarajaConfig
from zanari_api.daraja.credential import eat_timestamp, read_certificate, security_credential, stk_password
from zanari_api.daraja.errors import (
    DarajaUnavailable,
    DarajaUnresolved,
    Doubt,
    Hindrance,
    Operation,
)
from zanari_api.daraja.observing import Observer
from zanari_api.daraja.pull import PullPage, pull_page_in
from zanari_api.daraja.requests import Accepted, B2CAccepted, B2CPayment, StkPush, whole_shillings
from zanari_api.daraja.session import Session, accepted_in, found_in, success_in
from zanari_api.daraja.stk import StkAccepted, StkOutcome, read_stk_accepted, read_stk_outcome
from zanari_api.daraja.transport import Answer
from zanari_api.daraja.values import code_of, id_of
from zanari_api.kit.clock import EAT, Clock
from zanari_api.runtime.crypto import ServiceKeyStore
from zanari_api.runtime.db import Database

SHORTCODE_IDENTIFIER: Final = "4"
REVERSAL_IDENTIFIER: Final = "11"
PULL_REGISTERED: Final = frozenset({"1000", "1001"})
"""Registered now, and registered before."""


class DarajaClient:
    """Safaricom's API for one app. Every method raises DarajaRefused, DarajaUnresolved or DarajaUnavailable.

    Amounts are cents in whole shillings, else ValueError. Addresses for results are given with each call.
    """

    def __init__(
        self,
        config: DarajaConfig,
        *,
        database: Database,
        service_keys: ServiceKeyStore,
        clock: Clock,
        observer: Observer,
    ) -> None:
        """Connect to nothing yet. Raises ValueError when the certificate is none."""
        self.config = config
        self._clock = clock
        self._certificate = read_certificate(config.certificate) if config.certificate else None
        self._session = Session(
            config, database=database, service_keys=service_keys, clock=clock, observer=observer
        )

    async def close(self) -> None:
        await self._session.close()

    async def renew_token(self) -> datetime:
        """Have Safaricom give a new access token, and return until when it is used: proof that our credentials work.

        All processes take it up by themselves.
        """
        return await self._session.renew_token()

    async def token_until(self) -> datetime:
        """Return until when the shared access token is used; only where there is none, Safaricom is asked for one."""
        return await self._session.token_until()

    async def register_c2b_urls(
        self,
        *,
        shortcode: str,
        confirmation_url: str,
        validation_url: str,
        response_type: Literal["Completed", "Cancelled"] = "Completed",
        version: Literal[1, 2] = 2,
    ) -> None:
        """Name where payments to a shortcode are told. In production once only: then `already_registered`.

        `response_type` is what M-PESA does with a payment when the validation does not answer.
        """
        await self._session.call(
            Operation.REGISTER_URLS,
            f"/mpesa/c2b/v{version}/registerurl",
            {
                "ShortCode": shortcode,
                "ResponseType": response_type,
                "ConfirmationURL": confirmation_url,
                "ValidationURL": validation_url,
            },
            read=lambda answer: accepted_in(Operation.REGISTER_URLS, answer),
        )

    async def stk_push(self, push: StkPush) -> StkAccepted:
        """Show a prompt on a phone. Never sent twice; what is unresolved here is found by callback, C2B or pull."""

        def read(answer: Answer) -> StkAccepted:
            accepted = read_stk_accepted(accepted_in(Operation.STK_PUSH, answer))
            if accepted is None:
                raise DarajaUnresolved(Operation.STK_PUSH, Doubt.UNREADABLE, http_status=answer.status)
            return accepted

        body = {
            **self._stk_signature(Operation.STK_PUSH),
            "TransactionType": "CustomerPayBillOnline",
            "Amount": whole_shillings(push.amount_cents),
            "PartyA": push.msisdn,
            "PartyB": self.config.shortcode,
            "PhoneNumber": push.msisdn,
            "CallBackURL": push.callback_url,
            "AccountReference": push.account_reference,
            "TransactionDesc": push.description,
        }
        return await self._session.call(
            Operation.STK_PUSH, "/mpesa/stkpush/v1/processrequest", body, read=read
        )

    async def stk_query(self, checkout_request_id: str) -> StkOutcome:
        """Ask what became of a prompt. Asked again where no answer came: it changes nothing."""

        def read(answer: Answer) -> StkOutcome:
            outcome = found_in(answer, read_stk_outcome)
            if outcome is not None:
                return outcome
            success_in(Operation.STK_QUERY, answer)
            raise DarajaUnresolved(Operation.STK_QUERY, Doubt.UNREADABLE, http_status=answer.status)

        body = {**self._stk_signature(Operation.STK_QUERY), "CheckoutRequestID": checkout_request_id}
        return await self._session.ask(Operation.STK_QUERY, "/mpesa/stkpushquery/v1/query", body, read=read)

    async def b2c(self, payment: B2CPayment) -> B2CAccepted:
        """Pay a phone. Never sent twice by itself; DuplicateRequest says that the first sending decides."""

        def read(answer: Answer) -> B2CAccepted:
            fields = accepted_in(Operation.B2C, answer)
            return B2CAccepted(
                conversation_id=id_of(fields.get("ConversationID")),
                originator_conversation_id=payment.originator_conversation_id,
            )

        body = {
            "OriginatorConversationID": payment.originator_conversation_id,
            **self._initiator(Operation.B2C, "InitiatorName"),
            "CommandID": "BusinessPayment",
            "Amount": whole_shillings(payment.amount_cents),
            "PartyA": self._b2c_shortcode(),
            "PartyB": payment.msisdn,
            "Remarks": payment.remarks,
            "QueueTimeOutURL": payment.timeout_url,
            "ResultURL": payment.result_url,
            "Occassion": payment.occasion,
        }
        return await self._session.call(Operation.B2C, "/mpesa/b2c/v3/paymentrequest", body, read=read)

    async def transaction_status(
        self,
        *,
        shortcode: str,
        result_url: str,
        timeout_url: str,
        receipt: str | None = None,
        originator_conversation_id: str | None = None,
        occasion: str = "",
    ) -> Accepted:
        """Ask what became of a transaction, by its receipt or by our id for it. The result comes by callback.

        `shortcode` is the one that the transaction belongs to. Raises ValueError without exactly one of both.
        """
        if (receipt is None) == (originator_conversation_id is None):
            raise ValueError("either the receipt or the originator_conversation_id is needed")
        asked = (
            {"TransactionID": receipt}
            if receipt is not None
            else {"OriginalConversationID": originator_conversation_id or ""}
        )
        body = {
            **self._initiator(Operation.TRANSACTION_STATUS, "Initiator"),
            "CommandID": "TransactionStatusQuery",
            **asked,
            "PartyA": shortcode,
            "IdentifierType": SHORTCODE_IDENTIFIER,
            "ResultURL": result_url,
            "QueueTimeOutURL": timeout_url,
            "Remarks": "status",
            "Occasion": occasion,
        }
        return await self._accept(Operation.TRANSACTION_STATUS, "/mpesa/transactionstatus/v1/query", body)

    async def account_balance(self, *, shortcode: str, result_url: str, timeout_url: str) -> Accepted:
        """Ask for the balances of a shortcode. The result comes by callback, which is never sent again."""
        body = {
            **self._initiator(Operation.ACCOUNT_BALANCE, "Initiator"),
            "CommandID": "AccountBalance",
            "PartyA": shortcode,
            "IdentifierType": SHORTCODE_IDENTIFIER,
            "Remarks": "balance",
            "QueueTimeOutURL": timeout_url,
            "ResultURL": result_url,
        }
        return await self._accept(Operation.ACCOUNT_BALANCE, "/mpesa/accountbalance/v1/query", body)

    async def reverse(
        self,
        *,
        receipt: str,
        amount_cents: int,
        shortcode: str,
        result_url: str,
        timeout_url: str,
        remarks: str,
    ) -> Accepted:
        """Ask to give a payment into `shortcode` back. Never sent twice; payouts cannot be reversed at all."""
        body = {
            **self._initiator(Operation.REVERSAL, "Initiator"),
            "CommandID": "TransactionReversal",
            "TransactionID": receipt,
            "Amount": whole_shillings(amount_cents),
            "ReceiverParty": shortcode,
            "RecieverIdentifierType": REVERSAL_IDENTIFIER,
            "ResultURL": result_url,
            "QueueTimeOutURL": timeout_url,
            "Remarks": remarks,
            "Occasion": "",
        }
        return await self._accept(Operation.REVERSAL, "/mpesa/reversal/v1/request", body)

    async def pull_register(self, *, shortcode: str, nominated_msisdn: str, callback_url: str) -> None:
        """Register a shortcode for pulling, once; registered before is as good."""

        def read(answer: Answer) -> None:
            status = found_in(answer, lambda fields: code_of(fields.get("ResponseStatus")))
            if status in PULL_REGISTERED:
                return
            success_in(Operation.PULL_REGISTER, answer)
            raise DarajaUnresolved(Operation.PULL_REGISTER, Doubt.UNREADABLE, http_status=answer.status)

        body = {
            "ShortCode": shortcode,
            "RequestType": "Pull",
            "NominatedNumber": nominated_msisdn,
            "CallBackURL": callback_url,
        }
        await self._session.call(Operation.PULL_REGISTER, "/pulltransactions/v1/register", body, read=read)

    async def pull_query(
        self, *, shortcode: str, since: datetime, until: datetime, offset: int = 0
    ) -> PullPage:
        """Read a page of payments into a shortcode, of the last 48 hours at most; `offset` counts rows.

        The two times are written in East Africa Time, as those on every other API; nobody has verified it.
        """

        def read(answer: Answer) -> PullPage:
            page = found_in(answer, pull_page_in)
            if page is not None:
                return page
            success_in(Operation.PULL_QUERY, answer)
            raise DarajaUnresolved(Operation.PULL_QUERY, Doubt.UNREADABLE, http_status=answer.status)

        body = {
            "ShortCode": shortcode,
            "StartDate": _pull_time(since),
            "EndDate": _pull_time(until),
            "OffSetValue": str(offset),
        }
        return await self._session.ask(
            Operation.PULL_QUERY,
            "/pulltransactions/v1/query",
            body,
            read=read,
            verb=self.config.pull_verb,
        )

    async def _accept(self, operation: Operation, path: str, body: Mapping[str, str | int]) -> Accepted:
        def read(answer: Answer) -> Accepted:
            fields = accepted_in(operation, answer)
            return Accepted(
                conversation_id=id_of(fields.get("ConversationID")),
                originator_conversation_id=id_of(fields.get("OriginatorConversationID")),
            )

        return await self._session.call(operation, path, body, read=read)

    def _stk_signature(self, operation: Operation) -> dict[str, str | int]:
        if self.config.passkey is None:
            raise DarajaUnavailable(operation, Hindrance.NOT_CONFIGURED)
        shortcode, timestamp = self.config.shortcode, eat_timestamp(self._clock.now())
        password = stk_password(shortcode=shortcode, passkey=self.config.passkey, timestamp=timestamp)
        return {"BusinessShortCode": shortcode, "Password": password, "Timestamp": timestamp}

    def _initiator(self, operation: Operation, name_field: str) -> dict[str, str | int]:
        name, password = self.config.initiator_name, self.config.initiator_password
        if name is None or password is None or self._certificate is None:
            raise DarajaUnavailable(operation, Hindrance.NOT_CONFIGURED)
        return {name_field: name, "SecurityCredential": security_credential(password, self._certificate)}

    def _b2c_shortcode(self) -> str:
        if self.config.b2c_shortcode is None:
            raise DarajaUnavailable(Operation.B2C, Hindrance.NOT_CONFIGURED)
        return self.config.b2c_shortcode


def _pull_time(instant: datetime) -> str:
    return instant.astimezone(EAT).strftime("%Y-%m-%d %H:%M:%S")
