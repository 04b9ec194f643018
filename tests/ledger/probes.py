"""The statements that break the ledger's rules, one rule each. Knows no test: test_constraints.py tries them."""

from dataclasses import dataclass
from typing import Final

SAVER: Final = "'aaaaaaaa-0000-7000-8000-000000000001'"
WALLET: Final = "'aaaaaaaa-0000-7000-8000-000000000002'"
GOAL: Final = "'aaaaaaaa-0000-7000-8000-000000000003'"
OTHER: Final = "'aaaaaaaa-0000-7000-8000-000000000004'"
TRANSFER: Final = "'aaaaaaaa-0000-7000-8000-000000000005'"
SECOND: Final = "'aaaaaaaa-0000-7000-8000-000000000006'"
SUSPENSE: Final = "'00000000-0000-8000-8000-000000000001'"
FUNDING: Final = "'00000000-0000-8000-8000-000000000004'"


@dataclass(frozen=True, slots=True)
class Probe:
    """`breaks` breaks `rule`, which `guard` (relation and name) keeps, and no other; `given` comes before."""

    guard: str
    rule: str
    breaks: str
    given: str = ""
    past_triggers: bool = False
    "run with triggers off, so that a constraint is met alone"


def constraint(name: str, breaks: str, given: str = "", *, past_triggers: bool = False) -> Probe:
    return Probe(f"ledger.{name.split('_', maxsplit=1)[0]}.{name}", name, breaks, given, past_triggers)


def account(
    values: str, *, columns: str = "id, kind, normal_side, saver_id, shortcode, float_account"
) -> str:
    return f"INSERT INTO ledger.accounts ({columns}) VALUES ({values});"


def balance(values: str) -> str:
    return (
        f"INSERT INTO ledger.balances (account_id, saver_id, kind, balance_cents, version) VALUES ({values});"
    )


def transfer(transfer_id: str = TRANSFER, key: str = "'probe:1'", **changed: str) -> str:
    values = {"kind": "'probe'", "event_at": "now()", "metadata": "'{}'", **changed}
    return (
        f"INSERT INTO ledger.transfers (id, key, {', '.join(values)})"
        f" VALUES ({transfer_id}, {key}, {', '.join(values.values())});"
    )


def entries(*rows: str, transfer_id: str = TRANSFER) -> str:
    """Each row is `account, cents` or `account, cents, previous, current, version`."""
    whole = [row if row.count(",") > 1 else f"{row}, NULL, NULL, NULL" for row in rows]
    return (
        "INSERT INTO ledger.entries"
        " (transfer_id, account_id, amount_cents, account_previous_cents, account_current_cents, account_version)"
        f" VALUES {', '.join(f'({transfer_id}, {row})' for row in whole)}"
    )


def at_once(*statements: str) -> str:
    """Join statements into one, as ledger.post does: the guards look at the books when all of it is done."""
    *first, last = [statement.rstrip("; ") for statement in statements]
    named = ", ".join(f"s{number} AS ({statement})" for number, statement in enumerate(first))
    return f"WITH {named} {last}"


def moved(account_id: str, cents: int, version: int) -> str:
    return f"UPDATE ledger.balances SET balance_cents = {cents}, version = {version} WHERE account_id = {account_id}"


OPEN: Final = (
    account(f"{WALLET}, 'wallet', 'credit', {SAVER}, NULL, NULL")
    + account(f"{GOAL}, 'goal', 'credit', {SAVER}, NULL, NULL")
    + balance(f"{WALLET}, {SAVER}, 'wallet', 0, 0")
    + balance(f"{GOAL}, {SAVER}, 'goal', 0, 0")
)
SYSTEM_PAIR: Final = (f"{FUNDING}, -5", f"{SUSPENSE}, 5")
POSTED: Final = OPEN + at_once(transfer(), entries(*SYSTEM_PAIR)) + ";"
FUNDED: Final = (
    OPEN + at_once(transfer(), moved(WALLET, 5, 1), entries(f"{FUNDING}, -5", f"{WALLET}, 5, 0, 5, 1")) + ";"
)
FLOAT: Final = f"{OTHER}, 'float', 'debit', NULL, '700000', 'utility'"

