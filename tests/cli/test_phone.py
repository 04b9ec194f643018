"""`zanari phone`: a person plays the saver's phone and M-PESA behind it."""

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import SHORTCODE, Api
from tests.support.pins import OTHER_PIN, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered
from zanari_api.daraja.requests import StkPush
from zanari_api.kit.clock import EAT


@pytest.fixture
def phone(api: Api, zanari_beside: CommandBeside, monkeypatch: pytest.MonkeyPatch) -> CommandBeside:
    """Run the verbs in development, against the module's emulator."""
    for name in ("DATABASE_URL", "MPESA_BASE_URL", "SMS_GATEWAY_URL", "SMS_GATEWAY_TOKEN"):
        monkeypatch.setenv(name, api.variables[name])
    return zanari_beside


@pytest.fixture
async def prompted(api: Api, saver: Saver) -> str:
    """A phone that shows a prompt for KES 20."""
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, behaviour="ask")
    await api.app.state.parts.daraja.stk_push(
        StkPush(
            msisdn=saver.phone,
            amount_cents=2_000,
            account_reference="Z12345678903",
            description="Zanari",
            callback_url=f"{api.variables['MPESA_CALLBACK_BASE_URL']}/callbacks/nobody/stk",
        )
    )
    return saver.phone


async def test_what_waits_on_phones_is_listed(phone: CommandBeside, prompted: str) -> None:
    done = await phone("phone", "prompts")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if prompted in line]
    assert "KES 20" in line
    assert SHORTCODE in line


@pytest.mark.parametrize("button", ["approve", "cancel", "wrong-pin", "time-out"])
async def test_a_button_answers_the_prompt(phone: CommandBeside, prompted: str, button: str) -> None:
    done = await phone("phone", button, "--phone", prompted)
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith(prompted)
    assert (await phone("phone", button, "--phone", prompted)).failure == (
        "there is no open prompt on that number"
    )


async def test_paying_the_paybill_gives_a_receipt_and_fills_the_books(
    api: Api, phone: CommandBeside, saver: Saver
) -> None:
    before = api.emulator.books.position()[SHORTCODE].utility_cents
    done = await phone("phone", "pay", "250.50", saver.member_code, "--phone", str(saver.phone))
    assert "KES 250.50 paid to 600000" in done.out
    assert api.emulator.books.position()[SHORTCODE].utility_cents == before + 25_050
    assert SHORTCODE in (await phone("phone", "books")).out


async def test_faults_are_listed_armed_and_forgotten(phone: CommandBeside) -> None:
    assert "lose_callback" in (await phone("phone", "faults")).out
    assert (
        await phone("phone", "fault", "stk", "lose_callback")
    ).out.strip() == "The next stk: lose_callback"
    assert (await phone("phone", "fault", "stk", "cut_after", "--always")).out.startswith("Each stk")
    assert (await phone("phone", "well")).code == 0


async def test_a_phone_keeps_a_habit(api: Api, phone: CommandBeside, saver: Saver) -> None:
    done = await phone("phone", "habit", "cancel", "--phone", str(saver.phone))
    assert done.out.strip() == f"{saver.phone} from now on: cancel"
    assert api.emulator.handset(str(saver.phone)).behaviour == "cancel"


async def test_callbacks_and_their_answers_are_listed(phone: CommandBeside, prompted: str) -> None:
    await phone("phone", "approve", "--phone", prompted)
    assert (await phone("phone", "callbacks", "--last", "5")).code == 0


async def test_text_messages_are_shown_with_their_time_in_nairobi(
    api: Api, phone: CommandBeside, saver: Saver
) -> None:
    assert "No phone got a message." in (await phone("phone", "messages", "--phone", str(saver.phone))).out
    await with_pin(saver)
    answered(await put_pin(signed_in(saver), OTHER_PIN))
    await api.work()
    shown = await phone("phone", "messages", "--phone", str(saver.phone))
    head, text = shown.out.splitlines()
    (message,) = [each for each in api.handsets.messages if each.to == f"+{saver.phone}"]
    assert head == f"+{saver.phone}  {message.at.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
    assert text.strip().startswith("Zanari: your PIN was replaced on ")
    assert (await phone("phone", "messages", "--last", "1")).out == shown.out


async def test_without_an_emulated_gateway_there_are_no_messages_to_show(
    phone: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMS_GATEWAY_URL")
    assert (await phone("phone", "messages")).failure == (
        "no gateway for text messages is emulated here: start `zanari dev`"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["approve", "--phone", "12"], "--phone: not a phone number"),
        (["pay", "much", "12345674"], "much is not an amount"),
        (["habit", "sleep"], "behaviour: "),
        (["fault", "stk", "nonsense"], "fault: "),
    ],
)
async def test_a_mistake_is_one_clear_line(phone: CommandBeside, arguments: list[str], says: str) -> None:
    assert (await phone("phone", *arguments)).failure.startswith(says)


async def test_there_are_no_emulated_phones_outside_development(
    phone: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")
    assert (await phone("phone", "books")).failure == "phones are emulated in development alone"


async def test_without_a_running_service_it_says_how_to_start_one(zanari_beside: CommandBeside) -> None:
    assert "start one with `zanari dev`" in (await zanari_beside("phone", "books")).failure
