"""`zanari daraja`: what is set up at Safaricom once, and whether our credentials work. Moves no money."""

from typing import Annotated, Literal

import typer

from zanari_api.cli.session import Operation, OperatorOption, named, operating
from zanari_api.cli.terminal import fail, run, say
from zanari_api.daraja.errors import DarajaError, DarajaRefused, DarajaUnresolved, RefusalReason
from zanari_api.kit.clock import EAT
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.runtime import audit
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(
    help="Tell Safaricom where payments are confirmed, and see whether our credentials work.",
    no_args_is_help=True,
)

REGISTERED_BEFORE = (
    "has addresses at Safaricom already, and they were left as they are. In production they are registered once:"
    " to change them, delete them in Safaricom's portal (Self Service, URL Management; two people approve it)"
)


@app.command("register-urls")
def register_urls(
    version: Annotated[int, typer.Option("--version", min=1, max=2, help="Of the C2B API.")] = 2,
    operator: OperatorOption = None,
) -> None:
    """Tell Safaricom where payments to each of our shortcodes are confirmed and validated.

    The addresses are those of MPESA_CALLBACK_BASE_URL with the newest token. Where validation does not answer, M-PESA
    completes the payment. Exit code 1 unless all of it was registered now.
    """
    run(_register_all(1 if version == 1 else 2, operator=named(operator)))


@app.command()
def check() -> None:
    """Ask Safaricom for a new access token and say whether it gave one. Whatever runs takes the new one up."""
    run(_check())


async def _register_all(version: Literal[1, 2], *, operator: str) -> None:
    async with operating(operator) as o:
        tried = [await _register(o, shortcode, version) for shortcode in sorted(o.parts.mpesa.shortcodes)]
    failures = [failure for failure in tried if failure is not None]
    if failures:
        fail("; ".join(failures))


async def _register(o: Operation, shortcode: str, version: Literal[1, 2]) -> str | None:
    """Register one shortcode's addresses and say so; return why that failed, None when it did not."""
    # Written down before: nobody can look up later what a call that was cut off was meant to do.
    await _write_down(o, "c2b_urls_requested", shortcode, version)
    mpesa = o.parts.mpesa
    try:
        await o.daraja.register_c2b_urls(
            shortcode=shortcode,
            confirmation_url=mpesa.callback_url(CallbackKind.C2B_CONFIRMATION),
            validation_url=mpesa.callback_url(CallbackKind.C2B_VALIDATION),
            version=version,
        )
    except DarajaError as error:
        return f"{shortcode} {_why(error)}"
    await _write_down(o, "c2b_urls_registered", shortcode, version)
    say(f"{shortcode}, C2B version {version}:")
    say(f"  confirmation  {mpesa.masked_callback_url(CallbackKind.C2B_CONFIRMATION)}")
    say(f"  validation    {mpesa.masked_callback_url(CallbackKind.C2B_VALIDATION)}")
    return None


def _why(error: DarajaError) -> str:
    match error:
        case DarajaRefused(reason=RefusalReason.ALREADY_REGISTERED):
            return REGISTERED_BEFORE
        case DarajaUnresolved():
            return f"may be registered or not ({error}); type this again"
        case _:
            return f"was not registered ({error})"


async def _write_down(o: Operation, act: str, shortcode: str, version: int) -> None:
    async def record(tx: Tx) -> None:
        await audit.record(
            tx,
            operator=o.operator,
            act=act,
            subject=f"shortcode:{shortcode}",
            reason="zanari daraja register-urls",
            before={},
            after={"version": version, "base_url": o.parts.mpesa.callback_base_url},
        )

    await o.database.unit_of_work(record, role=Role.SYSTEM)


async def _check() -> None:
    async with operating() as o:
        host = o.daraja.config.base_url
        try:
            used_until = await o.daraja.renew_token()
        except DarajaRefused as error:
            fail(
                f"{host} gave no access token ({error}): see MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET and"
                " MPESA_ENVIRONMENT"
            )
        except DarajaError as error:
            fail(f"{host} gave no access token ({error})")
    say(f"{host} gave a new access token; it is used until {used_until.astimezone(EAT):%H:%M:%S} (EAT).")
