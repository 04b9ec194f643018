"""The profile: names can be changed and are nobody else's to read, a number cannot be edited."""

import json

import pytest

from tests.support.app import Api
from tests.support.savers import Saver, answered, code_of, refused_fields

FORBIDDEN_IN_TEXT = [r"\u0000", r"Wan\u0000jiku", r"\ud800", r"Wan\udc00jiku"]


async def test_names_are_set_and_read_back(saver: Saver) -> None:
    changed = answered(
        await saver.patch("/users/me", {"first_name": "Wanjikũ", "last_name": "  Ochieng' O. "})
    )
    assert (changed["first_name"], changed["last_name"]) == ("Wanjikũ", "Ochieng' O.")
    assert answered(await saver.get("/users/me")) == changed


async def test_what_the_body_leaves_out_stays(saver: Saver) -> None:
    await saver.patch("/users/me", {"first_name": "Wanjiku", "last_name": "Otieno"})
    changed = answered(await saver.patch("/users/me", {"last_name": "Kamau"}))
    assert (changed["first_name"], changed["last_name"]) == ("Wanjiku", "Kamau")


async def test_null_takes_a_name_away(saver: Saver) -> None:
    await saver.patch("/users/me", {"first_name": "Wanjiku", "last_name": "Otieno"})
    changed = answered(await saver.patch("/users/me", {"first_name": None}))
    assert (changed["first_name"], changed["last_name"]) == (None, "Otieno")


async def test_an_empty_body_changes_nothing(saver: Saver) -> None:
    before = answered(await saver.patch("/users/me", {"first_name": "Wanjiku"}))
    assert answered(await saver.patch("/users/me", {})) == before


@pytest.mark.parametrize("phone", ["254712345678", "", None, 7, {"new": "254712345678"}], ids=repr)
async def test_a_phone_in_the_body_is_refused_and_nothing_else_is_changed(
    saver: Saver, phone: object
) -> None:
    before = answered(await saver.get("/users/me"))
    refused = await saver.patch("/users/me", {"phone": phone, "first_name": "Mallory"})
    assert code_of(refused) == (422, "phone_not_editable")
    assert answered(await saver.get("/users/me")) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kyc_tier": 3}, "kyc_tier"),
        ({"member_code": "00000000"}, "member_code"),
        ({"first_name": ""}, "first_name"),
        ({"first_name": " \t "}, "first_name"),
        ({"first_name": "x" * 61}, "first_name"),
        ({"first_name": 7}, "first_name"),
        ({"last_name": ["Otieno"]}, "last_name"),
    ],
    ids=str,
)
async def test_what_is_no_name_is_refused_by_its_field(saver: Saver, body: object, field: str) -> None:
    assert refused_fields(await saver.patch("/users/me", body)) == {field}


@pytest.mark.parametrize("escaped", FORBIDDEN_IN_TEXT)
async def test_text_that_cannot_be_stored_is_refused(api: Api, saver: Saver, escaped: str) -> None:
    refused = await api.client.patch(
        "/api/v1/users/me",
        content=f'{{"first_name": "{escaped}"}}',
        headers={"Authorization": f"Bearer {saver.token}", "Content-Type": "application/json"},
    )
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_no_object_is_refused(saver: Saver) -> None:
    for body in ([], "Wanjiku", 7):
        assert (await saver.patch("/users/me", body)).status_code == 422


async def test_names_and_numbers_are_nowhere_in_clear(api: Api, saver: Saver) -> None:
    await saver.patch("/users/me", {"first_name": "Wanjikuvery", "last_name": "Otienorare"})
    rows = await api.rows(
        """
        SELECT s::text AS row FROM savings.savers AS s WHERE saver_id = $1
         UNION ALL
        SELECT a::text FROM savings.mpesa_accounts AS a WHERE saver_id = $1
        """,
        saver.id,
    )
    assert len(rows) == 2
    assert saver.phone is not None
    stored = json.dumps([row["row"] for row in rows])
    for secret in ("Wanjikuvery", "Otienorare", saver.phone, saver.phone[3:]):
        assert secret not in stored
        assert secret.encode().hex() not in stored


async def test_the_same_name_twice_is_stored_as_different_bytes(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    for each in (saver, other):
        await each.patch("/users/me", {"first_name": "Wanjiku", "last_name": "Wanjiku"})
    rows = await api.rows(
        "SELECT first_name, last_name FROM savings.savers WHERE saver_id = ANY ($1)", [saver.id, other.id]
    )
    assert len({sealed for row in rows for sealed in row}) == 4
