"""The numbers a saver holds: proven by a shilling, one of them the default, unlinked again, and never two savers'."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.support.app import Api
from tests.support.prompts import Prompter
from tests.support.savers import (
    Json,
    Saver,
    answered,
    code_of,
    new_key,
    new_phone,
    new_receipt,
    refused_fields,
)
from zanari_api.runtime.db import Role, Tx
from zanari_api.users import linking
from zanari_api.users import service as users
from zanari_api.users.linking import LinkOutcome


@pytest.fixture
def prompter(api: Api) -> Prompter:
    return Prompter(api)


async def numbers_of(saver: Saver) -> list[Json]:
    return answered(await saver.get("/mpesa/accounts"))["data"]


async def ask_link(saver: Saver, phone: str) -> Json:
    return answered(await saver.post("/mpesa/accounts", {"phone": phone}), 202)


async def link(api: Api, saver: Saver, phone: str | None = None) -> Json:
    """Link a number by its shilling. Returns it as listed."""
    phone = phone or new_phone()
    await ask_link(saver, phone)
    await api.work()
    (number,) = [number for number in await numbers_of(saver) if number["phone"] == f"+{phone}"]
    return number


async def is_held(api: Api, saver: Saver) -> list[str]:
    """Return why the saver's payouts are held."""
    rows = await api.rows(
        "SELECT cause FROM savings.payout_holds WHERE saver_id = $1 AND held_until > $2 ORDER BY created_at",
        saver.id,
        api.clock.now(),
    )
    return [row["cause"] for row in rows]


async def proven_since(api: Api, saver: Saver, *, days: int) -> None:
    """Have a saver's numbers proven earlier than they were."""
    since = api.clock.now() - timedelta(days=days)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = $2, proven_at = NULL WHERE saver_id = $1",
        saver.id,
        since,
    )


# Proof by a shilling


