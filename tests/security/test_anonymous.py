"""Nobody without a valid access token gets past the door of any saver's route, whatever else is in the request."""

import time

import httpx
import pytest

from tests.security.routes import savers_routes
from tests.support.app import Api
from tests.support.savers import Saver, code_of


async def answers(api: Api, headers: dict[str, str]) -> dict[str, httpx.Response]:
    """Call every route of savers, with a body that would be refused if it were looked at."""
    return {
        str(route): await api.client.request(
            route.method, route.path(), headers={"Idempotency-Key": "one"} | headers, json={"not": "a body"}
        )
        for route in savers_routes(api.app)
    }


@pytest.mark.parametrize("header", [None, "", "Basic bm9ib2R5Om5vdGhpbmc=", "Bearer", "Bearer ", "Token abc"])
async def test_every_route_of_savers_asks_for_a_token(api: Api, header: str | None) -> None:
    for route, answer in (await answers(api, {} if header is None else {"Authorization": header})).items():
        assert code_of(answer) == (401, "token_missing"), route
        assert answer.headers["www-authenticate"] == "Bearer", route


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "anon"},
        {"role": "service_role"},
        {"role": None},
        {"is_anonymous": True},
        {"aud": "anon"},
        {"iss": "https://elsewhere.test/auth/v1"},
        {"exp": int(time.time()) - 3_600},
        {"exp": None},
    ],
    ids=range(8),
)
async def test_no_route_of_savers_takes_another_kind_of_token(
    api: Api, saver: Saver, claims: dict[str, object]
) -> None:
    token = api.token(saver.id, saver.phone, **claims)
    for route, answer in (await answers(api, {"Authorization": f"Bearer {token}"})).items():
        assert code_of(answer) == (401, "invalid_token"), route


async def test_no_route_of_savers_takes_a_token_of_nobody(api: Api) -> None:
    token = api.token("not an id")
    for route, answer in (await answers(api, {"Authorization": f"Bearer {token}"})).items():
        assert code_of(answer) == (401, "invalid_token"), route


async def test_no_route_of_savers_takes_a_token_that_was_changed(api: Api, saver: Saver) -> None:
    head, claims, signature = saver.token.split(".")
    for token in (f"{head}.{claims}.", f"{head}.{claims[:-2]}AA.{signature}", "x.y.z", "nonsense"):
        for route, answer in (await answers(api, {"Authorization": f"Bearer {token}"})).items():
            assert code_of(answer) == (401, "invalid_token"), route


async def test_the_document_says_which_routes_need_a_token(api: Api) -> None:
    paths = api.app.openapi()["paths"]
    for route in savers_routes(api.app):
        assert paths[route.template][route.method.lower()]["security"] == [{"HTTPBearer": []}], route
