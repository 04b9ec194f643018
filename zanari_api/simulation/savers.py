"""Savers as a simulation has them: each does what comes to mind, over HTTP, and asks again where no answer came.

Everything that was answered with a yes is noted: it must be found again at the end.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from zanari_api.kit.clock import utc_now
from zanari_api.mpesa.signature import sign
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.simulation.world import World

TRIES_MAX: Final = 6
PIN: Final = "2749"
HABITS: Final = (
    (Behaviour.APPROVE, 60),
    (Behaviour.CANCEL, 15),
    (Behaviour.WRONG_PIN, 10),
    (Behaviour.NO_ANSWER, 15),
)
SERVER_FAULT: Final = 500
CLIENT_FAULT: Final = 400


@dataclass(slots=True)
class Promises:
    """What the service said yes to."""

    spends: set[str] = field(default_factory=set[str])
    "receipts of spends that were answered as processed or duplicate"

    intents: set[UUID] = field(default_factory=set[UUID])
    "deposits that were accepted"

    payouts: set[UUID] = field(default_factory=set[UUID])
    "withdrawals that were accepted"

    movements: set[UUID] = field(default_factory=set[UUID])
    "moves between wallet and goal"

    done: Counter[str] = field(default_factory=Counter[str])


class Saver:
    """One saver: a number, a token, and a chance of their own."""

    def __init__(self, world: World, place: int, promises: Promises) -> None:
        self._world = world
        self._promises = promises
        self._chance = random.Random(f"saver:{world.plan.seed}:{place}")  # noqa: S311 (a seed must repeat)
        self.id = UUID(int=self._chance.getrandbits(128), version=4)
        self.phone = f"2547{world.plan.seed % 1000:03d}{place:05d}"
        token = world.mint.mint(self.id, self.phone)
        self._client = httpx.AsyncClient(
            base_url=world.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=20
        )
        self._code = ""
        self._receipts: list[str] = []
        self._number = 0

    async def live(self, *, over: asyncio.Event) -> None:
        """Join, then do something every now and then, until it is over; what was begun is finished."""
        await self._join()
        try:
            while not over.is_set():
                await self._world.clock.sleep(self._chance.uniform(1, 10))
                wish = self._chance.choices(
                    [act for act, _ in self._acts], [often for _, often in self._acts]
                )[0]
                await wish()
        finally:
            await self._client.aclose()

    @property
    def _acts(self) -> list[tuple[Callable[[], Awaitable[None]], int]]:
        return [
            (self._spend, 40),
            (self._tell_again, 5),
            (self._reverse, 3),
            (self._pay_in, 6),
            (self._deposit, 14),
            (self._withdraw, 10),
            (self._collect, 9),
            (self._skip, 2),
            (self._pay_waiting, 3),
            (self._move, 10),
            (self._change_habit, 10),
        ]

    async def _join(self) -> None:
        profile = await self._call("joined", "GET", "/api/v1/users/me")
        assert profile is not None, "a saver could not join"  # noqa: S101 (nothing can be simulated then)
        self._code = profile["member_code"]
        await self._call("pin", "PUT", "/api/v1/users/me/pin", {"pin": PIN})
        goal = {"name": f"Goal of {self.phone[-2:]}", "target_cents": 5_000_00, "allocation_percent": 60}
        await self._call("goal", "POST", "/api/v1/goals", goal)
        await self._call("rule", "PUT", "/api/v1/users/me/round-up-rule", {"step_cents": 10_000})
        await self._pay_in()

    async def _spend(self) -> None:
        cents = self._chance.randrange(1_000, 300_000)
        await self._tell(self._record(self._new_receipt(), cents))

    async def _tell_again(self) -> None:
        if self._receipts:
            await self._tell(self._record(self._chance.choice(self._receipts), 12_300))

    async def _reverse(self) -> None:
        if self._receipts:
            receipt = self._chance.choice(self._receipts)
            record = self._record(self._new_receipt(keep=False), 12_300) | {"reverses": receipt}
            await self._tell(record | {"status": "reversed"}, name="reversal")

    async def _pay_in(self) -> None:
        """Pay the paybill by hand: mostly right, now and then with nonsense as account number."""
        reference = self._chance.choice([self._code, self._code, self._code + "B", "SCHOOL FEES"])
        await self._world.emulator.pay_bill(
            amount_cents=self._shillings(20, 600), account_reference=reference, msisdn=self.phone
        )
        self._promises.done["paybill"] += 1

    async def _deposit(self) -> None:
        body: dict[str, Any] = {"amount_cents": self._shillings(1, 500)}
        answered = await self._call("deposit", "POST", "/api/v1/mpesa/deposits", body)
        if answered is not None:
            self._promises.intents.add(UUID(answered["id"]))

    async def _withdraw(self) -> None:
        accounts = await self._call("accounts", "GET", "/api/v1/mpesa/accounts")
        entered = {"pin": PIN, "purpose": "withdrawal"}
        step_up = await self._call("pin_entered", "POST", "/api/v1/users/me/pin/verifications", entered)
        if not accounts or not accounts["data"] or step_up is None:
            return
        body = {"amount_cents": self._shillings(10, 300), "account_id": accounts["data"][0]["id"]}
        headers = {"X-Step-Up-Token": step_up["token"]}
        answered = await self._call("withdrawal", "POST", "/api/v1/mpesa/withdrawals", body, headers=headers)
        if answered is not None:
            self._promises.payouts.add(UUID(answered["id"]))

    async def _collect(self) -> None:
        await self._call("collection", "POST", "/api/v1/mpesa/collections")

    async def _skip(self) -> None:
        listed = await self._call("collections", "GET", "/api/v1/mpesa/collections")
        if listed and listed["data"]:
            newest = listed["data"][0]["id"]
            await self._call("skip", "POST", f"/api/v1/mpesa/collections/{newest}/skip")

    async def _pay_waiting(self) -> None:
        await self._call("waiting_paid", "POST", "/api/v1/users/me/waiting/payment")

    async def _move(self) -> None:
        goals = await self._call("goals", "GET", "/api/v1/goals")
        if goals is None:
            return
        goal = self._chance.choice(goals["data"])
        where = self._chance.choice(["deposits", "withdrawals"])
        body = {"amount_cents": self._chance.randrange(100, 20_000)}
        moved = await self._call(where, "POST", f"/api/v1/goals/{goal['id']}/{where}", body)
        if moved is not None:
            self._promises.movements.add(UUID(moved["id"]))

    async def _change_habit(self) -> None:
        habit = self._chance.choices([each for each, _ in HABITS], [often for _, often in HABITS])[0]
        await self._world.emulator.set_handset(self.phone, behaviour=habit)

    def _record(self, receipt: str, cents: int) -> dict[str, object]:
        return {
            "transaction_id": receipt,
            "transaction_type": self._chance.choice(["buy_goods", "pay_bill", "send_money"]),
            "amount": f"{cents // 100}.{cents % 100:02d}",
            "phone_number": self.phone,
            "transaction_time": self._world.clock.now().isoformat(timespec="seconds"),
            "merchant_name": "Mama Njeri Shop",
        }

    async def _tell(self, record: dict[str, object], *, name: str = "spend") -> None:
        """Deliver a signed record as the relay does: again and again until it is answered."""
        body = json.dumps({"record": record}).encode()

        async def send() -> httpx.Response:
            signature = sign(self._world.webhook_secret, body, utc_now())
            headers = {"X-Mpesa-Signature": signature, "Content-Type": "application/json"}
            path = "/api/v1/mpesa/webhooks/roundup"
            return await self._client.post(path, content=body, headers=headers)

        answered = await self._until_answered(name, send)
        if answered is not None and name == "spend" and answered["status"] in {"processed", "duplicate"}:
            self._promises.spends.add(str(record["transaction_id"]))

    async def _call(
        self, name: str, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a request, with one Idempotency-Key however often; return the JSON of a yes, None for a no."""
        key = {"Idempotency-Key": str(uuid4())} if method in {"POST", "DELETE"} else {}

        async def send() -> httpx.Response:
            return await self._client.request(method, path, json=body, headers=key | (headers or {}))

        return await self._until_answered(name, send)

    async def _until_answered(self, name: str, send: Callable[[], Awaitable[httpx.Response]]) -> Any:
        done = self._promises.done
        for attempt in range(TRIES_MAX):
            try:
                response = await send()
            except httpx.HTTPError:
                await asyncio.sleep(0.05 * 2**attempt)
                continue
            if response.status_code == SERVER_FAULT:
                done[f"{name}: 500"] += 1
                return None
            if response.status_code > SERVER_FAULT:
                await asyncio.sleep(0.05 * 2**attempt)
                continue
            if response.status_code >= CLIENT_FAULT:
                done[f"{name}: {response.json()['code']}"] += 1
                return None
            done[name] += 1
            return response.json()
        done[f"{name}: no answer"] += 1
        return None

    def _new_receipt(self, *, keep: bool = True) -> str:
        self._number += 1
        receipt = f"S{self._world.plan.seed % 10_000:04d}{self.phone[-2:]}{self._number:05d}"
        if keep:
            self._receipts.append(receipt)
        return receipt

    def _shillings(self, least: int, most: int) -> int:
        return 100 * self._chance.randint(least, most)