ACCOUNTS: Final = [
    constraint("accounts_pkey", account(f"{WALLET}, 'goal', 'credit', {OTHER}, NULL, NULL"), OPEN),
    constraint(
        "accounts_identity_unique",
        account(f"{WALLET}, 'goal', 'credit', {SAVER}, NULL, NULL"),
        account(f"{WALLET}, 'goal', 'credit', {SAVER}, NULL, NULL")
        + "ALTER TABLE ledger.accounts DROP CONSTRAINT accounts_pkey CASCADE",
    ),
    constraint(
        "accounts_float_unique",
        account(f"{GOAL}, 'float', 'debit', NULL, '700000', 'utility'"),
        account(FLOAT),
    ),
    constraint("accounts_wallet_unique", account(f"{OTHER}, 'wallet', 'credit', {SAVER}, NULL, NULL"), OPEN),
    constraint(
        "accounts_receivable_unique",
        account(f"{OTHER}, 'receivable', 'debit', {SAVER}, NULL, NULL"),
        account(f"{WALLET}, 'receivable', 'debit', {SAVER}, NULL, NULL"),
    ),
    constraint("accounts_system_unique", account(f"{OTHER}, 'dust', 'credit', NULL, NULL, NULL")),
    constraint("accounts_kind_known", account(f"{OTHER}, 'savings', 'credit', NULL, NULL, NULL")),
    constraint(
        "accounts_normal_side_matches_kind", account(f"{OTHER}, 'goal', 'debit', {SAVER}, NULL, NULL")
    ),
    constraint(
        "accounts_currency_known",
        account(
            f"{OTHER}, 'goal', 'credit', {SAVER}, 'USD'", columns="id, kind, normal_side, saver_id, currency"
        ),
    ),
    constraint("accounts_saver_matches_kind", account(f"{OTHER}, 'goal', 'credit', NULL, NULL, NULL")),
    constraint(
        "accounts_shortcode_on_floats_only", account(f"{OTHER}, 'goal', 'credit', {SAVER}, '700000', NULL")
    ),
    constraint("accounts_shortcode_digits", account(f"{OTHER}, 'float', 'debit', NULL, 'SAFARI', 'utility'")),
    constraint(
        "accounts_float_account_on_floats_only",
        account(f"{OTHER}, 'goal', 'credit', {SAVER}, NULL, 'utility'"),
    ),
    constraint(
        "accounts_float_account_known", account(f"{OTHER}, 'float', 'debit', NULL, '700000', 'savings'")
    ),
    constraint(
        "accounts_system_stays_open",
        account(
            f"{OTHER}, 'float', 'debit', '700000', 'utility', 'infinity'",
            columns="id, kind, normal_side, shortcode, float_account, closed_at",
        ),
    ),
    constraint(
        "accounts_closed_after_opened",
        account(
            f"{OTHER}, 'goal', 'credit', {SAVER}, '-infinity'",
            columns="id, kind, normal_side, saver_id, closed_at",
        ),
    ),
    constraint(
        "accounts_only_close", f"UPDATE ledger.accounts SET opened_at = '-infinity' WHERE id = {WALLET}", OPEN
    ),
    Probe(
        "ledger.accounts.accounts_only_close",
        "accounts_only_close",
        f"UPDATE ledger.accounts SET closed_at = NULL WHERE id = {GOAL}",
        OPEN + f"UPDATE ledger.accounts SET closed_at = 'infinity' WHERE id = {GOAL}",
    ),
    Probe(
        "ledger.accounts.accounts_only_close",
        "accounts_close_empty",
        f"UPDATE ledger.accounts SET closed_at = 'infinity' WHERE id = {WALLET}",
        FUNDED,
    ),
    constraint("accounts_never_deleted", f"DELETE FROM ledger.accounts WHERE id = {OTHER}", account(FLOAT)),
]

BALANCES: Final = [
    constraint(
        "balances_pkey",
        balance(f"{WALLET}, {SAVER}, 'wallet', 0, 0"),
        OPEN,
    ),
    constraint(
        "balances_account_matches",
        balance(f"{OTHER}, {SAVER}, 'goal', 0, 0"),
        account(f"{OTHER}, 'goal', 'credit', {SECOND}, NULL, NULL"),
    ),
    constraint("balances_not_overdrawn", moved(WALLET, -1, 1), OPEN, past_triggers=True),
    constraint(
        "balances_receivable_not_overpaid",
        moved(OTHER, 1, 1),
        account(f"{OTHER}, 'receivable', 'debit', {SAVER}, NULL, NULL")
        + balance(f"{OTHER}, {SAVER}, 'receivable', 0, 0"),
        past_triggers=True,
    ),
    constraint("balances_version_counts", moved(WALLET, 0, -1), OPEN, past_triggers=True),
    constraint("balances_start_at_zero", moved(WALLET, 1, 0), OPEN, past_triggers=True),
    constraint(
        "balances_open_without_money",
        balance(f"{OTHER}, {SAVER}, 'goal', 5, 1"),
        account(f"{OTHER}, 'goal', 'credit', {SAVER}, NULL, NULL"),
    ),
    constraint("balances_follow_entries", moved(WALLET, 5, 1), OPEN),
    constraint("balances_version_grows", moved(WALLET, 5, 1), FUNDED),
    constraint("balances_never_deleted", f"DELETE FROM ledger.balances WHERE account_id = {WALLET}", OPEN),
    constraint("balances_never_deleted", "TRUNCATE ledger.balances"),
]

