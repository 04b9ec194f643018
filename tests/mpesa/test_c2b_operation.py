"""C2B validation, and both callbacks under limits and outages, with what operators see of them."""

import time

import pytest
from pydantic import SecretStr

from tests.mpesa.callbacks import kept
from tests.mpesa.conftest import Counted, Fragile
from tests.mpesa.payments import CONFIRMATION, SHAPES, VALIDATION, payment
from tests.support.app import CALLBACK_TOKEN, SHORTCODE, Api, Serve
from tests.support.observed import Written
from tests.support.prompts import Prompter
from tests.support.savers import Saver, answered, code_of
from zanari_api.deposits.references import make_intent_reference
from zanari_api.kit.damm import member_code
from zanari_api.mpesa.inbox import CallbackKind

ACCEPTED = {"ResultCode": "0", "ResultDesc": "Accepted"}
UNDECIDED = {"ResultCode": "C2B00016", "ResultDesc": "Rejected"}


def refused(code: str) -> dict[str, str]:
    return {"ResultCode": code, "ResultDesc": "Rejected"}


async def verdict(api: Api, body: bytes) -> dict[str, str]:
    return answered(await api.call_back(VALIDATION, body))


@pytest.mark.parametrize("like", SHAPES)
async def test_a_payment_to_a_member_is_accepted_in_each_documented_shape(
    api: Api, saver: Saver, like: str
) -> None:
    assert await verdict(api, payment(saver.member_code, like=like)) == ACCEPTED
    assert await saver.holds() == (0, 0, 0)


async def test_validation_says_no_to_what_could_not_be_credited(api: Api, saver: Saver) -> None:
    code = saver.member_code
    assert await verdict(api, payment(code + "Q")) == ACCEPTED
    assert await verdict(api, payment(code, TransAmount="250000.00")) == ACCEPTED
    assert await verdict(api, payment(code, TransAmount="250000.01")) == refused("C2B00013")
    assert await verdict(api, payment(code, BusinessShortCode="600999")) == refused("C2B00015")
    for reference in ("", "rent", code[:-1], member_code(9_999_999), str(saver.phone)):
        assert await verdict(api, payment(reference)) == refused("C2B00012")
    for amount in ("0", "-5", "a lot", ""):
        assert (await verdict(api, payment(code, TransAmount=amount)))["ResultCode"] != "0"
    assert await verdict(api, b"not JSON") == UNDECIDED
    assert await verdict(api, b"{}") == UNDECIDED


async def test_what_we_asked_for_is_always_accepted_and_what_we_never_asked_for_is_not(
    api: Api, saver: Saver
) -> None:
    prompter = Prompter(api)
    asked = await prompter.prompted(saver, 50_000)
    reference = (await prompter.intent(asked)).reference
    for typed in (reference, reference.lower(), f"{reference[:4]} {reference[4:]}"):
        assert await verdict(api, payment(typed, TransAmount="500.00")) == ACCEPTED
    # Whatever amount it is of, and however it ended: the money is the saver's.
    assert await verdict(api, payment(reference, TransAmount="250000.01")) == ACCEPTED
    await prompter.tell(prompter.handle(saver), code=1032)
    assert (await prompter.state(saver, asked))[0] == "failed"
    assert await verdict(api, payment(reference, TransAmount="500.00")) == ACCEPTED
    assert await verdict(api, payment(reference, BusinessShortCode="600999")) == refused("C2B00015")
    assert await verdict(api, payment(make_intent_reference(1))) == refused("C2B00012")
    assert await verdict(api, payment(reference[:-1] + "x")) == refused("C2B00012")


async def test_why_a_validation_was_refused_is_kept(api: Api, saver: Saver) -> None:
    for body, outcome, note in (
        (payment(saver.member_code), "accepted", None),
        (payment("rent"), "refused", "unknown_account"),
        (payment(saver.member_code, TransAmount="250000.01"), "refused", "amount_too_large"),
        (payment(saver.member_code, BusinessShortCode="600999"), "quarantined", "unknown_shortcode"),
        (b"no validation", "quarantined", "unreadable"),
    ):
        for deliveries in (1, 2):
            await verdict(api, body)
            row = await kept(api, CallbackKind.C2B_VALIDATION, body)
            assert (row["outcome"], row["note"], row["deliveries"]) == (outcome, note, deliveries)


async def test_the_verdict_on_one_body_is_the_same_each_time_and_does_not_stand_for_its_confirmation(
    api: Api, saver: Saver
) -> None:
    body = payment(saver.member_code)
    assert [await verdict(api, body) for _ in range(3)] == [ACCEPTED] * 3
    assert answered(await api.call_back(CONFIRMATION, body))["ResultCode"] == 0
    assert await saver.holds() == (500, 0, 0)


async def test_validation_needs_the_token_too(api: Api, saver: Saver) -> None:
    response = await api.call_back(VALIDATION, payment(saver.member_code), callback_token="0" * 48)
    assert code_of(response) == (404, "not_found")


async def test_without_the_database_validation_is_undecided_and_confirmation_503(
    fragile: Fragile, saver: Saver
) -> None:
    body = payment(saver.member_code)
    for prepared in (False, True):
        await fragile.line.cut()
        assert await verdict(fragile.api, body) == UNDECIDED
        response = await fragile.api.call_back(CONFIRMATION, body)
        assert code_of(response) == (503, "database_unavailable")
        assert int(response.headers["retry-after"]) > 0
        assert await saver.holds() == (500 if prepared else 0, 0, 0)
        await fragile.line.mend()
        assert answered(await fragile.api.call_back(CONFIRMATION, body))["ResultCode"] == 0
        assert await saver.holds() == (500, 0, 0)


