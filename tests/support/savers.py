"""A saver as tests act for one: calls the API with a token of the emulator, in the words of the domain."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import httpx

if TYPE_CHECKING:
    from tests.support.app import Api

Json = dict[str, Any]

BASE: Final = "/api/v1"
NEW: Final = object()
"""Stands for an Idempotency-Key that no request had before."""

_numbers = itertools.count(1)
_receipts = itertools.count(1)


def new_phone() -> str:
    """Return a Kenyan number that no test of this run has used, as Supabase Auth writes it."""
    return f"2547{next(_numbers):08d}"


def new_receipt() -> str:
    """Return an M-PESA receipt that no test of this run has used."""
    return f"TK{next(_receipts):08d}"


def new_key() -> str:
    """Return an Idempotency-Key of a new intention."""
    return str(uuid4())


def kes(cents: int) -> str:
    """Write an amount as M-PESA does: shillings with two decimals."""
    return f"{cents // 100}.{cents % 100:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saver:
    """One saver of the module's database, provisioned. `phone` None: Auth holds no number of theirs."""

    api: "Api"
    id: UUID
    phone: str | None
    token: str
    member_code: str

    async def call(
        self, method: str, path: str, body: object = None, *, key: object = None, **query: object
    ) -> httpx.Response:
        """Send any request as this saver; `path` is below /api/v1."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = new_key() if key is NEW else str(key)
        return await self.api.client.request(method, BASE + path, json=body, headers=headers, params=query)

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.call("GET", path, **query)

    async def put(self, path: str, body: object) -> httpx.Response:
        return await self.call("PUT", path, body)

    async def patch(self, path: str, body: object) -> httpx.Response:
        return await self.call("PATCH", path, body)

    async def post(self, path: str, body: object = None, *, key: object = NEW) -> httpx.Response:
        """POST with a new Idempotency-Key; `key` sets one, None sends none."""
        return await self.call("POST", path, body, key=key)

    async def delete(self, path: str, *, key: object = NEW) -> httpx.Response:
        """DELETE with a new Idempotency-Key; `key` sets one, None sends none."""
        return await self.call("DELETE", path, key=key)

    async def deposit(self, cents: int, *, letter: str = "", receipt: str | None = None) -> str:
        """Pay into the paybill by this saver's member code, with a goal's letter or none. Returns the receipt."""
        receipt = receipt or new_receipt()
        await self.api.pay_in(cents, account_reference=self.member_code + letter, receipt=receipt)
        return receipt

    async def spend(self, cents: int, **details: Any) -> Json:
        """Have a payment from this saver's number told by the signed webhook. Returns the answer.

        `details` are of Api.tell_spend, above all `at`, `receipt` and `kind`.
        """
        assert self.phone is not None, "this saver has no number to pay from"
        response = await self.api.tell_spend(cents, phone=self.phone, **details)
        assert response.status_code == 200, response.text
        return response.json()

    async def goal(self, name: str = "School fees", **fields: object) -> Json:
        """Open a goal. Returns it as answered."""
        return answered(await self.post("/goals", {"name": name, **fields}), 201)

    async def goal_holding(self, cents: int, name: str = "School fees", **fields: object) -> Json:
        """Open a goal and put money into it by M-PESA and the wallet. Returns it as it is then."""
        goal = await self.goal(name, **fields)
        await self.deposit(cents)
        answered(await self.post(f"/goals/{goal['id']}/deposits", {"amount_cents": cents}), 201)
        return await self.read_goal(goal)

    async def read_goal(self, goal: Json) -> Json:
        """Read a goal again."""
        return answered(await self.get(f"/goals/{goal['id']}"))

    async def goals(self) -> list[Json]:
        """List the goals, in order; the default goal is the last."""
        return answered(await self.get("/goals"))["data"]

    async def default_goal(self) -> Json:
        return (await self.goals())[-1]

    async def wallet(self) -> Json:
        return answered(await self.get("/users/me/wallet"))

    async def holds(self) -> tuple[int, int, int]:
        """Return the cents in the wallet, in goals, and waiting."""
        wallet = await self.wallet()
        return wallet["balance_cents"], wallet["saved_cents"], wallet["waiting_cents"]

    async def rule(self, **fields: object) -> Json:
        """Replace the round-up rule; what is left out takes its default. Returns the rule as answered."""
        return answered(await self.put("/users/me/round-up-rule", fields))

    async def feed(self, **filters: object) -> list[Json]:
        """List a page of transactions, newest first."""
        return answered(await self.get("/transactions", **filters))["data"]

    async def transaction(self, item: Json) -> Json:
        """Read one transaction with its explanation."""
        return answered(await self.get(f"/transactions/{item['id']}"))

    async def joined(self, at: datetime) -> None:
        """Have this saver join earlier than now, so that spends of the past count."""
        await self.api.alter("UPDATE savings.savers SET created_at = $2 WHERE saver_id = $1", self.id, at)


def answered(response: httpx.Response, status: int = 200) -> Json:
    """Return the JSON of an answer that must have this status."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    return response.json()


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a problem document, which must be one."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


def refused_fields(response: httpx.Response) -> set[str]:
    """Return the fields that a 422 complains of, without the place (body, query) they are in."""
    assert response.status_code == 422, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"] == "application/problem+json"
    return {error["field"].rpartition(".")[2] for error in response.json()["errors"]}


def now() -> datetime:
    """Return the present, without the fraction that M-PESA's clock does not have."""
    return datetime.now(UTC).replace(microsecond=0)