TRANSFERS: Final = [
    constraint("transfers_pkey", transfer(key="'probe:2'"), transfer(), past_triggers=True),
    constraint("transfers_key_unique", transfer(SECOND), transfer(), past_triggers=True),
    constraint("transfers_key_sized", transfer(key="''"), past_triggers=True),
    constraint("transfers_kind_named", transfer(kind="'Round Up'"), past_triggers=True),
    constraint("transfers_event_at_finite", transfer(event_at="'infinity'"), past_triggers=True),
    constraint("transfers_metadata_object", transfer(metadata="'[]'"), past_triggers=True),
    constraint("transfers_have_entries", transfer()),
    constraint(
        "transfers_immutable", f"UPDATE ledger.transfers SET kind = 'x' WHERE id = {TRANSFER}", POSTED
    ),
    constraint("transfers_immutable", f"DELETE FROM ledger.transfers WHERE id = {TRANSFER}", POSTED),
    constraint("transfers_immutable", "TRUNCATE ledger.transfers"),
]

ENTRIES: Final = [
    constraint(
        "entries_pkey",
        "INSERT INTO ledger.entries (id, transfer_id, account_id, amount_cents) OVERRIDING SYSTEM VALUE"
        f" SELECT max(e.id), {SECOND}, {SUSPENSE}, 5 FROM ledger.entries AS e",
        entries(f"{SUSPENSE}, 5"),
        past_triggers=True,
    ),
    constraint(
        "entries_version_unique",
        entries(f"{WALLET}, 5, 0, 5, 1", transfer_id=SECOND),
        entries(f"{WALLET}, 5, 0, 5, 1"),
        past_triggers=True,
    ),
    constraint("entries_amount_not_zero", entries(f"{SUSPENSE}, 0"), past_triggers=True),
    constraint("entries_chain_whole", entries(f"{WALLET}, 5, NULL, 5, 1"), past_triggers=True),
    constraint("entries_version_counts", entries(f"{WALLET}, 5, 0, 5, 0"), past_triggers=True),
    constraint("entries_current_adds_up", entries(f"{WALLET}, 5, 0, 6, 1"), past_triggers=True),
    constraint(
        "entries_immutable",
        f"UPDATE ledger.entries SET account_id = {SUSPENSE} WHERE amount_cents = 5",
        POSTED,
    ),
    constraint("entries_immutable", f"DELETE FROM ledger.entries WHERE transfer_id = {TRANSFER}", POSTED),
    constraint("entries_immutable", "TRUNCATE ledger.entries"),
]


def whole(rule: str, breaks: str, given: str = "") -> Probe:
    return Probe("ledger.entries.entries_make_whole_transfers", rule, breaks, given)


WHOLE_TRANSFERS: Final = [
    whole("entries_two_at_least", at_once(transfer(), entries(f"{SUSPENSE}, 5"))),
    whole("entries_sum_to_zero", at_once(transfer(), entries(f"{FUNDING}, -5", f"{SUSPENSE}, 6"))),
    whole("entries_account_known", at_once(transfer(), entries(f"{FUNDING}, -5", f"{OTHER}, 5"))),
    whole(
        "entries_account_open",
        at_once(
            transfer(),
            moved(GOAL, 0, 2),
            entries(f"{GOAL}, 5, 0, 5, 1", f"{GOAL}, -5, 5, 0, 2"),
        ),
        OPEN + f"UPDATE ledger.accounts SET closed_at = 'infinity' WHERE id = {GOAL}",
    ),
    whole(
        "entries_one_currency",
        at_once(transfer(), entries(f"{FUNDING}, -5", f"{OTHER}, 5")),
        "ALTER TABLE ledger.accounts DROP CONSTRAINT accounts_currency_known;"
        + account(
            f"{OTHER}, 'float', 'debit', 'USD', '700000', 'utility'",
            columns="id, kind, normal_side, currency, shortcode, float_account",
        ),
    ),
    whole("entries_in_one_statement", entries(*SYSTEM_PAIR), POSTED),
    whole("entries_transfer_known", entries(*SYSTEM_PAIR)),
    whole(
        "entries_versions_on_savers_only",
        at_once(transfer(), entries(f"{FUNDING}, -5", f"{WALLET}, 5")),
        OPEN,
    ),
]


