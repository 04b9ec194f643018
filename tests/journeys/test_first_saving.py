"""The main job through real processes: start, deposit, spend, save, restart. Reads as the product."""

import re
import shlex
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.support.processes import Place, Running, refusal
from zanari_api.mpesa.signature import sign
from zanari_api.sandbox import secrets
from zanari_api.sandbox.demo import spend_body

PHONE = "254722123456"
NUMBER = re.compile(r"(?<!\d)(?:254|0)?722123456(?!\d)")
NAMES = ("Wanjiku", "Kamau", "NJERI", "Mama Mboga")


def token_for(place: Place, saver_id: UUID, *, phone: str = PHONE) -> str:
    done = place.run("token", "--saver", str(saver_id), "--phone", phone)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def deposit(place: Place, api: Running, *, member_code: str, receipt: str, amount: str) -> httpx.Response:
    """Pay into the paybill: M-PESA confirms to our callback."""
    callback_token = secrets.load_or_make(place.directory / ".zanari").callback_token
    with api.client() as mpesa:
        return mpesa.post(
            f"/callbacks/{callback_token}/c2b/confirmation",
            json={
                "TransactionType": "Pay Bill",
                "TransID": receipt,
                "TransTime": "20261123101500",
                "TransAmount": amount,
                "BusinessShortCode": "600000",
                "BillRefNumber": member_code,
                "MSISDN": "2547 ***** 456",
                "FirstName": "NJERI",
            },
        )


def spend(place: Place, api: Running, body: bytes) -> dict[str, Any]:
    """Tell of a payment at a shop, signed anew as each attempt is."""
    secret = secrets.load_or_make(place.directory / ".zanari").webhook_secret
    with api.client() as relay:
        response = relay.post(
            "/api/v1/mpesa/webhooks/roundup",
            content=body,
            headers={"X-Mpesa-Signature": sign(secret, body, datetime.now(UTC))},
        )
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def money(saver: httpx.Client) -> tuple[int, int]:
    """Return (in the wallet, in goals)."""
    wallet = saver.get("/api/v1/users/me/wallet").json()
    return wallet["balance_cents"], wallet["saved_cents"]


def test_a_spend_becomes_a_saving_and_outlives_the_process(place: Place) -> None:
    saver_id = uuid4()
    token = token_for(place, saver_id)
    started = time.monotonic()
    with place.running() as api, api.client(token) as saver:
        assert time.monotonic() - started < 20
        names = {"first_name": "Wanjiku", "last_name": "Kamau"}
        profile = saver.patch("/api/v1/users/me", json=names).json()
        assert profile["phone"] == f"+{PHONE}"
        confirmed = deposit(
            place, api, member_code=profile["member_code"], receipt="TKJRNY0001", amount="500"
        )
        assert confirmed.json()["ResultCode"] == 0
        assert money(saver) == (50_000, 0)

        (goal,) = saver.get("/api/v1/goals").json()["data"]
        assert (goal["name"], goal["saved_cents"]) == ("Spare change", 0)
        body = spend_body(receipt="TKJRNY0002", amount="147", phone=PHONE, merchant="Mama Mboga")
        first = spend(place, api, body)
        assert first["status"] == "processed"
        assert first["round_up"]["amount_cents"] == 300
        assert saver.get(f"/api/v1/goals/{goal['id']}").json()["saved_cents"] == 300

        again = spend(place, api, body)
        assert again == first | {"status": "duplicate"}
        assert money(saver) == (49_700, 300)
        metrics = saver.get("/metrics").text
        assert 'zanari_spends_total{outcome="saved",reason="none"} 1.0' in metrics

        assert api.end(signal.SIGTERM) == 0
        assert place.processes() == []
        assert_log_is_clean(api, token)

    with place.running() as api, api.client(token) as saver:
        assert money(saver) == (49_700, 300)
        feed = saver.get("/api/v1/transactions").json()["data"]
        assert [row["type"] for row in feed] == ["spend", "deposit"]
        assert spend(place, api, body) == first | {"status": "duplicate"}
        redelivered = deposit(
            place, api, member_code=profile["member_code"], receipt="TKJRNY0001", amount="500"
        )
        assert redelivered.status_code == 200
        assert money(saver) == (49_700, 300)


