"""The first call of a new person makes the saver, whole and once."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.support.app import Api
from tests.support.savers import Saver, answered, code_of, new_phone
from zanari_api.kit.damm import is_member_code

ME = "/api/v1/users/me"


async def test_the_first_call_makes_the_profile(api: Api) -> None:
    saver_id, phone = uuid4(), new_phone()
    profile = answered(await api.client.get(ME, headers=bearer(api.token(saver_id, phone))))
    assert UUID(profile["id"]) == saver_id
    assert profile["phone"] == f"+{phone}"
    assert (profile["first_name"], profile["last_name"], profile["kyc_tier"]) == (None, None, 0)
    assert is_member_code(profile["member_code"])
    assert set(profile) == {"id", "member_code", "phone", "first_name", "last_name", "kyc_tier", "created_at"}


async def test_a_new_saver_has_one_goal_which_takes_whatever_no_other_takes(saver: Saver) -> None:
    (goal,) = await saver.goals()
    assert goal["name"] == "Spare change"
    assert goal["is_default"]
    assert goal["status"] == "active"
    assert (goal["target_cents"], goal["allocation_percent"], goal["due_on"]) == (None, None, None)


async def test_twenty_first_calls_at_once_make_one_saver(api: Api) -> None:
    saver_id, phone = uuid4(), new_phone()
    headers = bearer(api.token(saver_id, phone))
    answers = await asyncio.gather(*(api.client.get(ME, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    (made,) = await api.rows(
        """
        SELECT (SELECT count(*) FROM savings.savers WHERE saver_id = $1) AS savers,
               (SELECT count(*) FROM savings.goals WHERE saver_id = $1) AS goals,
               (SELECT count(*) FROM savings.round_up_rules WHERE saver_id = $1) AS rules,
               (SELECT count(*) FROM savings.mpesa_accounts WHERE saver_id = $1) AS numbers,
               (SELECT array_agg(kind ORDER BY kind) FROM ledger.accounts WHERE saver_id = $1) AS accounts
        """,
        saver_id,
    )
    assert dict(made) == {"savers": 1, "goals": 1, "rules": 1, "numbers": 1, "accounts": ["goal", "wallet"]}


async def test_twenty_first_calls_with_different_tokens_link_the_number_once(api: Api) -> None:
    saver_id, phone = uuid4(), new_phone()
    tokens = [api.token(saver_id, phone, iat=1_790_000_000 - n) for n in range(20)]
    answers = await asyncio.gather(*(api.client.get(ME, headers=bearer(token)) for token in tokens))
    assert {answered(answer)["phone"] for answer in answers} == {f"+{phone}"}
    linked = await api.rows("SELECT FROM savings.mpesa_accounts WHERE saver_id = $1", saver_id)
    assert len(linked) == 1


async def test_every_route_provisions_not_only_the_profile(api: Api) -> None:
    headers = bearer(api.token(uuid4()))
    assert answered(await api.client.get("/api/v1/goals", headers=headers))["data"][0]["is_default"]


async def test_no_two_savers_get_one_member_code(api: Api) -> None:
    savers = await asyncio.gather(*(api.new_saver() for _ in range(12)))
    codes = {saver.member_code for saver in savers}
    assert len(codes) == 12
    assert all(is_member_code(code) for code in codes)


async def test_a_token_without_a_phone_makes_a_saver_without_a_number(api: Api) -> None:
    saver = await api.new_saver(phone=None)
    assert answered(await saver.get("/users/me"))["phone"] is None


@pytest.mark.parametrize("phone", ["+447911123456", "254201234567"])
async def test_a_phone_that_mpesa_cannot_have_is_not_linked_and_no_obstacle(api: Api, phone: str) -> None:
    saver = await api.new_saver(phone=phone)
    assert answered(await saver.get("/users/me"))["phone"] is None


@pytest.mark.parametrize(
    "claims",
    [{"role": "anon"}, {"role": "service_role"}, {"is_anonymous": True}, {"aud": "anon"}],
    ids=str,
)
async def test_whoever_has_not_signed_in_for_good_is_no_saver(api: Api, claims: dict[str, object]) -> None:
    saver_id = uuid4()
    refused = await api.client.get(ME, headers=bearer(api.token(saver_id, new_phone(), **claims)))
    assert code_of(refused) == (401, "invalid_token")
    assert await api.rows("SELECT FROM savings.savers WHERE saver_id = $1", saver_id) == []


async def test_a_token_whose_subject_is_no_uuid_speaks_for_nobody(api: Api) -> None:
    refused = await api.client.get(ME, headers=bearer(api.token("wanjiku")))
    assert code_of(refused) == (401, "invalid_token")


async def test_without_a_token_there_is_nobody(api: Api) -> None:
    refused = await api.client.get(ME)
    assert code_of(refused) == (401, "token_missing")
    assert refused.headers["www-authenticate"] == "Bearer"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
