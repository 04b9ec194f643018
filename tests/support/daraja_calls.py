"""One example of each call to Safaricom, by its path, for tests of what holds for all of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tests.support import daraja_server as wire
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.requests import B2CPayment, StkPush

URL = "https://example.org/callbacks/c0ffee"
PUSH = StkPush(
    amount_cents=14_700,
    msisdn="254708374149",
    account_reference="12345671",
    description="Zanari",
    callback_url=f"{URL}/stk",
)
PAYMENT = B2CPayment(
    originator_conversation_id="feb5e3f2-fbbc-4745-844c-ee37b546f627",
    amount_cents=100_000,
    msisdn="254708374149",
    remarks="Withdrawal",
    result_url=f"{URL}/b2c/result",
    timeout_url=f"{URL}/b2c/timeout",
)
URLS = {"result_url": f"{URL}/status/result", "timeout_url": f"{URL}/status/timeout"}
SINCE, UNTIL = datetime(2026, 11, 24, 21, 0, tzinfo=UTC), datetime(2026, 11, 25, 6, 30, tzinfo=UTC)

Call = Callable[[DarajaClient], Awaitable[object]]
ONCE: dict[str, Call] = {
    wire.STK: lambda client: client.stk_push(PUSH),
    wire.B2C: lambda client: client.b2c(PAYMENT),
    wire.REVERSAL: lambda client: client.reverse(
        receipt="SKC82PACB8", amount_cents=100, shortcode="600000", remarks="Paid twice", **URLS
    ),
    wire.STATUS: lambda client: client.transaction_status(shortcode="600001", receipt="SKC82PACB8", **URLS),
    wire.BALANCE: lambda client: client.account_balance(shortcode="600001", **URLS),
    wire.REGISTER: lambda client: client.register_c2b_urls(
        shortcode="600000", confirmation_url=f"{URL}/c2b/confirmation", validation_url=f"{URL}/c2b/validation"
    ),
    wire.PULL_REGISTER: lambda client: client.pull_register(
        shortcode="600000", nominated_msisdn="254708374149", callback_url=f"{URL}/pull"
    ),
}
QUERIES: dict[str, Call] = {
    wire.STK_QUERY: lambda client: client.stk_query("ws_CO_1"),
    wire.PULL: lambda client: client.pull_query(shortcode="600000", since=SINCE, until=UNTIL),
}
EVERY = ONCE | QUERIES
MONEY = {path: ONCE[path] for path in (wire.STK, wire.B2C, wire.REVERSAL)}
