"""Every verb that changes something asks who does it, and writes that down: no verb is left out, and no act is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import typer

import zanari_api
from tests.cli.conftest import CommandBeside
from tests.support.app import Api
from zanari_api.cli.app import app

SOURCES: Final = "\n".join(path.read_text() for path in Path(zanari_api.__file__).parent.rglob("*.py"))

ACTS: Final = {
    "breaks resolve": ("break_resolved",),
    "callbacks dismiss": ("callback_dismissed",),
    "callbacks replay": ("callback_replayed",),
    "callbacks show": ("callback_revealed",),
    "daraja register-urls": ("c2b_urls_requested", "c2b_urls_registered"),
    "deposits keep": ("deposit_kept",),
    "deposits reverse": ("deposit_reversed", "deposit_reversal_requested"),
    "float defund": ("float_{move.kind}",),
    "float fund": ("float_{move.kind}",),
    "float move": ("float_{move.kind}",),
    "float open": ("float_opened",),
    "jobs revive": ("work_revived",),
    "payouts pause": ("payouts_paused",),
    "payouts resolve": ("payout_resolved", "payout_resolution_proposed", "payout_resolution_refused"),
    "payouts resume": ("payouts_resumed",),
    "statement import": ("statement_imported", "statement_line_applied"),
    "suspense assign": ("suspense_assigned",),
    "suspense return": ("suspense_returned",),
}
"""What each verb with an operator writes into the audit log."""

NOBODYS: Final = {
    "audit list",
    "audit show",
    "breaks list",
    "breaks show",
    "callbacks list",
    "daraja check",
    "deposits reversal",
    "deposits reversals",
    "dev",
    "doctor",
    "float list",
    "jobs list",
    "ledger balance",
    "ledger check",
    "ledger head",
    "ledger verify",
    "migrate",
    "openapi",
    "payouts list",
    "payouts show",
    "reconcile",
    "serve",
    "simulate",
    "spend",
    "suspense list",
    "token",
    "worker",
}
"""Verbs that change nothing of ours by anybody's word: they look, run the service, or play at development."""


def verbs(of: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each verb of the command with what takes its parameters."""
    command = cast("Any", typer.main.get_command(of))
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from ((f"{name} {inner}", verb) for inner, verb in each.commands.items())
        else:
            yield f"{prefix}{name}", each


VERBS: Final = {name: verb for name, verb in verbs(app) if not name.startswith("phone")}


def test_every_verb_either_asks_who_or_is_known_to_change_nothing() -> None:
    asks = {name for name, verb in VERBS.items() if any(each.name == "operator" for each in verb.params)}
    assert asks == ACTS.keys()
    assert VERBS.keys() - asks == NOBODYS


@pytest.mark.parametrize("verb", ACTS)
def test_what_the_verb_does_is_written_down_under_its_own_word(verb: str) -> None:
    for act in ACTS[verb]:
        assert f'"{act}"' in SOURCES, f"nothing records {act}"


async def test_opening_a_shortcodes_accounts_is_written_down_once(api: Api, operator: CommandBeside) -> None:
    assert (await operator("float", "open", "654321")).out == "The accounts of 654321 are open.\n"
    assert (await operator("float", "open", "654321")).out == "The accounts of 654321 were open.\n"
    rows = await api.rows("SELECT operator, act FROM runtime.audit_log WHERE subject = 'shortcode:654321'")
    assert [tuple(row) for row in rows] == [("wanjiku", "float_opened")]
