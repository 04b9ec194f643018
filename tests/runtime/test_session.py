"""Whether a session still stands is asked of Supabase Auth each time, and only its yes lets anybody through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.loopback import served
from tests.support.observed import logging_as_the_service_does
from zanari_api.kit.ids import new_id
from zanari_api.runtime.jwks import AuthUnavailable
from zanari_api.runtime.session import SessionChecker, SessionEnded
from zanari_api.sandbox.auth import TokenMint, create_auth_app

ISSUER = "https://project.supabase.test/auth/v1"
KEY = "sb_publishable_of_the_tests"
SAVER = new_id()
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


class Auth:
    """A Supabase Auth that answers whatever a test has it answer, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: str = "", delay_s: float = 0) -> None:
        self.status = status
        self.body = body or f'{{"id": "{SAVER}"}}'
        self.delay_s = delay_s
        self.asked: list[dict[str, str]] = []
        self.app = Starlette(routes=[Route("/auth/v1/user", self.answer)])

    async def answer(self, request: Request) -> Response:
        self.asked.append(dict(request.headers))
        await asyncio.sleep(self.delay_s)
        return Response(self.body, self.status, media_type="application/json")


@asynccontextmanager
async def asking(url: str, **options: float) -> AsyncIterator[SessionChecker]:
    checker = SessionChecker(auth_url=f"{url}/auth/v1", api_key=KEY, clock=lambda: NOW, **options)
    try:
        yield checker
    finally:
        await checker.close()


async def is_live(auth: Auth, **options: float) -> None:
    async with served(auth.app) as url, asking(url, **options) as checker:
        await checker.ensure_live("a.b.c", saver_id=SAVER)


async def test_auth_is_asked_with_the_savers_token_and_the_projects_key_each_time() -> None:
    auth = Auth()
    async with served(auth.app) as url, asking(url) as checker:
        for _ in range(3):
            await checker.ensure_live("a.b.c", saver_id=SAVER)
    assert len(auth.asked) == 3
    assert {asked["authorization"] for asked in auth.asked} == {"Bearer a.b.c"}
    assert {asked["apikey"] for asked in auth.asked} == {KEY}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            403,
            '{"code": "session_not_found", "message": "Session from session_id claim in JWT does not exist"}',
        ),
        (403, '{"code": 403, "error_code": "user_banned", "msg": "User is banned"}'),
        (403, "not json"),
        (404, '{"code": 404, "msg": "User not found"}'),
        (401, '{"code": 401, "msg": "Invalid token"}'),
        (401, '{"error_code": "bad_jwt"}'),
        (200, f'{{"id": "{new_id()}"}}'),
        (200, f'{{"id": "{SAVER}", "banned_until": "2026-11-25T09:00:01Z"}}'),
    ],
    ids=range(8),
)
async def test_a_no_of_auths_ends_the_session(status: int, body: str) -> None:
    with pytest.raises(SessionEnded) as refused:
        await is_live(Auth(status, body))
    assert refused.value.status == 401
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


async def test_a_ban_that_is_over_does_not_count() -> None:
    await is_live(Auth(200, f'{{"id": "{SAVER}", "banned_until": "2026-11-25T09:00:00Z", "more": 1}}'))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, ""),
        (502, "<html>"),
        (429, '{"code": 429, "error_code": "over_request_rate_limit"}'),
        (302, ""),
        (400, '{"code": 400, "error_code": "validation_failed"}'),
        (401, '{"message": "Invalid API key", "hint": "Double check your Supabase anon key."}'),
        (401, "Unauthorized"),
        (200, "<html>Sign in to the network</html>"),
        (200, "{}"),
        (200, '{"id": "wanjiku"}'),
        (200, f'{{"id": "{SAVER}", "banned_until": "some day"}}'),
    ],
    ids=range(11),
)
async def test_what_is_neither_yes_nor_no_lets_nobody_through_and_says_try_again(
    status: int, body: str
) -> None:
    with pytest.raises(AuthUnavailable) as refused:
        await is_live(Auth(status, body))
    assert refused.value.status == 503
    assert refused.value.retry_after == 1


async def test_an_auth_that_is_silent_is_not_waited_for_and_one_that_is_gone_is_away() -> None:
    with pytest.raises(AuthUnavailable):
        await is_live(Auth(delay_s=0.5), timeout_s=0.05)
    async with served(Auth().app) as url:
        pass
    async with asking(url) as checker:
        with pytest.raises(AuthUnavailable):
            await checker.ensure_live("a.b.c", saver_id=SAVER)


async def test_neither_the_token_nor_the_key_is_logged() -> None:
    with logging_as_the_service_does() as log, pytest.raises(AuthUnavailable):
        await is_live(Auth(500))
    assert log.events("session_not_checked")[0]["answered"] == 500
    assert "a.b.c" not in log.text
    assert KEY not in log.text


async def test_signing_out_or_being_banned_ends_a_token_that_would_be_good_for_an_hour(
    tmp_path: Path,
) -> None:
    mint = TokenMint(tmp_path, issuer=ISSUER)
    token, other = mint.mint(SAVER), mint.mint(SAVER)
    async with served(create_auth_app(mint)) as url, asking(url) as checker, httpx.AsyncClient() as client:
        await checker.ensure_live(token, saver_id=SAVER)
        bearer = {"Authorization": f"Bearer {token}", "apikey": KEY}
        await client.post(f"{url}/auth/v1/logout?scope=local", headers=bearer)
        with pytest.raises(SessionEnded):
            await checker.ensure_live(token, saver_id=SAVER)
        await checker.ensure_live(other, saver_id=SAVER)
        await client.put(f"{url}/auth/v1/admin/users/{SAVER}", json={"ban_duration": "1h"})
        with pytest.raises(SessionEnded):
            await checker.ensure_live(other, saver_id=SAVER)


async def test_a_token_that_auth_signed_for_another_saver_is_of_no_use(tmp_path: Path) -> None:
    mint = TokenMint(tmp_path, issuer=ISSUER)
    async with served(create_auth_app(mint)) as url, asking(url) as checker:
        with pytest.raises(SessionEnded):
            await checker.ensure_live(mint.mint(new_id()), saver_id=SAVER)
