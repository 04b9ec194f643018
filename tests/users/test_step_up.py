"""A step-up token: good once, for its saver and purpose, for five minutes, in the transaction of what it allows."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from tests.support.app import Api
from tests.support.pins import OTHER_PIN, PIN, enter_pin, put_pin, signed_in, step_up_token, with_pin
from tests.support.savers import Saver, answered
from zanari_api.runtime.db import Role, Tx
from zanari_api.users import step_up
from zanari_api.users.step_up import Purpose, StepUpRequired


@pytest.fixture
async def saver(api: Api) -> Saver:
    """A saver with a PIN."""
    return await with_pin(await api.new_saver())


async def spend(
    api: Api, saver: Saver, token: str | None, *, purpose: str = "withdrawal", role: Role = Role.API
) -> None:
    """Spend a token as a withdrawal does: in a transaction of the saver's own."""

    async def work(tx: Tx) -> None:
        await step_up.spend(
            tx, saver_id=saver.id, purpose=cast("Purpose", purpose), token=token, now=api.clock.now()
        )

    await api.db.unit_of_work(work, role=role, saver_id=saver.id)


async def is_refused(api: Api, saver: Saver, token: str | None, *, purpose: str = "withdrawal") -> bool:
    try:
        await spend(api, saver, token, purpose=purpose)
    except StepUpRequired:
        return True
    return False


@pytest.mark.parametrize("role", [Role.API, Role.SYSTEM])
async def test_a_token_is_good_once(api: Api, saver: Saver, role: Role) -> None:
    token = await step_up_token(saver)
    await spend(api, saver, token, role=role)
    assert await is_refused(api, saver, token)


async def test_a_token_says_what_it_is_for_and_until_when(api: Api, saver: Saver) -> None:
    before = api.clock.now()
    answer = answered(await enter_pin(saver), 201)
    assert answer["purpose"] == "withdrawal"
    assert len(answer["token"]) == 43
    expires_at = datetime.fromisoformat(answer["expires_at"])
    assert before + timedelta(minutes=5) <= expires_at <= api.clock.now() + timedelta(minutes=5)


async def test_a_token_lasts_five_minutes(api: Api, saver: Saver) -> None:
    in_time, too_late = await step_up_token(saver), await step_up_token(saver)
    api.clock.advance(minutes=4, seconds=50)
    assert not await is_refused(api, saver, in_time)
    api.clock.advance(seconds=11)
    assert await is_refused(api, saver, too_late)


@pytest.mark.parametrize(
    "token", [None, "", "A" * 43, "x" * 100_000, "é", "\x00", "'; --"], ids=lambda t: repr(t)[:9]
)
async def test_what_is_no_token_is_refused(api: Api, saver: Saver, token: str | None) -> None:
    await step_up_token(saver)
    assert await is_refused(api, saver, token)


async def test_the_refusal_says_what_to_do(api: Api, saver: Saver) -> None:
    with pytest.raises(StepUpRequired, match="Confirm with your PIN first") as refused:
        await spend(api, saver, None)
    assert (refused.value.status, refused.value.code) == (403, "step_up_required")


async def test_the_stored_hash_is_no_token(api: Api, saver: Saver) -> None:
    await step_up_token(saver)
    (row,) = await api.rows("SELECT token_hash FROM savings.step_up_tokens WHERE saver_id = $1", saver.id)
    assert await is_refused(api, saver, row["token_hash"].hex())


async def test_a_token_is_of_no_use_to_another_saver(api: Api, saver: Saver) -> None:
    other = await with_pin(await api.new_saver())
    token = await step_up_token(other)
    assert await is_refused(api, saver, token)
    assert not await is_refused(api, other, token)


async def test_row_level_security_keeps_another_savers_token_from_being_spent(api: Api, saver: Saver) -> None:
    other = await with_pin(await api.new_saver())
    token = await step_up_token(other)

    async def work(tx: Tx) -> None:
        await step_up.spend(tx, saver_id=other.id, purpose="withdrawal", token=token, now=api.clock.now())

    with pytest.raises(StepUpRequired):
        await api.db.unit_of_work(work, role=Role.API, saver_id=saver.id)


async def test_a_token_is_for_its_purpose_alone(api: Api, saver: Saver) -> None:
    token = await step_up_token(saver)
    assert await is_refused(api, saver, token, purpose="erasure")
    assert not await is_refused(api, saver, token)


async def test_a_token_that_is_spent_twice_at_once_works_once(api: Api, saver: Saver) -> None:
    for _ in range(5):
        token = await step_up_token(saver)
        refused = await asyncio.gather(*(is_refused(api, saver, token) for _ in range(6)))
        assert sorted(refused) == [False, True, True, True, True, True]


async def test_a_token_is_spent_with_its_effect_or_not_at_all(api: Api, saver: Saver) -> None:
    token = await step_up_token(saver)

    async def work(tx: Tx) -> None:
        await step_up.spend(tx, saver_id=saver.id, purpose="withdrawal", token=token, now=api.clock.now())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await api.db.unit_of_work(work, role=Role.API, saver_id=saver.id)
    assert not await is_refused(api, saver, token)


async def test_several_tokens_may_wait_at_once(api: Api, saver: Saver) -> None:
    tokens = await asyncio.gather(*(step_up_token(saver) for _ in range(3)))
    assert [await is_refused(api, saver, token) for token in tokens] == [False, False, False]


@pytest.mark.parametrize("how", ["changed", "reset"])
async def test_a_token_of_the_pin_before_is_void(api: Api, saver: Saver, how: str) -> None:
    token = await step_up_token(saver)
    if how == "changed":
        answered(await put_pin(saver, OTHER_PIN, current=PIN))
    else:
        answered(await put_pin(signed_in(saver), OTHER_PIN))
    assert await is_refused(api, saver, token)
    assert not await is_refused(api, saver, await step_up_token(saver, OTHER_PIN))


def test_a_token_shows_in_no_representation() -> None:
    shown = repr(step_up.StepUp("a token", "withdrawal", datetime(2026, 11, 25, tzinfo=UTC)))
    assert "a token" not in shown
