"""`zanari phone`: the buttons of the emulated phones and of the emulated M-PESA behind them. For development alone."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import httpx
import typer

from zanari_api import serving
from zanari_api.cli.terminal import fail, say, table
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes, parse_kes
from zanari_api.kit.msisdn import parse_msisdn
from zanari_api.sandbox import demo
from zanari_api.settings import Settings

app = typer.Typer(
    help="Press the buttons of the emulated phones, and play M-PESA: pay, lose a callback, look at its books.",
    no_args_is_help=True,
)

TIMEOUT_S: Final = 30

Phone = Annotated[str, typer.Option("--phone", help="The number; the demo saver's when left out.")]


@app.command()
def prompts() -> None:
    """List the prompts that wait on phones."""
    waiting = _call("GET", "/prompts")
    if not waiting:
        say("No phone shows a prompt. A new one comes up within a second or two of its request.")
        return
    columns = ("phone", "amount", "to", "reference", "since")
    table(
        columns,
        [
            (
                one["msisdn"],
                format_kes(one["amount_cents"]),
                one["shortcode"],
                one["account_reference"],
                one["shown_at"],
            )
            for one in waiting
        ],
    )


@app.command()
def approve(phone: Phone = demo.DEMO_PHONE) -> None:
    """Enter the right M-PESA PIN at the prompt."""
    _press(phone, "approve")


@app.command()
def cancel(phone: Phone = demo.DEMO_PHONE) -> None:
    """Dismiss the prompt."""
    _press(phone, "cancel")


@app.command()
def wrong_pin(phone: Phone = demo.DEMO_PHONE) -> None:
    """Enter a wrong M-PESA PIN at the prompt."""
    _press(phone, "wrong_pin")


@app.command()
def time_out(phone: Phone = demo.DEMO_PHONE) -> None:
    """Let the prompt run out, as a phone without a network does."""
    _press(phone, "time_out")


@app.command()
def pay(
    amount: Annotated[str, typer.Argument(help="Shillings to pay to our paybill.")],
    reference: Annotated[str, typer.Argument(help="What is typed as account number: a member code.")],
    phone: Phone = demo.DEMO_PHONE,
) -> None:
    """Pay our paybill from a phone, as any customer can."""
    body = {"amount_cents": _cents(amount), "account_reference": reference, "msisdn": _number(phone)}
    paid = _call("POST", "/payments", body)
    say(f"{paid['receipt']} Confirmed. {format_kes(paid['amount_cents'])} paid to {paid['shortcode']}.")


@app.command()
def habit(
    behaviour: Annotated[str, typer.Argument(help="approve, cancel, wrong_pin, no_answer or ask.")],
    phone: Phone = demo.DEMO_PHONE,
) -> None:
    """Say what a phone's owner does with prompts from now on; `ask` waits for these buttons."""
    shown = _call("PATCH", f"/handsets/{_number(phone)}", {"behaviour": behaviour})
    say(f"{shown['msisdn']} from now on: {shown['behaviour']}")


@app.command()
def fault(
    flow: Annotated[
        str, typer.Argument(help="stk, query, b2c, status, balance, reversal, c2b, pull, oauth.")
    ],
    name: Annotated[
        str, typer.Argument(help="What goes wrong, such as lose_callback; see `zanari phone faults`.")
    ],
    code: Annotated[
        str | None, typer.Option(help="The result or error code, where the fault has one.")
    ] = None,
    *,
    always: Annotated[bool, typer.Option("--always", help="Each time, not only the next.")] = False,
) -> None:
    """Have the next message of a flow go wrong."""
    _call("POST", "/faults", {"flow": flow, "fault": name, "code": code, "always": always})
    say(f"{'Each' if always else 'The next'} {flow}: {name}")


@app.command()
def faults() -> None:
    """List what can go wrong, and in which flows."""
    known = _call("GET", "/faults")
    table(("fault", "flows"), [(name, ", ".join(told["flows"])) for name, told in sorted(known.items())])


@app.command()
def well() -> None:
    """Let everything go well again."""
    _call("DELETE", "/faults")
    say("Nothing goes wrong from now on.")


@app.command()
def books() -> None:
    """Show what M-PESA says our shortcodes hold."""
    held = _call("GET", "/books")
    table(
        ("shortcode", "utility", "working", "charges paid"),
        [
            (
                shortcode,
                *(format_kes(one[f"{name}_cents"]) for name in ("utility", "working", "charges_paid")),
            )
            for shortcode, one in held.items()
        ],
    )


@app.command()
def messages(
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20,
    phone: Annotated[str | None, typer.Option("--phone", help="One number alone.")] = None,
) -> None:
    """Show the text messages that phones got, the oldest of them first."""
    url = _settings().sms_gateway_url
    if url is None:
        fail("no gateway for text messages is emulated here: start `zanari dev`")
    got = _send("GET", url, params={"last": last} | ({} if phone is None else {"to": f"+{_number(phone)}"}))
    if not got:
        say("No phone got a message. A new one comes a second or two after what it tells of.")
        return
    for one in got:
        say(f"{one['to']}  {_local(one['at'])}\n  {one['text']}")


@app.command()
def callbacks(
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20,
) -> None:
    """List the callbacks that M-PESA sent or lost, and how they were answered."""
    sent = _call("GET", f"/deliveries?last={last}")
    table(
        ("at", "kind", "answered"),
        [(one["at"], one["kind"], "lost" if one["lost"] else one["status"] or one["error"]) for one in sent],
    )


def _press(phone: str, answer: str) -> None:
    pressed = _call("POST", f"/prompts/{_number(phone)}", {"answer": answer})
    say(f"{pressed['msisdn']}: {pressed['answer']}")


def _call(method: str, path: str, body: object = None) -> Any:
    return _send(method, f"{_settings().mpesa_base_url}/control{path}", body)


def _settings() -> Settings:
    settings = serving.beside_running(Settings.load())
    if not settings.in_development:
        fail("phones are emulated in development alone")
    return settings


def _send(method: str, url: str, body: object = None, *, params: Mapping[str, Any] | None = None) -> Any:
    try:
        response = httpx.request(method, url, json=body, params=params, timeout=TIMEOUT_S)
        told = response.json()
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        fail(f"the emulator does not answer: {type(error).__name__}. Does `zanari dev` run here?")
    if not response.is_success:
        fail(told["error"])
    return told


def _local(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(EAT):%Y-%m-%d %H:%M:%S}"


def _number(phone: str) -> str:
    try:
        return parse_msisdn(phone)
    except ValueError as error:
        fail(f"--phone: {error}")


def _cents(amount: str) -> int:
    try:
        return parse_kes(str(Decimal(amount)))
    except (InvalidOperation, ValueError):
        fail(f"{amount} is not an amount")
