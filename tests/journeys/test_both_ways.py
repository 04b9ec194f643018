"""Money in and out at the terminal, with the commands that the demo prints: processes, sockets, two sets of books."""

import re
import signal
import time
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.support.processes import Place, Running

PIN: Final = "8305"
WITHIN_S: Final = 40


class DemoSaver:
    """The demo saver's app."""

    def __init__(self, api: Running) -> None:
        token = self._printed(api)
        self._client = api.client(token)

    def get(self, path: str) -> Any:
        return self._told(self._client.get(f"/api/v1{path}"))

    def put(self, path: str, body: object) -> Any:
        return self._told(self._client.put(f"/api/v1{path}", json=body))

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        headers |= {"Idempotency-Key": str(uuid4())}
        return self._told(self._client.post(f"/api/v1{path}", json=body, headers=headers))

    def until(self, path: str, state: str) -> Any:
        """Read until it is in this state."""
        deadline = time.monotonic() + WITHIN_S
        while (told := self.get(path))["state"] != state:
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        return told

    @staticmethod
    def _told(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    @staticmethod
    def _printed(api: Running) -> str:
        deadline = time.monotonic() + WITHIN_S
        while (found := re.search(r"export TOKEN=(\S+)\n", api.output)) is None:
            assert time.monotonic() < deadline, api.errors
            time.sleep(0.1)
        return found[1]


def press(place: Place, *button: str) -> str:
    """Press a button of the emulated phone as soon as there is something to press it for."""
    deadline = time.monotonic() + WITHIN_S
    while (done := place.run("phone", *button)).returncode != 0:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.3)
    return done.stdout


def test_deposit_collect_withdraw_and_reconcile(place: Place) -> None:
    with place.running("dev") as api:
        saver = DemoSaver(api)
        before = saver.get("/users/me/wallet")["balance_cents"]

        first = saver.post("/mpesa/deposits", {"amount_cents": 20_000})
        press(place, "approve")
        paid = saver.until(f"/mpesa/deposits/{first['id']}", "settled")
        assert paid["receipt"]
        assert saver.get("/users/me/wallet")["balance_cents"] == before + 20_000

        second = saver.post("/mpesa/deposits", {"amount_cents": 30_000})
        press(place, "cancel")
        assert saver.until(f"/mpesa/deposits/{second['id']}", "failed")["reason"] == "cancelled"

        saver.put("/users/me/pin", {"pin": PIN})
        entered = {"pin": PIN, "purpose": "withdrawal"}
        step_up = saver.post("/users/me/pin/verifications", entered)["token"]
        account = saver.get("/mpesa/accounts")["data"][0]["id"]
        wish = {"amount_cents": before + 20_000, "account_id": account}
        payout = saver.post("/mpesa/withdrawals", wish, **{"X-Step-Up-Token": step_up})
        assert saver.until(f"/mpesa/withdrawals/{payout['id']}", "settled")["receipt"]

        # With nothing in the wallet a round-up waits, until the saver asks for it.
        place.run("spend", "147")
        assert saver.get("/users/me/wallet")["waiting_cents"] == 300
        collection = saver.post("/mpesa/collections")
        press(place, "approve")
        deadline = time.monotonic() + WITHIN_S
        while saver.get("/mpesa/collections")["data"][0]["state"] != "settled":
            assert time.monotonic() < deadline, collection
            time.sleep(0.2)
        wallet = saver.get("/users/me/wallet")
        assert (wallet["balance_cents"], wallet["saved_cents"], wallet["waiting_cents"]) == (0, 300, 0)

        reconciled = place.run("reconcile")
        assert reconciled.returncode == 0, reconciled.stdout + reconciled.stderr
        assert api.end(signal.SIGTERM) == 0
    assert place.processes() == []
