"""What tests of notices do: find the rows, work on them as one worker does, and read the handsets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.support.app import Api
from tests.support.pins import OTHER_PIN, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered
from zanari_api.runtime.jobs import RowJob, run_round
from zanari_api.worker import work_of


async def notices_of(api: Api, saver: Saver) -> list[dict[str, Any]]:
    rows = await api.rows(
        "SELECT * FROM savings.notices WHERE saver_id = $1 ORDER BY created_at, id", saver.id
    )
    return [dict(row) for row in rows]


async def reset_pin(saver: Saver, pin: str = OTHER_PIN) -> datetime:
    """Replace the saver's PIN as one who forgot it; return until when payouts wait."""
    answer = answered(await put_pin(signed_in(saver), pin))
    return datetime.fromisoformat(answer["payouts_held_until"])


async def with_reset_pin(saver: Saver) -> Saver:
    """Give a saver a PIN, and then another in its place: what the first number is told of."""
    await with_pin(saver)
    await reset_pin(saver)
    return saver


async def prove(api: Api, saver: Saver, phone: str, **claims: Any) -> None:
    """Link a number as a sign-in with it does."""
    headers = {"Authorization": f"Bearer {api.token(saver.id, phone, **claims)}"}
    assert answered(await api.client.get("/api/v1/users/me", headers=headers))["phone"] == f"+{phone}"


def got(api: Api, saver: Saver) -> list[str]:
    """Return the texts that the number of a saver's sign-up got."""
    assert saver.phone is not None
    return api.handsets.received_by(saver.phone)


def job(api: Api) -> RowJob[Any]:
    (found,) = [each for each in work_of(api.app.state.parts).jobs if each.name == "notices"]
    return found


async def work_once(api: Api) -> int:
    """Have one worker take on what is due."""
    return await run_round(job(api), database=api.db, clock=api.clock)


async def account_of(api: Api, saver: Saver) -> UUID:
    """Return the link of the number that a saver signed up with."""
    (row,) = await api.rows(
        "SELECT id FROM savings.mpesa_accounts WHERE saver_id = $1 ORDER BY linked_at LIMIT 1", saver.id
    )
    found: UUID = row["id"]
    return found