def chained(rule: str, *statements: str, given: str = OPEN) -> Probe:
    return Probe(
        "ledger.entries.entries_continue_the_chain",
        rule,
        at_once(transfer(SECOND, "'probe:2'"), *statements),
        given,
    )


def on_wallet(*rows: str) -> str:
    return entries(*rows, transfer_id=SECOND)


CHAINS: Final = [
    chained(
        "entries_version_without_gap",
        moved(WALLET, 5, 2),
        on_wallet(f"{FUNDING}, -5", f"{WALLET}, 5, 0, 5, 2"),
    ),
    chained(
        "entries_previous_matches", moved(WALLET, 6, 1), on_wallet(f"{FUNDING}, -5", f"{WALLET}, 5, 1, 6, 1")
    ),
    chained(
        "entries_previous_matches",
        moved(WALLET, 6, 2),
        on_wallet(f"{FUNDING}, -5", f"{WALLET}, 5, 1, 6, 2"),
        given=FUNDED,
    ),
    chained(
        "entries_never_overdraw",
        moved(WALLET, 0, 2),
        on_wallet(f"{WALLET}, -5, 0, -5, 1", f"{WALLET}, 5, -5, 0, 2"),
    ),
    chained(
        "entries_never_overdraw",
        moved(OTHER, 0, 2),
        on_wallet(f"{OTHER}, 5, 0, 5, 1", f"{OTHER}, -5, 5, 0, 2"),
        given=account(f"{OTHER}, 'receivable', 'debit', {SAVER}, NULL, NULL")
        + balance(f"{OTHER}, {SAVER}, 'receivable', 0, 0"),
    ),
    chained("entries_balance_moved", on_wallet(f"{FUNDING}, -5", f"{WALLET}, 5, 0, 5, 1")),
]

SNAPSHOT: Final = (
    "INSERT INTO ledger.snapshots (account_id, cluster_id, consumed_below, restored_through, balance_cents)"
    " VALUES ({account}, 1, '1', 0, 0);"
)
SNAPSHOTS: Final = [
    constraint("snapshots_pkey", SNAPSHOT.format(account=SUSPENSE), SNAPSHOT.format(account=SUSPENSE)),
    constraint("snapshots_account_known", SNAPSHOT.format(account=OTHER)),
]


def seal(
    seq: int = 1_000_001, subject_id: str = OTHER, kind: str = "'act'", digest: int = 32, sealed: int = 32
) -> str:
    """Insert a seal whose digest and hash are so many bytes."""
    said, chained = (f"decode(repeat('00', {size}), 'hex')" for size in (digest, sealed))
    return (
        "INSERT INTO ledger.seals (seq, sealed_at, subject_id, kind, digest, hash) VALUES"
        f" ({seq}, now(), {subject_id}, {kind}, {said}, {chained});"
    )


SEALS: Final = [
    constraint("seals_pkey", seal(subject_id=SECOND), seal()),
    constraint("seals_subject_unique", seal(1_000_002), seal()),
    constraint("seals_seq_counts", seal(0)),
    constraint("seals_kind_known", seal(kind="'balance'")),
    constraint("seals_digest_sized", seal(digest=31)),
    constraint("seals_hash_sized", seal(sealed=33)),
    constraint("seals_immutable", "UPDATE ledger.seals SET seq = seq + 1"),
    constraint("seals_immutable", "DELETE FROM ledger.seals"),
    constraint("seals_immutable", "TRUNCATE ledger.seals"),
    constraint("sealing_pkey", "INSERT INTO ledger.sealing (id) VALUES (1)"),
    constraint("sealing_only_one", "INSERT INTO ledger.sealing (id) VALUES (2)"),
    constraint("sealing_never_deleted", "DELETE FROM ledger.sealing"),
    constraint("sealing_never_deleted", "TRUNCATE ledger.sealing"),
]

PROBES: Final = [*ACCOUNTS, *BALANCES, *TRANSFERS, *ENTRIES, *WHOLE_TRANSFERS, *CHAINS, *SNAPSHOTS, *SEALS]
