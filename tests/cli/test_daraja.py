"""`zanari daraja`: where payments are confirmed is told to Safaricom, and nobody is shown the secret in it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import CALLBACK_TOKEN, SHORTCODE, Api, Serve
from zanari_api.sandbox.safaricom.faults import Fault, Flow

OTHER = "600009"


@pytest.fixture(autouse=True)
async def no_faults(api: Api) -> None:
    api.emulator.faults.clear()


@pytest.fixture
async def two_shortcodes(serve: Serve) -> AsyncIterator[Api]:
    """A service that is paid into two shortcodes, the second of which Safaricom does not know."""
    async with serve(mpesa_shortcode=f"{SHORTCODE},{OTHER}") as running:
        yield running


async def acts(api: Api, shortcode: str = SHORTCODE) -> list[tuple[str, str, Any]]:
    rows = await api.rows(
        "SELECT operator, act, after FROM runtime.audit_log WHERE subject = $1 ORDER BY recorded_at",
        f"shortcode:{shortcode}",
    )
    return [(row["operator"], row["act"], row["after"]) for row in rows]


async def test_addresses_are_registered_and_shown_without_their_token(
    api: Api, operator: CommandBeside
) -> None:
    before = len(await acts(api))
    done = await operator("daraja", "register-urls", "--version", "1")
    assert done.code == 0, done.err
    base = api.variables["MPESA_CALLBACK_BASE_URL"]
    assert done.out.splitlines() == [
        f"{SHORTCODE}, C2B version 1:",
        f"  confirmation  {base}/callbacks/********/c2b/confirmation",
        f"  validation    {base}/callbacks/********/c2b/validation",
    ]
    assert CALLBACK_TOKEN not in done.out + done.err
    registered = api.emulator.records.registrations[SHORTCODE]
    assert registered.version == 1
    assert registered.confirmation_url == f"{base}/callbacks/{CALLBACK_TOKEN}/c2b/confirmation"
    assert registered.validation_url == f"{base}/callbacks/{CALLBACK_TOKEN}/c2b/validation"
    written = (await acts(api))[before:]
    assert [(who, act) for who, act, _ in written] == [
        ("wanjiku", "c2b_urls_requested"),
        ("wanjiku", "c2b_urls_registered"),
    ]
    assert CALLBACK_TOKEN not in str(written)
    assert '"version": 1' in written[0][2]


async def test_the_second_version_is_registered_where_nothing_else_is_said(
    api: Api, operator: CommandBeside
) -> None:
    assert (await operator("daraja", "register-urls")).code == 0
    assert api.emulator.records.registrations[SHORTCODE].version == 2
    assert (await operator("daraja", "register-urls", "--version", "3")).code == 2


async def test_what_is_registered_already_says_what_to_do_about_it(api: Api, operator: CommandBeside) -> None:
    before = len(await acts(api))
    api.emulator.faults.next(Flow.C2B, Fault.HTTP_ERROR, code="500.003.1001")
    done = await operator("daraja", "register-urls")
    assert done.failure.startswith(
        f"{SHORTCODE} has addresses at Safaricom already, and they were left as they are."
    )
    assert "In production they are registered once" in done.failure
    assert done.out == ""
    assert [act for _, act, _ in (await acts(api))[before:]] == ["c2b_urls_requested"]


async def test_a_registration_that_nobody_answered_for_is_in_doubt(api: Api, operator: CommandBeside) -> None:
    api.emulator.faults.next(Flow.C2B, Fault.CUT_BEFORE)
    done = await operator("daraja", "register-urls")
    assert done.failure == f"{SHORTCODE} may be registered or not (register_urls: cut); type this again"


async def test_each_shortcode_is_registered_whatever_becomes_of_the_others(
    two_shortcodes: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in two_shortcodes.variables.items():
        monkeypatch.setenv(name, value)
    done = await operator("daraja", "register-urls")
    assert done.failure.startswith(f"{OTHER} was not registered (register_urls: ")
    assert done.out.startswith(f"{SHORTCODE}, C2B version 2:")
    assert [act for _, act, _ in await acts(two_shortcodes, OTHER)] == ["c2b_urls_requested"]


async def test_registering_needs_a_name(
    api: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZANARI_OPERATOR")
    assert "say who you are" in (await operator("daraja", "register-urls")).failure


async def test_a_token_is_asked_for_anew_and_the_service_takes_it_up(
    api: Api, operator: CommandBeside
) -> None:
    host = api.variables["MPESA_BASE_URL"]
    for _ in range(2):
        done = await operator("daraja", "check")
        assert done.code == 0, done.err
        assert done.out.startswith(f"{host} gave a new access token; it is used until ")
    # The token that the running service held has ended by this.
    await api.app.state.parts.daraja.register_c2b_urls(
        shortcode=SHORTCODE, confirmation_url="https://zanari.test/c", validation_url="https://zanari.test/v"
    )


async def test_credentials_that_do_not_work_are_named(
    operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPESA_CONSUMER_SECRET", "mistyped")
    done = await operator("daraja", "check")
    assert "gave no access token (token: " in done.failure
    assert "see MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET" in done.failure
    assert "mistyped" not in done.out + done.err


async def test_a_safaricom_that_does_not_answer_is_no_fault_of_the_credentials(
    api: Api, operator: CommandBeside
) -> None:
    api.emulator.faults.always(Flow.OAUTH, Fault.CUT_BEFORE)
    done = await operator("daraja", "check")
    assert done.failure.endswith("gave no access token (token: cut)")
