"""The signed webhook under limits, switches and outages, and what operators see of it."""

from tests.mpesa.conftest import Counted, Fragile
from tests.mpesa.deliveries import PATH, deliver, record_of, status_of
from tests.support.app import Api, Serve
from tests.support.observed import Written
from tests.support.savers import Saver, answered, code_of, new_phone


async def test_rate_limits_never_touch_it(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_address=2, rate_limit_saver=2) as limited:
        record = record_of(saver)
        answers = [await deliver(limited, record) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert not [name for name in answers[0].headers if name.startswith("ratelimit")]
        forged = [await limited.deliver(b"{}", signature="forged") for _ in range(10)]
        assert {answer.status_code for answer in forged} == {401}
        strangers = [await limited.client.get("/api/v1/goals") for _ in range(3)]
        assert strangers[-1].status_code == 429


async def test_while_round_ups_are_off_spends_are_recorded_and_skipped(serve: Serve, saver: Saver) -> None:
    await saver.deposit(1_000)
    record = record_of(saver)
    async with serve(feature_rollup_enabled=False) as off:
        answer = answered(await deliver(off, record))
    assert answer["status"] == "processed"
    assert (answer["round_up"]["outcome"], answer["round_up"]["reason"]) == ("skipped", "feature_disabled")
    assert await status_of(saver.api, record) == "duplicate"
    assert await saver.holds() == (1_000, 0, 0)
    assert [row["type"] for row in await saver.feed()] == ["spend", "deposit"]


async def test_while_goals_are_off_spends_still_save(serve: Serve, saver: Saver) -> None:
    await saver.deposit(1_000)
    async with serve(feature_goals_enabled=False) as off:
        assert answered(await deliver(off, record_of(saver)))["round_up"]["outcome"] == "saved"


async def test_without_the_database_it_answers_503_and_nothing_is_lost(
    fragile: Fragile, saver: Saver
) -> None:
    await saver.deposit(1_000)
    record = record_of(saver)
    await fragile.line.cut()
    response = await deliver(fragile.api, record)
    assert code_of(response) == (503, "database_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert await saver.holds() == (1_000, 0, 0)
    await fragile.line.mend()
    assert await status_of(fragile.api, record) == "processed"
    await fragile.line.cut()
    assert code_of(await deliver(fragile.api, record)) == (503, "database_unavailable")
    await fragile.line.mend()
    assert await status_of(fragile.api, record) == "duplicate"
    assert await saver.holds() == (700, 300, 0)


async def test_what_it_does_is_counted(api: Api, saver: Saver, counted: Counted) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    for outcome, told in (
        ("processed", record),
        ("duplicate", record),
        ("unmatched", record_of(saver, phone_number=new_phone())),
        ("ignored", record_of(saver, status="failed")),
        ("malformed", record_of(saver, amount=0)),
    ):
        before = counted("zanari_webhook_requests_total", outcome=outcome)
        await deliver(api, told)
        assert counted("zanari_webhook_requests_total", outcome=outcome) == before + 1
    assert counted("zanari_spends_total", outcome="saved", reason="none") == 1
    assert counted("zanari_ledger_posts_total", kind="round_up", outcome="posted") == 1
    assert counted("transaction_amount_kes_sum", type="spend") == 147
    assert counted("http_requests_total", method="POST", route=PATH, status_code="200") == 4
    assert counted("http_requests_total", method="POST", route=PATH, status_code="422") == 1


async def test_the_log_tells_the_outcome_and_nobodys_name_or_number(
    api: Api, saver: Saver, written: Written
) -> None:
    assert saver.phone is not None
    await deliver(api, record_of(saver, merchant_name="Wanjiru Stores", account_reference="ACC77"))
    await deliver(api, record_of(saver, merchant_name="Wanjiru", transaction_type="send_money", amount="x"))
    (told,) = written.events("spend_received")
    assert (told["status"], told["outcome"], told["round_up_cents"]) == ("processed", "waiting", 300)
    assert told["request_id"]
    assert [line["route"] for line in written.events("request_handled")] == [PATH, PATH]
    for private in (saver.phone, saver.phone.removeprefix("254"), "Wanjiru", "ACC77", "v1="):
        assert private not in written.text