async def test_a_number_that_paid_a_shilling_is_linked_and_the_shilling_is_in_the_wallet(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    second = new_phone()
    asked = await ask_link(saver, second)
    assert (asked["purpose"], asked["state"], asked["amount_cents"]) == ("account_link", "requested", 100)
    await api.work()
    read = await prompter.read(saver, asked)
    assert read["state"] == "settled"
    assert read["text"] == "The number is linked to you, and the shilling is in your wallet."
    assert await saver.holds() == (100, 0, 0)
    first, added = await numbers_of(saver)
    assert (first["phone"], first["is_default"], first["proven_by"]) == (
        f"+{saver.phone}",
        True,
        "supabase_auth",
    )
    assert (added["phone"], added["is_default"], added["proven_by"]) == (f"+{second}", False, "stk_push")
    (row,) = await saver.feed()
    told = (await saver.transaction(row))["explanation"]["text"]
    assert told.endswith("It proved that the number is yours: it is linked now.")
    answered(await api.tell_spend(14_700, phone=second))
    assert len(await saver.feed(type="spend")) == 1


async def test_a_number_beside_the_first_holds_payouts_and_a_first_one_does_not(
    api: Api, saver: Saver
) -> None:
    await link(api, saver)
    assert await is_held(api, saver) == ["number_added"]
    nobody = await api.new_saver(phone=None)
    number = await link(api, nobody)
    assert number["is_default"]
    assert await is_held(api, nobody) == []


async def test_a_prompt_that_is_turned_down_links_nothing(api: Api, saver: Saver, prompter: Prompter) -> None:
    second = new_phone()
    await api.emulator.set_handset(second, behaviour="cancel")
    asked = await ask_link(saver, second)
    await api.work()
    assert await prompter.state(saver, asked) == ("failed", "cancelled")
    assert len(await numbers_of(saver)) == 1
    assert await is_held(api, saver) == []


@pytest.mark.parametrize("written", ["+{0}", "0{1}", "+254 {1}", "00{0}"])
async def test_the_number_may_be_written_as_people_write(api: Api, saver: Saver, written: str) -> None:
    phone = new_phone()
    await ask_link(saver, written.format(phone, phone[3:]))
    await api.work()
    assert f"+{phone}" in {number["phone"] for number in await numbers_of(saver)}


@pytest.mark.parametrize("written", ["", "12345", "+44 7700 900123", "0712 345 678 9", "my number"])
async def test_what_is_no_kenyan_mobile_number_is_refused_and_not_repeated(
    saver: Saver, written: str
) -> None:
    refused = await saver.post("/mpesa/accounts", {"phone": written})
    assert refused_fields(refused) == {"phone"}
    assert not written or written not in refused.text


async def test_a_number_of_ones_own_is_not_asked_again(saver: Saver) -> None:
    refused = await saver.post("/mpesa/accounts", {"phone": saver.phone})
    assert code_of(refused) == (409, "number_already_linked")


async def test_the_confirmation_alone_links_the_number_too(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    second = new_phone()
    await api.emulator.set_handset(second, behaviour="ask")
    asked = await ask_link(saver, second)
    await api.work()
    intent = await prompter.intent(asked)
    await prompter.pay(intent, receipt=(receipt := new_receipt()), cents=100)
    await prompter.pay(intent, receipt=receipt, cents=100)
    assert len(await numbers_of(saver)) == 2
    assert await saver.holds() == (100, 0, 0)


async def test_the_key_is_needed_and_makes_one_prompt_of_many_requests(api: Api, saver: Saver) -> None:
    phone, key = new_phone(), new_key()
    missing = await saver.post("/mpesa/accounts", {"phone": phone}, key=None)
    assert code_of(missing) == (400, "idempotency_key_required")
    first = await saver.post("/mpesa/accounts", {"phone": phone}, key=key)
    await api.work()
    again = await saver.post("/mpesa/accounts", {"phone": phone}, key=key)
    assert again.content == first.content
    assert phone[-9:] not in first.text


async def test_strangers_phones_cannot_be_made_to_ring_all_day(api: Api, saver: Saver) -> None:
    for _ in range(5):
        phone = new_phone()
        await api.emulator.set_handset(phone, behaviour="cancel")
        await ask_link(saver, phone)
        await api.work()
    refused = await saver.post("/mpesa/accounts", {"phone": new_phone()})
    assert code_of(refused) == (429, "too_many_links_asked")


async def test_who_asks_for_number_after_number_does_not_learn_which_are_savers(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    others = [await api.new_saver() for _ in range(5)]
    key = new_key()
    for other in others[:4]:
        refused = await saver.post("/mpesa/accounts", {"phone": other.phone}, key=key)
        assert code_of(refused) == (409, "phone_in_use")
    await ask_link(saver, new_phone())
    for phone in (others[4].phone, new_phone()):
        refused = await saver.post("/mpesa/accounts", {"phone": phone})
        assert code_of(refused) == (429, "too_many_links_asked")
    api.clock.advance(timedelta(days=1))
    asked = await ask_link(saver, new_phone())
    assert asked["state"] == "requested"


async def test_while_a_prompt_is_open_a_savers_number_is_answered_as_any_other(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    other = await api.new_saver()
    await prompter.prompted(saver)
    answers = [
        code_of(await saver.post("/mpesa/accounts", {"phone": phone})) for phone in (other.phone, new_phone())
    ]
    assert answers == [(409, "prompt_open")] * 2


# Whose it is


async def test_a_number_that_another_saver_proved_lately_stays_theirs(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    refused = await saver.post("/mpesa/accounts", {"phone": other.phone})
    assert code_of(refused) == (409, "phone_in_use")
    await proven_since(api, other, days=179)
    refused = await saver.post("/mpesa/accounts", {"phone": other.phone})
    assert code_of(refused) == (409, "phone_in_use")


async def test_a_number_that_nobody_proved_for_half_a_year_goes_to_who_can_pay_from_it(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    other = await api.new_saver()
    await proven_since(api, other, days=181)
    waiting = await prompter.ask(other)
    assert other.phone is not None
    await link(api, saver, other.phone)
    assert await numbers_of(other) == []
    assert await is_held(api, saver) == ["number_moved"]
    assert (await prompter.read(other, waiting))["state"] in {"settled", "failed"}
    (ended,) = await api.rows(
        "SELECT unlinked_because FROM savings.mpesa_accounts WHERE saver_id = $1", other.id
    )
    assert ended["unlinked_because"] == "proven_by_another_saver"


async def test_who_lost_a_number_is_not_prompted_on_it(api: Api, saver: Saver, prompter: Prompter) -> None:
    other = await api.new_saver()
    assert other.phone is not None
    await proven_since(api, other, days=181)
    await api.emulator.set_handset(other.phone, behaviour="ask")
    asked = await ask_link(saver, other.phone)
    await api.work()
    waiting = await prompter.ask(other)
    await prompter.pay(await prompter.intent(asked), receipt=new_receipt(), cents=100)
    await api.work()
    assert await prompter.state(other, waiting) == ("failed", "number_unlinked")


async def test_a_number_that_changed_hands_while_its_prompt_was_open_is_not_linked_but_credited(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    phone = new_phone()
    await api.emulator.set_handset(phone, behaviour="ask")
    asked = await ask_link(saver, phone)
    await api.work()
    other = await api.new_saver(phone=phone)
    await api.emulator.answer(phone, "approve")
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("settled", "phone_in_use")
    assert read["text"].startswith("The shilling is in your wallet.")
    assert await saver.holds() == (100, 0, 0)
    assert [number["phone"] for number in await numbers_of(other)] == [f"+{phone}"]
    assert len(await numbers_of(saver)) == 1
    assert await is_held(api, saver) == []


async def test_a_number_that_became_the_savers_meanwhile_is_simply_theirs(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    phone = new_phone()
    await api.emulator.set_handset(phone, behaviour="ask")
    asked = await ask_link(saver, phone)
    await api.work()
    token = api.token(saver.id, phone)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}))
    await api.emulator.answer(phone, "approve")
    await api.work()
    assert await prompter.state(saver, asked) == ("settled", None)
    assert len(await numbers_of(saver)) == 2


async def test_of_savers_who_pay_from_one_number_at_once_one_holds_it(api: Api) -> None:
    phone, prompter = new_phone(), Prompter(api)
    savers = [await api.new_saver(phone=None) for _ in range(3)]
    intents = []
    for saver in savers:
        asked = await ask_link(saver, phone)
        intents.append(await prompter.intent(asked))
    await asyncio.gather(*(prompter.pay(intent, receipt=new_receipt(), cents=100) for intent in intents))
    assert sorted([len(await numbers_of(saver)) for saver in savers]) == [0, 0, 1]
    assert [await saver.holds() for saver in savers] == [(100, 0, 0)] * 3


async def test_a_holder_who_is_not_locked_makes_the_work_run_again(api: Api, saver: Saver) -> None:
    other = await api.new_saver(phone=None)
    keys = await api.runtime.service_keys.keys()
    assert saver.phone is not None
    index, phone = keys.index.number(saver.phone), saver.phone
    seen: list[set[UUID]] = []

    async def link_again(tx: Tx) -> LinkOutcome:
        locked = await linking.holders(tx, blind_index=index) if seen else set[UUID]()
        seen.append(locked)
        savers = await users.lock_savers(tx, saver_ids=sorted(locked | {other.id}))
        outcome, _ = await linking.link_proven_by_payment(
            tx,
            saver_id=other.id,
            msisdn=phone,
            blind_index=index,
            data_key=users.data_key_of(savers[other.id], api.runtime.keyring),
            locked=set(savers),
            now=api.clock.now(),
        )
        return outcome

    assert await api.db.unit_of_work(link_again, role=Role.SYSTEM) is LinkOutcome.IN_USE
    assert seen == [set(), {saver.id}]


async def test_a_sign_in_with_the_number_proves_it_anew(api: Api, saver: Saver) -> None:
    await proven_since(api, saver, days=200)
    token = api.token(saver.id, saver.phone, iat=int(time.time()) - 5)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}))
    other = await api.new_saver()
    refused = await other.post("/mpesa/accounts", {"phone": saver.phone})
    assert code_of(refused) == (409, "phone_in_use")


# The default


async def test_the_default_is_the_number_chosen_last_and_always_exactly_one(api: Api, saver: Saver) -> None:
    second, third = await link(api, saver), await link(api, saver)
    for chosen in (third, second, third):
        shown = answered(await saver.patch(f"/mpesa/accounts/{chosen['id']}", {"is_default": True}))
        assert shown == {**chosen, "is_default": True}
        listed = await numbers_of(saver)
        assert [number["id"] for number in listed if number["is_default"]] == [chosen["id"]]
        assert listed[0]["id"] == chosen["id"]


async def test_a_default_that_is_unlinked_leaves_its_place_to_the_one_before(api: Api, saver: Saver) -> None:
    second, third = await link(api, saver), await link(api, saver)
    for chosen in (second, third):
        answered(await saver.patch(f"/mpesa/accounts/{chosen['id']}", {"is_default": True}))
    for expected in (second["phone"], f"+{saver.phone}"):
        listed = await numbers_of(saver)
        assert (await saver.delete(f"/mpesa/accounts/{listed[0]['id']}")).status_code == 204
        assert (await numbers_of(saver))[0]["phone"] == expected


async def test_a_default_cannot_be_taken_away_without_another(saver: Saver) -> None:
    (number,) = await numbers_of(saver)
    refused = await saver.patch(f"/mpesa/accounts/{number['id']}", {"is_default": False})
    assert refused_fields(refused) == {"is_default"}


# Unlinking


async def test_an_unlinked_number_has_no_spends_and_no_prompts(api: Api, saver: Saver) -> None:
    (number,) = await numbers_of(saver)
    assert (await saver.delete(f"/mpesa/accounts/{number['id']}")).status_code == 204
    assert await numbers_of(saver) == []
    assert (await saver.spend(14_700))["status"] == "unmatched"
    assert code_of(await saver.delete(f"/mpesa/accounts/{number['id']}")) == (404, "account_not_linked")
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 50_000, "account_id": number["id"]})
    assert code_of(refused) == (404, "account_not_linked")


