"""`zanari callbacks`: an operator sees what came, masked unless there is a reason, and has it acted on again."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.cli.conftest import CommandBeside
from tests.mpesa.callbacks import body_of, kept, path_of
from tests.mpesa.payments import payment
from tests.support.app import Api, Serve
from tests.support.savers import Saver, new_receipt
from zanari_api.mpesa.inbox import CallbackKind

CONFIRMATION = CallbackKind.C2B_CONFIRMATION
PERSON = {"FirstName": "Wanjiku", "LastName": "Kamau", "MSISDN": "254722123456"}


async def post(api: Api, body: bytes, kind: CallbackKind = CONFIRMATION) -> UUID:
    """Have a body posted; return the id it is stored under."""
    await api.call_back(path_of(kind), body)
    return UUID(str((await kept(api, kind, body))["id"]))


async def outcome(api: Api, callback_id: UUID) -> tuple[str, str | None]:
    (row,) = await api.rows("SELECT outcome, note FROM mpesa.callbacks WHERE id = $1", callback_id)
    return row["outcome"], row["note"]


async def acts(api: Api, callback_id: UUID) -> list[dict[str, Any]]:
    """Return what the audit log says of a callback."""
    rows = await api.rows(
        "SELECT * FROM runtime.audit_log WHERE subject = $1 ORDER BY recorded_at", f"callback:{callback_id}"
    )
    return [dict(row) for row in rows]


@pytest.fixture
async def not_ours(api: Api, serve: Serve, saver: Saver) -> AsyncIterator[tuple[Api, UUID]]:
    """A service that has come to run another shortcode too, and a payment to it that was quarantined before."""
    body = payment(saver.member_code, BusinessShortCode="600777", TransAmount="50.00")
    callback_id = await post(api, body)
    async with serve(mpesa_shortcode="600000,600777") as later:
        yield later, callback_id


async def test_callbacks_are_listed_and_filtered(api: Api, saver: Saver, operator: CommandBeside) -> None:
    credited = await post(api, payment(saver.member_code))
    garbage = await post(api, b"garbage", CallbackKind.STK)
    everything = await operator("callbacks", "list")
    assert everything.code == 0
    assert f"{credited}" in everything.out
    assert f"{garbage}" in everything.out
    only = await operator("callbacks", "list", "--outcome", "quarantined", "--kind", "stk")
    (line,) = [line for line in only.out.splitlines() if f"{garbage}" in line]
    assert "unreadable" in line
    assert f"{credited}" not in only.out


async def test_callbacks_are_filtered_by_age(api: Api, operator: CommandBeside) -> None:
    callback_id = await post(api, b"older garbage", CallbackKind.STK)
    await api.alter(
        "UPDATE mpesa.callbacks SET received_at = received_at - interval '3 hours' WHERE id = $1", callback_id
    )
    for options, listed in {
        ("--older-than", "2h"): True,
        ("--older-than", "4h"): False,
        ("--newer-than", "170m"): False,
        ("--newer-than", "1d", "--older-than", "60m"): True,
    }.items():
        done = await operator("callbacks", "list", *options)
        assert (f"{callback_id}" in done.out) is listed, options
    nothing = await operator("callbacks", "list", "--kind", "pull", "--older-than", "80d")
    assert (nothing.code, nothing.out) == (0, "No callback is like that.\n")
    failed = await operator("callbacks", "list", "--older-than", "soon")
    assert failed.failure == "soon is no duration such as 30m, 2h or 7d"


async def test_a_list_that_was_cut_says_so(api: Api, operator: CommandBeside) -> None:
    for number in range(3):
        await post(api, f"garbage {number}".encode(), CallbackKind.STK)
    done = await operator("callbacks", "list", "--limit", "2")
    assert done.out.splitlines()[-1] == "There may be more: these are the newest 2."


async def test_a_callback_is_shown_without_the_people_in_it(api: Api, operator: CommandBeside) -> None:
    receipt = new_receipt()
    callback_id = await post(api, payment("0722123456", TransID=receipt, **PERSON))
    done = await operator("callbacks", "show", str(callback_id))
    assert done.code == 0
    assert receipt in done.out
    assert "suspense" in done.out
    for private in ("wanjiku", "kamau", "722123456"):
        assert private not in done.out.lower()
    assert await acts(api, callback_id) == []


async def test_people_are_shown_for_a_reason_that_is_written_down(api: Api, operator: CommandBeside) -> None:
    callback_id = await post(api, payment("rent", **PERSON))
    refused = await operator("callbacks", "show", str(callback_id), "--reveal")
    assert refused.failure == "--reveal needs a --reason"
    done = await operator("callbacks", "show", str(callback_id), "--reveal", "--reason", "ticket 42")
    assert "Wanjiku" in done.out
    assert "254722123456" in done.out
    (act,) = await acts(api, callback_id)
    assert (act["operator"], act["act"], act["reason"]) == ("wanjiku", "callback_revealed", "ticket 42")


async def test_revealing_needs_a_name(
    api: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback_id = await post(api, payment("rent", **PERSON))
    monkeypatch.delenv("ZANARI_OPERATOR")
    done = await operator("callbacks", "show", str(callback_id), "--reveal", "--reason", "ticket 42")
    assert "say who you are" in done.failure
    assert "Wanjiku" not in done.out


@pytest.mark.parametrize("verb", [("show",), ("replay", "--reason", "x"), ("dismiss", "--reason", "x")])
async def test_what_is_not_there_is_said_to_be_missing(
    operator: CommandBeside, verb: tuple[str, ...]
) -> None:
    callback_id = uuid4()
    done = await operator("callbacks", verb[0], str(callback_id), *verb[1:])
    assert done.failure == f"there is no callback {callback_id}"


async def test_a_replay_acts_on_what_is_stored_and_says_what_changed(
    not_ours: tuple[Api, UUID], saver: Saver, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, callback_id = not_ours
    for name, value in api.variables.items():
        monkeypatch.setenv(name, value)
    done = await operator("callbacks", "replay", str(callback_id), "--reason", "600777 is ours now")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "before: quarantined (unknown_shortcode)",
        f"after:  credited, saver {saver.id}",
    ]
    assert await saver.holds() == (5_000, 0, 0)
    (act,) = await acts(api, callback_id)
    assert (act["operator"], act["act"], act["reason"]) == (
        "wanjiku",
        "callback_replayed",
        "600777 is ours now",
    )
    assert json.loads(act["before"])["note"] == "unknown_shortcode"
    assert json.loads(act["after"])["outcome"] == "credited"
    again = await operator("callbacks", "replay", str(callback_id), "--reason", "once more")
    assert again.out.splitlines()[1].startswith("after:  duplicate")
    assert await saver.holds() == (5_000, 0, 0)


async def test_a_replay_that_leaves_something_to_do_fails(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    callback_id = await post(api, payment(saver.member_code, BusinessShortCode="600779"))
    done = await operator("callbacks", "replay", str(callback_id), "--reason", "just to see")
    assert done.code == 1
    assert done.out.splitlines() == [
        "before: quarantined (unknown_shortcode)",
        "after:  quarantined (unknown_shortcode)",
    ]


async def test_a_replay_that_breaks_changes_nothing_and_says_so(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    callback_id = await post(api, body_of(CONFIRMATION, BillRefNumber=saver.member_code, TransAmount="?"))
    await api.alter("UPDATE mpesa.callbacks SET body = 'spoilt' WHERE id = $1", callback_id)
    done = await operator("callbacks", "replay", str(callback_id), "--reason", "just to see")
    assert done.failure == "acting on it failed with Undecryptable; nothing was changed"
    assert await outcome(api, callback_id) == ("quarantined", "unreadable")
    assert await acts(api, callback_id) == []


async def test_garbage_is_dismissed_and_waits_for_nobody_any_more(api: Api, operator: CommandBeside) -> None:
    callback_id = await post(api, b"more garbage", CallbackKind.STK)
    done = await operator("callbacks", "dismiss", str(callback_id), "--reason", "a scanner")
    assert done.code == 0
    assert done.out.splitlines() == ["before: quarantined (unreadable)", "after:  noted (dismissed)"]
    assert await outcome(api, callback_id) == ("noted", "dismissed")
    (act,) = await acts(api, callback_id)
    assert (act["act"], act["reason"]) == ("callback_dismissed", "a scanner")


async def test_what_is_not_quarantined_is_not_dismissed(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    callback_id = await post(api, payment(saver.member_code))
    done = await operator("callbacks", "dismiss", str(callback_id), "--reason", "a slip")
    assert "not quarantined: it was left as it is" in done.failure
    assert await outcome(api, callback_id) == ("credited", None)
    assert await acts(api, callback_id) == []


async def test_acts_need_a_name_and_a_reason(
    api: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback_id = await post(api, b"still more garbage", CallbackKind.STK)
    assert (await operator("callbacks", "dismiss", str(callback_id))).code == 2
    assert "a reason" in (await operator("callbacks", "replay", str(callback_id), "--reason", " ")).failure
    monkeypatch.delenv("ZANARI_OPERATOR")
    for verb in ("replay", "dismiss"):
        done = await operator("callbacks", verb, str(callback_id), "--reason", "none")
        assert "say who you are" in done.failure
    assert await outcome(api, callback_id) == ("quarantined", "unreadable")