@pytest.mark.parametrize("connected", [False, True])
async def test_validation_answers_within_three_seconds_when_the_database_is_silent(
    fragile: Fragile, saver: Saver, *, connected: bool
) -> None:
    body = payment(saver.member_code)
    if connected:
        assert await verdict(fragile.api, body) == ACCEPTED
    async with fragile.line.blocked():
        started = time.monotonic()
        assert await verdict(fragile.api, body) == UNDECIDED
        assert time.monotonic() - started < 3


async def test_no_callback_path_holds_a_word_that_daraja_refuses(api: Api) -> None:
    paths = [path for path in api.app.openapi()["paths"] if path.startswith("/callbacks")]
    assert len(paths) >= 2
    for word in ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query"):
        assert not [path for path in paths if word in path.lower()], word


async def test_callbacks_are_never_rate_limited(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_address=2, rate_limit_saver=2) as limited:
        for _ in range(10):
            assert await verdict(limited, payment(saver.member_code)) == ACCEPTED
            wrong = await limited.call_back(CONFIRMATION, b"{}", callback_token="0" * 48)
            assert wrong.status_code == 404


async def test_a_paybill_may_have_several_shortcodes(serve: Serve, saver: Saver) -> None:
    async with serve(mpesa_shortcode=f"{SHORTCODE}, 600001") as two:
        for shortcode in (SHORTCODE, "600001"):
            body = payment(saver.member_code, BusinessShortCode=shortcode)
            assert answered(await two.call_back(CONFIRMATION, body))["ResultCode"] == 0
    assert await saver.holds() == (1_000, 0, 0)


async def test_callbacks_are_counted_by_kind_and_outcome(
    api: Api, fragile: Fragile, saver: Saver, counted: Counted
) -> None:
    body = payment(saver.member_code)
    for outcome, told in (
        ("credited", body),
        ("duplicate", body),
        ("suspense", payment("rent")),
        ("quarantined", b"something else"),
    ):
        await api.call_back(CONFIRMATION, told)
        assert counted("zanari_callbacks_total", kind="c2b_confirmation", outcome=outcome) == 1
    await verdict(api, payment(saver.member_code))
    await verdict(api, payment("rent"))
    assert counted("zanari_callbacks_total", kind="c2b_validation", outcome="accepted") == 1
    assert counted("zanari_callbacks_total", kind="c2b_validation", outcome="refused") == 1
    await api.call_back(CONFIRMATION, body, callback_token="0" * 48)
    assert counted("zanari_credentials_refused_total", kind="callback_token") == 1
    route = "/callbacks/{token}/c2b/confirmation"
    assert counted("http_requests_total", method="POST", route=route, status_code="200") == 4
    assert counted("http_requests_total", method="POST", route=route, status_code="404") == 1
    assert counted("transaction_amount_kes_sum", type="deposit") == 5


async def test_an_undecided_validation_is_counted_from_the_start(fragile: Fragile, saver: Saver) -> None:
    labels = {"kind": "c2b_validation", "outcome": "undecided"}
    registry = fragile.api.runtime.metrics.registry
    assert registry.get_sample_value("zanari_callbacks_total", labels) == 0
    await fragile.line.cut()
    await verdict(fragile.api, payment(saver.member_code))
    assert registry.get_sample_value("zanari_callbacks_total", labels) == 1


async def test_the_log_of_an_exchange_holds_no_name_number_or_token(
    api: Api, saver: Saver, written: Written
) -> None:
    person = {"FirstName": "Wanjiku", "MiddleName": "Njeri", "LastName": "Kamau", "MSISDN": "254722123456"}
    await verdict(api, payment(saver.member_code, **person))
    for told in (payment(saver.member_code, **person), payment("0722123456", **person)):
        await api.call_back(CONFIRMATION, told)
    await api.call_back(CONFIRMATION, b'{"FirstName": "Wanjiku", "MSISDN": "254722123456"}')
    await api.call_back(CONFIRMATION, payment("", **person), callback_token="0" * 48)
    assert [(line["kind"], line["outcome"]) for line in written.events("callback_received")] == [
        ("c2b_validation", "accepted"),
        ("c2b_confirmation", "credited"),
        ("c2b_confirmation", "suspense"),
        ("c2b_confirmation", "quarantined"),
    ]
    routes = {line["route"] for line in written.events("request_handled")}
    assert routes == {"/callbacks/{token}/c2b/validation", "/callbacks/{token}/c2b/confirmation"}
    text = written.text.lower()
    for private in ("wanjiku", "njeri", "kamau", "722123456", CALLBACK_TOKEN, "0" * 48):
        assert private not in text


async def test_forged_tokens_write_few_lines(serve: Serve, written: Written) -> None:
    async with serve(mpesa_callback_tokens=SecretStr("a1" * 16)) as attacked:
        for _ in range(40):
            await attacked.call_back(CONFIRMATION, b"{}", callback_token="0" * 48)
    # What the server that stands in for Safaricom says of its own start is not the service's.
    lines = [line for line in written.lines if line["event"] != "library_logged"]
    assert len([line for line in lines if line["level"] in {"info", "warning"}]) < 20
