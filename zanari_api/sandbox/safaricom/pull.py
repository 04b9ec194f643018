"""Pull transactions: lists customers' payments of the last 48 hours, a hundred at a time."""

from datetime import timedelta
from typing import Final

from zanari_api.kit.clock import EAT
from zanari_api.sandbox.safaricom.books import FROM_CUSTOMERS, Movement
from zanari_api.sandbox.safaricom.callbacks import shown_msisdn
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.faults import Fault, Flow, Place
from zanari_api.sandbox.safaricom.requests import ApiError, Fields, Reply
from zanari_api.sandbox.safaricom.wire import JsonObject, JsonValue, kes

PAGE: Final = 100
REACHES_BACK: Final = timedelta(hours=48)
_TIME: Final = "%Y-%m-%d %H:%M:%S"


class Pulling:
    """Registration for pulling, and the pull itself."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register(self, fields: Fields) -> Reply:
        """Let a shortcode pull. Raises ApiError."""
        shortcode = self._core.need_shortcode(fields, "ShortCode")
        fields.one_of("RequestType", ("Pull",))
        fields.text("NominatedNumber", at_most=20)
        fields.url("CallBackURL")
        known = shortcode in self._core.records.pulling
        self._core.records.pulling.add(shortcode)
        self._core.on_change()
        return Reply(
            {
                "ResponseRefID": self._core.ids.request(),
                "ResponseStatus": "1001" if known else "1000",
                "ShortCode": shortcode,
                "ResponseDescription": "ShortCode already Registered"
                if known
                else "Shortcode Registered Successfully",
            }
        )

    def answer(self, fields: Fields) -> Reply:
        """Answer with one page; OffSetValue counts rows. Raises ApiError, for a shortcode not registered too."""
        core = self._core
        shortcode = core.need_shortcode(fields, "ShortCode")
        if shortcode not in core.records.pulling:
            raise ApiError(400, fields.api.field_code, "Bad Request - Kindly register the ShortCode")
        begins = fields.time("StartDate", _TIME).replace(tzinfo=EAT)
        ends = fields.time("EndDate", _TIME).replace(tzinfo=EAT)
        offset = fields.text("OffSetValue", at_most=9)
        if not offset.isdigit():
            raise fields.refusal("OffSetValue")
        if ends < begins:
            raise fields.refusal("EndDate")
        begins = max(begins, core.clock.now() - REACHES_BACK)
        movements = [
            one
            for one in core.books.movements
            if one.shortcode == shortcode
            and one.story.kind in FROM_CUSTOMERS
            # Safaricom's times are whole seconds.
            and begins <= one.at.replace(microsecond=0) <= ends
        ]
        armed = core.faults.take(Flow.PULL, Place.ANSWER)
        page = movements[int(offset) : int(offset) + PAGE]
        return Reply(self._page(page, armed.fault if armed else None))

    def _page(self, movements: list[Movement], fault: Fault | None) -> JsonObject:
        answer: dict[str, JsonValue] = {"ResponseRefID": self._core.ids.request()}
        if not movements:
            return {**answer, "ResponseCode": "1001", "ResponseMessage": "No records", "Response": "[[]]"}
        answer |= {"ResponseCode": "1000", "ResponseMessage": "Success"}
        rows: list[JsonValue] = [self._row(one, local=fault is Fault.LOCAL_TIME) for one in movements]
        if fault is Fault.OTHER_CONTAINER:
            return {**answer, "Transactions": rows}
        return {**answer, "Response": [rows]}

    def _row(self, movement: Movement, *, local: bool) -> JsonObject:
        registration = self._core.records.registrations.get(movement.shortcode)
        version = registration.version if registration else 2
        at = movement.at.astimezone(EAT) if local else movement.at
        amount = kes(movement.change_cents)
        return {
            "transactionId": movement.receipt,
            "trxDate": f"{at:%Y-%m-%dT%H:%M:%S}Z",
            "msisdn": shown_msisdn(movement.story.msisdn or "", version=version),
            "sender": "MPESA",
            "transactiontype": "c2b-pay-bill-debit",
            "billreference": movement.story.account_reference,
            "amount": amount,
            "organizationname": self._core.organisation,
        }
