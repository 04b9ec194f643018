"""Every route, as the application lists them: none without a token, none that shows another saver's row."""

import re
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts

from tests.support.app import Api, settings_for
from tests.support.postgres import Database
from tests.support.savers import NEW, Saver, code_of
from zanari_api.main import create_app

OPEN = ("/health", "/metrics", "/docs", "/openapi.json", "/callbacks/", "/api/v1/mpesa/webhooks/")
BODIES: dict[tuple[str, str], object] = {
    ("PATCH", "/api/v1/users/me"): {},
    ("PUT", "/api/v1/users/me/round-up-rule"): {},
    ("POST", "/api/v1/goals"): {"name": "x"},
    ("PUT", "/api/v1/goals/order"): {"goal_ids": []},
    ("PATCH", "/api/v1/goals/{goal_id}"): {"name": "x"},
    ("POST", "/api/v1/goals/{goal_id}/deposits"): {"amount_cents": 1},
    ("POST", "/api/v1/goals/{goal_id}/withdrawals"): {"amount_cents": 1},
}


def routes(api: Api) -> list[tuple[str, str]]:
    """Return method and template of each route that only a saver may call."""
    return [
        (method, route.path_format)
        for route in iter_route_contexts(api.app.routes)
        for method in sorted((route.methods or set()) - {"HEAD"})
        if route.path_format and not route.path_format.startswith(OPEN)
    ]


async def test_every_saver_route_without_a_token_is_refused(api: Api) -> None:
    found = routes(api)
    assert len(found) >= 16
    for method, template in found:
        path = re.sub(r"\{.*?\}", str(uuid4()), template)
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
            response = await api.client.request(
                method, path, json=BODIES.get((method, template)), headers=headers
            )
            assert response.status_code == 401, (method, template, response.text)
            assert code_of(response)[1] in {"token_missing", "invalid_token"}
            assert response.headers["www-authenticate"] == "Bearer"


async def test_another_savers_id_is_not_found_on_any_route(api: Api, saver: Saver) -> None:
    owner = await api.new_saver()
    goal = await owner.goal_holding(10_000)
    await owner.spend(14_700)
    ids = {"goal_id": goal["id"], "transaction_id": (await owner.feed())[0]["id"]}
    with_ids = [(method, template) for method, template in routes(api) if "{" in template]
    assert len(with_ids) >= 7
    before = await owner.holds()
    for method, template in with_ids:
        path = template.removeprefix("/api/v1").format(**ids)
        response = await saver.call(method, path, BODIES.get((method, template)), key=NEW)
        assert response.status_code == 404, (method, template, response.text)
    order = await saver.put("/goals/order", {"goal_ids": [goal["id"]]})
    assert code_of(order) == (404, "goal_not_found")
    assert await owner.holds() == before
    assert (await owner.read_goal(goal))["name"] == goal["name"]


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "anon"},
        {"role": "service_role"},
        {"aud": "other"},
        {"iss": "http://elsewhere.test/auth/v1"},
        {"is_anonymous": True},
        {"exp": 1},
        {"sub": "not-a-uuid"},
    ],
)
async def test_a_token_that_is_not_a_savers_opens_nothing(api: Api, claims: dict[str, object]) -> None:
    sub = claims.pop("sub", uuid4())
    token = api.token(str(sub), **claims)
    response = await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert code_of(response) == (401, "invalid_token")


def test_no_callback_path_holds_a_word_that_daraja_refuses(database: Database) -> None:
    app = create_app(settings_for(database, supabase_url="https://auth.test"))
    paths = [route.path_format or "" for route in iter_route_contexts(app.routes)]
    callbacks = [path for path in paths if path.startswith("/callbacks/")]
    assert callbacks
    assert not [path for path in callbacks if re.search("mpesa|safaricom|exe|cmd|sql|query", path)]