def assert_log_is_clean(api: Running, token: str) -> None:
    """Each line says where it comes from, each request was told of, and nobody can be recognised."""
    for line in api.log:
        assert line["service"] == "zanari"
        assert line["environment"] == "development"
        assert line["version"]
        assert line["level"] in {"info", "warning", "error"}
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", line["event"])
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
    requests = [line for line in api.log if line["event"] == "request_handled"]
    assert {(line["method"], line["route"], line["status_code"]) for line in requests} >= {
        ("PATCH", "/api/v1/users/me", 200),
        ("GET", "/api/v1/goals/{goal_id}", 200),
        ("POST", "/api/v1/mpesa/webhooks/roundup", 200),
    }
    assert all(line["request_id"] and line["duration_ms"] >= 0 for line in requests)
    (saved, repeated) = [line for line in api.log if line["event"] == "spend_received"]
    assert (saved["status"], saved["outcome"], saved["round_up_cents"]) == ("processed", "saved", 300)
    assert repeated["status"] == "duplicate"

    written = api.output + api.errors
    assert not NUMBER.search(written)
    assert not [name for name in NAMES if name.lower() in written.lower()]
    assert token not in written
    assert "v1=" not in written


def test_a_killed_owner_leaves_nothing_that_hinders_the_next(place: Place) -> None:
    saver_id = uuid4()
    token = token_for(place, saver_id, phone="254722123457")
    with place.running() as api, api.client(token) as saver:
        code = saver.get("/api/v1/users/me").json()["member_code"]
        deposit(place, api, member_code=code, receipt="TKJRNY0003", amount="20")
        api.end(signal.SIGKILL)
    with place.running(), api.client(token) as saver:
        assert money(saver) == (2_000, 0)
    assert place.processes() == []


def test_a_second_instance_is_refused_and_does_not_disturb_the_first(place: Place) -> None:
    with place.running() as api:
        same_port = refusal(place.run("serve"))
        assert f"127.0.0.1:{place.port}" in same_port
        assert "set PORT to another port" in same_port
        same_directory = refusal(place.run("serve", PORT="0"))
        assert f"is in use by process {api.process.pid}" in same_directory
        assert httpx.get(f"{api.base_url}/health/ready").status_code == 200


def test_the_demo_prints_a_request_that_saves_once_however_often_it_is_pasted(place: Place) -> None:
    with place.running("dev") as api:
        request = printed_request(api)
        first, second = (httpx.request(**request).json() for _ in range(2))
        assert (first["status"], first["round_up"]["amount_cents"]) == ("processed", 300)
        assert second == first | {"status": "duplicate"}
        goals = httpx.get(f"{api.base_url}/api/v1/goals", headers=printed_authorization(api)).json()["data"]
        assert {goal["name"]: goal["saved_cents"] for goal in goals} == {
            "School fees": 300,
            "Spare change": 0,
        }
        assert api.end(signal.SIGINT) == 0
    assert place.processes() == []

    with place.running("dev") as api:
        assert httpx.request(**printed_request(api)).json()["status"] == "processed"
        wallet = httpx.get(
            f"{api.base_url}/api/v1/users/me/wallet", headers=printed_authorization(api)
        ).json()
        assert (wallet["balance_cents"], wallet["saved_cents"]) == (49_400, 600)


def test_the_demo_serves_even_where_its_saver_cannot_be_made(place: Place) -> None:
    with place.running("dev", FEATURE_GOALS_ENABLED="false") as api:
        wait_for(r"The demo saver could not be made[^\n]*\n", lambda: api.errors)
        assert httpx.get(f"{api.base_url}/health/ready").status_code == 200
        assert api.end(signal.SIGTERM) == 0
        assert "Traceback" not in api.errors


def printed_request(api: Running) -> dict[str, Any]:
    """Read the pasted curl as a shell would."""
    text = wait_for(r"curl -s \S+/roundup .*?\n\n", lambda: api.output)
    _curl, _silent, url, *options = shlex.split(text.replace("\\\n", ""))
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    (body,) = (value for name, value in pairs if name == "-d")
    return {"method": "POST", "url": url, "headers": headers, "content": body}


def printed_authorization(api: Running) -> dict[str, str]:
    token = wait_for(r"export TOKEN=\S+\n", lambda: api.output).strip().removeprefix("export TOKEN=")
    return {"Authorization": f"Bearer {token}"}


def wait_for(pattern: str, read: Callable[[], str]) -> str:
    """Return the first match in what is being written, as soon as it is there."""
    deadline = time.monotonic() + 20
    while (found := re.search(pattern, read(), re.DOTALL)) is None:
        assert time.monotonic() < deadline, f"nothing like {pattern} was written: {read()}"
        time.sleep(0.02)
    return found[0]
