"""A saver's PIN: set once, changed by proving it, replaced after a new sign-in, and never to be read anywhere."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from tests.support.app import Api, Serve
from tests.support.observed import logging_as_the_service_does
from tests.support.pins import OTHER_PIN, PIN, WRONG_PIN, enter_pin, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered, code_of, refused_fields
from zanari_api.runtime.session import SessionChecker

# The first PIN


async def test_a_first_pin_is_set_with_a_live_session_alone_and_holds_nothing(api: Api, saver: Saver) -> None:
    before = api.clock.now()
    long_here = signed_in(saver, ago_s=30 * 24 * 3600)
    answer = answered(await put_pin(long_here))
    assert before <= datetime.fromisoformat(answer["set_at"]) <= api.clock.now()
    assert answer["payouts_held_until"] is None
    assert (await enter_pin(saver)).status_code == 201
    assert await holds_of(api, saver) == []


@pytest.mark.parametrize("pin", ["8305", "83052", "830529", "0835"])
async def test_four_to_six_digits_are_a_pin(saver: Saver, pin: str) -> None:
    await with_pin(saver, pin)
    assert (await enter_pin(saver, pin)).status_code == 201


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "830",
        "8305291",
        "83o5",
        "８３０５",
        "8305 ",
        " 8305",
        "8305\n",
        "-8305",
        "8.305",
        8305,
        None,
        ["8305"],
        True,
    ],
    ids=repr,
)
async def test_what_is_no_pin_is_refused_by_its_field_and_not_repeated(saver: Saver, pin: object) -> None:
    refused = await saver.put("/users/me/pin", {"pin": pin})
    assert refused_fields(refused) == {"pin"}
    assert "8305" not in refused.text
    refused = await saver.put("/users/me/pin", {"pin": PIN, "current_pin": pin, "more": 1})
    assert "more" in refused_fields(refused)


@pytest.mark.parametrize(
    ("pin", "why"), [("1111", "repeats"), ("4321", "up or down"), ("1984", "year"), ("2580", "Many people")]
)
async def test_a_pin_that_is_easy_to_guess_is_refused_with_the_reason(
    saver: Saver, pin: str, why: str
) -> None:
    refused = await put_pin(saver, pin)
    assert code_of(refused) == (422, "pin_too_weak")
    assert why in refused.json()["detail"]
    assert code_of(await enter_pin(saver, pin)) == (409, "pin_not_set")


async def test_a_pin_that_is_read_off_the_phone_or_a_receipt_is_refused(api: Api) -> None:
    saver = await api.new_saver(phone="254708364915")
    for pin in ("4915", "83649", "364915", saver.member_code[:4], saver.member_code[-6:]):
        refused = await put_pin(saver, pin)
        assert code_of(refused) == (422, "pin_too_weak"), pin
        assert pin not in refused.json()["detail"]
    other = await api.new_saver(phone=None)
    answered(await put_pin(other, "83649"))


async def test_somebody_without_a_pin_can_neither_enter_nor_change_one(saver: Saver) -> None:
    assert code_of(await enter_pin(saver)) == (409, "pin_not_set")
    assert code_of(await put_pin(saver, current=OTHER_PIN)) == (409, "pin_not_set")


async def test_first_pins_that_are_set_at_once_are_one_pin_and_no_hold(api: Api, saver: Saver) -> None:
    answers = await asyncio.gather(*(put_pin(saver) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["set_at"] for answer in answers}) == 1
    assert await holds_of(api, saver) == []
    assert await stored(api, saver, "version") == 1


async def test_different_first_pins_at_once_never_leave_a_pin_that_nobody_was_told_of(
    api: Api, saver: Saver
) -> None:
    pins = ["8305", "7291", "4826"]
    answers = await asyncio.gather(*(put_pin(saver, pin) for pin in pins))
    assert {answer.status_code for answer in answers} <= {200, 503}
    right = [pin for pin in pins if (await enter_pin(saver, pin)).status_code == 201]
    assert len(right) == 1


# Changing it


async def test_a_pin_is_changed_by_proving_it_and_holds_nothing(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    answer = answered(await put_pin(saver, OTHER_PIN, current=PIN))
    assert answer["payouts_held_until"] is None
    assert (await enter_pin(saver, OTHER_PIN)).status_code == 201
    assert code_of(await enter_pin(saver, PIN)) == (403, "pin_wrong")
    assert await holds_of(api, saver) == []


async def test_a_wrong_proof_changes_nothing_and_counts_as_a_try(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    refused = await put_pin(saver, OTHER_PIN, current=WRONG_PIN)
    assert code_of(refused) == (403, "pin_wrong")
    assert "4 tries are left" in refused.json()["detail"]
    assert await stored(api, saver, "wrong_tries") == 1
    assert (await enter_pin(saver, PIN)).status_code == 201


async def test_a_fresh_sign_in_does_not_stand_in_for_a_wrong_proof(saver: Saver) -> None:
    await with_pin(saver)
    assert code_of(await put_pin(signed_in(saver), OTHER_PIN, current=WRONG_PIN)) == (403, "pin_wrong")


async def test_a_weak_new_pin_is_refused_before_the_old_one_is_looked_at(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    assert code_of(await put_pin(saver, "1234", current=WRONG_PIN)) == (422, "pin_too_weak")
    assert await stored(api, saver, "wrong_tries") == 0


async def test_of_changes_at_once_from_the_same_pin_one_is_made(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    new = ["7291", "4826", "908174"]
    answers = await asyncio.gather(*(put_pin(saver, pin, current=PIN) for pin in new))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403]
    (made,) = (pin for pin, answer in zip(new, answers, strict=True) if answer.status_code == 200)
    assert (await enter_pin(saver, made)).status_code == 201
    assert await stored(api, saver, "version") == 2


# A forgotten one


async def test_a_forgotten_pin_is_replaced_after_a_new_sign_in_and_payouts_wait_two_days(
    api: Api, saver: Saver
) -> None:
    await with_pin(saver)
    before = api.clock.now()
    answer = answered(await put_pin(signed_in(saver, ago_s=200), OTHER_PIN))
    held_until = datetime.fromisoformat(answer["payouts_held_until"])
    assert before + timedelta(hours=48) <= held_until <= api.clock.now() + timedelta(hours=48)
    assert (await enter_pin(saver, OTHER_PIN)).status_code == 201
    assert code_of(await enter_pin(saver, PIN)) == (403, "pin_wrong")
    assert await holds_of(api, saver) == ["pin_reset"]
    assert await stored(api, saver, "reset_at") is not None


@pytest.mark.parametrize(
    "amr", [None, [], [{"method": "token_refresh", "timestamp": 9_999_999_999}]], ids=str
)
async def test_a_token_that_tells_of_no_new_sign_in_replaces_nothing(saver: Saver, amr: object) -> None:
    await with_pin(saver)
    assert code_of(await put_pin(signed_in(saver, amr=amr), OTHER_PIN)) == (403, "fresh_sign_in_required")
    assert (await enter_pin(saver, PIN)).status_code == 201


async def test_a_refreshed_token_of_an_old_sign_in_replaces_nothing(saver: Saver) -> None:
    await with_pin(saver)
    assert code_of(await put_pin(signed_in(saver, ago_s=301), OTHER_PIN)) == (403, "fresh_sign_in_required")


async def test_asking_again_for_the_pin_that_is_set_changes_nothing(api: Api, saver: Saver) -> None:
    first = answered(await put_pin(saver))
    assert answered(await put_pin(signed_in(saver))) == first
    assert await holds_of(api, saver) == []
    stale = signed_in(saver, ago_s=301)
    assert code_of(await put_pin(stale)) == (403, "fresh_sign_in_required")


async def test_a_reset_that_is_asked_again_tells_of_its_hold_until_that_is_over(
    api: Api, saver: Saver
) -> None:
    await with_pin(saver)
    first = answered(await put_pin(signed_in(saver), OTHER_PIN))
    assert answered(await put_pin(signed_in(saver), OTHER_PIN)) == first
    assert await holds_of(api, saver) == ["pin_reset"]
    api.clock.advance(hours=48)
    assert answered(await put_pin(signed_in(saver), OTHER_PIN)) == {**first, "payouts_held_until": None}


async def test_a_reset_to_the_same_pin_after_wrong_tries_is_a_reset(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    await enter_pin(saver, WRONG_PIN)
    assert answered(await put_pin(signed_in(saver)))["payouts_held_until"] is not None
    assert await stored(api, saver, "wrong_tries") == 0


# Whose it is, and what shows of it


async def test_two_savers_with_the_same_pin_have_nothing_in_common(api: Api, saver: Saver) -> None:
    other = await with_pin(await api.new_saver())
    await with_pin(saver)
    assert await stored(api, saver, "hash") != await stored(api, other, "hash")
    await enter_pin(other, WRONG_PIN)
    assert await stored(api, saver, "wrong_tries") == 0


async def test_no_pin_and_no_token_is_stored_or_logged_in_clear(api: Api, saver: Saver) -> None:
    with logging_as_the_service_does() as log:
        await with_pin(saver, "830529")
        token = answered(await enter_pin(saver, "830529"), 201)["token"]
        await put_pin(saver, "604917", current="908174")
        await enter_pin(saver, "501938")
        await put_pin(saver, "83052x")
        await put_pin(signed_in(saver), "720514")
    rows = await api.rows(
        """
        SELECT p::text AS row FROM savings.pins AS p WHERE saver_id = $1
         UNION ALL
        SELECT t::text FROM savings.step_up_tokens AS t WHERE saver_id = $1
        """,
        saver.id,
    )
    assert len(rows) == 2
    shown = log.text + "".join(row["row"] for row in rows)
    assert log.events("request_refused")
    for secret in (
        "604917",
        "908174",
        "501938",
        "83052x",
        "720514",
        token[:20],
        token[:20].encode().hex(),
        "argon2",
    ):
        assert secret not in shown, secret
    assert b"argon2".hex() not in shown


async def test_the_answer_with_a_token_is_kept_by_nobody(saver: Saver) -> None:
    await with_pin(saver)
    answer = await enter_pin(saver)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"token", "purpose", "expires_at"}


@pytest.mark.parametrize("purpose", ["", "deposit", "WITHDRAWAL", None, 1], ids=repr)
async def test_a_purpose_that_there_is_not_is_refused_and_no_pin_is_tried(
    api: Api, saver: Saver, purpose: object
) -> None:
    await with_pin(saver)
    refused = await saver.post("/users/me/pin/verifications", {"pin": WRONG_PIN, "purpose": purpose})
    assert refused_fields(refused) == {"purpose"}
    assert await stored(api, saver, "wrong_tries") == 0


# The session


async def call_every_route(saver: Saver) -> list[httpx.Response]:
    return [await put_pin(saver), await put_pin(saver, OTHER_PIN, current=PIN), await enter_pin(saver)]


async def test_a_session_that_was_signed_out_can_do_nothing_with_a_pin(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    bearer = {"Authorization": f"Bearer {saver.token}", "apikey": "a key"}
    async with httpx.AsyncClient() as auth:
        await auth.post(f"{api.auth.auth_url}/logout?scope=global", headers=bearer)
    for refused in await call_every_route(saver):
        assert code_of(refused) == (401, "session_ended")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert (await saver.get("/users/me")).status_code == 200
    assert (await enter_pin(signed_in(saver))).status_code == 201


async def test_a_banned_saver_can_do_nothing_with_a_pin(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    async with httpx.AsyncClient() as auth:
        await auth.put(f"{api.auth.auth_url}/admin/users/{saver.id}", json={"ban_duration": "1h"})
    for refused in await call_every_route(signed_in(saver)):
        assert code_of(refused) == (401, "session_ended")


async def test_while_auth_is_away_no_pin_is_set_or_tried_and_the_answer_is_try_again(
    serve: Serve, api: Api, saver: Saver
) -> None:
    await with_pin(saver)
    async with serve() as alone:
        await alone.runtime.sessions.close()
        alone.runtime.sessions = SessionChecker(auth_url="http://127.0.0.1:9/auth/v1", api_key="a key")
        for refused in await call_every_route(replace(saver, api=alone)):
            assert code_of(refused) == (503, "auth_unavailable")
            assert refused.headers["retry-after"] == "1"
        assert (await replace(saver, api=alone).get("/users/me")).status_code == 200
    assert await stored(api, saver, "version") == 1


async def stored(api: Api, saver: Saver, column: str) -> object:
    (row,) = await api.rows("SELECT * FROM savings.pins WHERE saver_id = $1", saver.id)
    return row[column]


async def holds_of(api: Api, saver: Saver) -> list[str]:
    rows = await api.rows("SELECT cause FROM savings.payout_holds WHERE saver_id = $1", saver.id)
    return [row["cause"] for row in rows]
