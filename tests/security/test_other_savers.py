"""Another saver's id is answered as one that nobody has, on every route with an id, and nothing happens."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx

from tests.security.routes import Route, savers_routes, wants_body
from tests.support.app import Api
from tests.support.payouts import withdrawing
from tests.support.pins import with_pin
from tests.support.savers import Json, Saver, answered, code_of

BODIES: Mapping[str, Json] = {
    "PATCH /api/v1/goals/{goal_id}": {"name": "Mine now"},
    "PATCH /api/v1/mpesa/accounts/{account_id}": {"is_default": True},
    "POST /api/v1/goals/{goal_id}/deposits": {"amount_cents": 100},
    "POST /api/v1/goals/{goal_id}/withdrawals": {"amount_cents": 100},
}
"""A body that is fine in itself, for each route with an id that takes one."""


async def _goal(saver: Saver) -> str:
    goal = await saver.goal_holding(1_000)
    await saver.deposit(1_000)
    return goal["id"]


async def _transaction(saver: Saver) -> str:
    await saver.spend(14_700)
    return (await saver.feed())[0]["id"]


async def _collection(saver: Saver) -> str:
    await saver.rule(kind="fixed", fixed_cents=1_000_000)
    assert (await saver.spend(14_700))["round_up"]["outcome"] == "waiting"
    # Whatever else was asked of this saver's M-PESA is no longer open.
    saver.api.clock.advance(minutes=3)
    return answered(await saver.post("/mpesa/collections"), 202)["id"]


async def _deposit(saver: Saver) -> str:
    saver.api.clock.advance(minutes=3)
    return answered(await saver.post("/mpesa/deposits", {"amount_cents": 5_000}), 202)["id"]


async def _account(saver: Saver) -> str:
    return answered(await saver.get("/mpesa/accounts"))["data"][0]["id"]


async def _withdrawal(saver: Saver) -> str:
    await saver.deposit(5_000)
    return str((await withdrawing(await with_pin(saver), 1_000)).id)


OWNED: Mapping[str, Callable[[Saver], Awaitable[str]]] = {
    "goal_id": _goal,
    "transaction_id": _transaction,
    "collection_id": _collection,
    "deposit_id": _deposit,
    "account_id": _account,
    "withdrawal_id": _withdrawal,
}
"""How a saver comes by a thing of their own, by the name of its id in a route."""


async def call(saver: Saver, route: Route, **ids: str) -> httpx.Response:
    path = route.path(**ids).removeprefix("/api/v1")
    return await saver.call(route.method, path, BODIES.get(str(route)), key=str(uuid4()))


async def what_is_there(saver: Saver) -> list[Any]:
    collections = answered(await saver.get("/mpesa/collections"))
    asked = answered(await saver.get("/mpesa/deposits"))
    numbers = answered(await saver.get("/mpesa/accounts"))
    withdrawals = answered(await saver.get("/mpesa/withdrawals"))
    money = [await saver.goals(), await saver.wallet(), await saver.feed()]
    return [*money, collections, asked, numbers, withdrawals]


def routes_with_an_id(api: Api) -> list[Route]:
    found = [route for route in savers_routes(api.app) if route.parameters]
    for route in found:
        assert set(route.parameters) <= OWNED.keys(), f"say in OWNED how a saver comes by one: {route}"
        assert wants_body(api.app, route) == (str(route) in BODIES), f"say in BODIES what to send: {route}"
    assert len(found) >= 6
    return found


async def test_another_savers_id_is_404_everywhere_and_changes_nothing(api: Api, saver: Saver) -> None:
    owner = await api.new_saver()
    theirs = {name: await make(owner) for name, make in OWNED.items()}
    before = await what_is_there(owner)
    for route in routes_with_an_id(api):
        ids = {name: theirs[name] for name in route.parameters}
        refused = await call(saver, route, **ids)
        unknown = await call(saver, route)
        assert refused.status_code == 404, route
        assert code_of(refused) == code_of(unknown), route
        # Word for word as for an id that never was: the answer tells nobody that there is such a thing.
        said, said_of_unknown = refused.json(), unknown.json()
        assert said | {"request_id": ""} == said_of_unknown | {"request_id": ""}, route
    assert await what_is_there(owner) == before


async def test_the_owner_is_let_in_by_the_same_requests(api: Api) -> None:
    for route in routes_with_an_id(api):
        owner = await api.new_saver()
        ids = {name: await OWNED[name](owner) for name in route.parameters}
        assert (await call(owner, route, **ids)).is_success, route


async def test_another_savers_goal_cannot_be_put_in_order(api: Api, saver: Saver) -> None:
    owner = await api.new_saver()
    theirs, own = await owner.goal(), await saver.goal()
    response = await saver.put("/goals/order", {"goal_ids": [theirs["id"], own["id"]]})
    assert code_of(response) == (404, "goal_not_found")
    assert (await owner.read_goal(theirs))["priority"] == theirs["priority"]


async def test_another_savers_idempotency_key_is_just_a_key(api: Api, saver: Saver) -> None:
    owner = await api.new_saver()
    first = await owner.post(f"/goals/{await _goal(owner)}/deposits", {"amount_cents": 100}, key="shared")
    second = await saver.post(f"/goals/{await _goal(saver)}/deposits", {"amount_cents": 100}, key="shared")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert "idempotent-replayed" not in second.headers