async def test_another_savers_number_can_neither_be_chosen_nor_unlinked(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    (number,) = await numbers_of(other)
    for account_id in (number["id"], str(uuid4())):
        chosen = await saver.patch(f"/mpesa/accounts/{account_id}", {"is_default": True})
        assert code_of(chosen) == (404, "account_not_linked")
        assert code_of(await saver.delete(f"/mpesa/accounts/{account_id}")) == (404, "account_not_linked")
    assert await numbers_of(other) == [number]


async def test_a_number_with_a_prompt_under_way_stays_until_that_is_over(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    (number,) = await numbers_of(saver)
    await prompter.prompted(saver)
    refused = await saver.delete(f"/mpesa/accounts/{number['id']}")
    assert code_of(refused) == (409, "account_in_use")
    await prompter.tell(prompter.handle(saver), code=1032)
    assert (await saver.delete(f"/mpesa/accounts/{number['id']}")).status_code == 204


async def test_a_sign_in_does_not_bring_back_what_the_saver_removed_but_a_shilling_does(
    api: Api, saver: Saver
) -> None:
    (number,) = await numbers_of(saver)
    await saver.delete(f"/mpesa/accounts/{number['id']}")
    newer = api.token(saver.id, saver.phone, iat=int(time.time()) + 5)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {newer}"}))
    assert await numbers_of(saver) == []
    assert saver.phone is not None
    back = await link(api, saver, saver.phone)
    assert back["proven_by"] == "stk_push"
    assert await is_held(api, saver) == ["number_proven_again"]
