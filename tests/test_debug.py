"""DEBUG answers an unexpected failure with its traceback; without it nothing of the failure is told."""

import httpx
import pytest

from tests.support.app import settings_for
from tests.support.postgres import Database
from zanari_api.assembly import NOBODY
from zanari_api.main import create_app

TOLD_TO_NOBODY = "what only a developer may read"


@pytest.mark.parametrize("debug", [False, True])
async def test_a_traceback_is_answered_in_debug_alone(database: Database, *, debug: bool) -> None:
    app = create_app(settings_for(database, debug=debug), stead=NOBODY)

    @app.get("/breaks")
    async def breaks() -> None:  # pyright: ignore[reportUnusedFunction]
        raise RuntimeError(TOLD_TO_NOBODY)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://zanari.test") as client:
        answer = await client.get("/breaks")
    assert answer.status_code == 500
    assert (TOLD_TO_NOBODY in answer.text) is debug
